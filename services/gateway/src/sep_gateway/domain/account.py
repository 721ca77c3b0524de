"""The account as the broker reports it. Amounts are in home currency."""

from dataclasses import dataclass
from decimal import Decimal

from sep_fx.instrument import Instrument

from sep_gateway.domain.left_out import LeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSummary:
    """Account totals; at a ``margin_closeout_percent`` of 1 the broker closes all trades.

    ``nav`` is NaN where the broker sent a text that is no finite number.
    ``margin_rate`` is the account's own, None if it has none. ``hedging`` is None if it can't be
    read. ``unknown`` are the fields that say what the account is and can't be read: it is then of
    unknown kind. What decides nothing is None where it can't be read, and is among ``odd``.
    """

    id: str
    currency: str
    balance: Decimal
    nav: Decimal
    margin_used: Decimal
    margin_available: Decimal
    margin_closeout_percent: Decimal
    last_transaction_id: int
    margin_rate: Decimal | None = None
    hedging: bool | None = False
    guaranteed_stop_mode: str = ""
    unknown: tuple[str, ...] = ()
    unrealized_pl: Decimal | None = None
    pl: Decimal | None = None
    position_value: Decimal | None = None
    open_trade_count: int | None = None
    open_position_count: int | None = None
    odd: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Open units of one instrument; short units are <= 0, an empty side has no price.

    Other fields are None where they can't be read, and among ``odd``.
    """

    instrument: str
    long_units: Decimal
    short_units: Decimal
    long_average_price: Decimal | None
    short_average_price: Decimal | None
    unrealized_pl: Decimal | None
    margin_used: Decimal | None
    odd: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Positions:
    """Open positions, sorted by instrument, as of ``last_transaction_id``."""

    positions: tuple[Position, ...]
    last_transaction_id: int
    left_out: tuple[LeftOut, ...] = ()

    @property
    def unread(self) -> tuple[LeftOut, ...]:
        """Positions that are left out, and single fields of the others."""
        return self.left_out + tuple(field for p in self.positions for field in p.odd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """An open trade; ``client_id`` and ``client_tag`` are empty if it was opened manually.

    Fields that decide nothing are None where they can't be read, and among ``odd``.
    """

    id: int
    instrument: str
    price: Decimal | None
    current_units: Decimal
    initial_units: Decimal | None
    unrealized_pl: Decimal | None
    opened_ns: int | None
    client_id: str
    client_tag: str
    stop_loss_price: Decimal | None
    take_profit_price: Decimal | None
    stop_loss_state: str = ""
    take_profit_state: str = ""
    financing: Decimal | None = Decimal(0)
    margin_used: Decimal | None = None
    odd: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenTrades:
    """Open trades, oldest first, as of ``last_transaction_id``."""

    trades: tuple[Trade, ...]
    last_transaction_id: int
    left_out: tuple[LeftOut, ...] = ()

    @property
    def unread(self) -> tuple[LeftOut, ...]:
        """Trades that are left out, and single fields of the others."""
        return self.left_out + tuple(field for t in self.trades for field in t.odd)


@dataclass(frozen=True, slots=True)
class Instruments:
    """Tradeable instruments, sorted by name."""

    instruments: tuple[Instrument, ...]
    left_out: tuple[LeftOut, ...] = ()

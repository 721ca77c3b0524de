"""The account as the broker reports it. Amounts are in home currency."""

from dataclasses import dataclass
from decimal import Decimal

from sep_fx.instrument import Instrument

from sep_gateway.domain.left_out import LeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSummary:
    """Account totals; at a ``margin_closeout_percent`` of 1 the broker closes all trades.

    ``margin_rate`` is the account's own, None if it has none. ``hedging`` is None if it can't be
    read.
    """

    id: str
    currency: str
    balance: Decimal
    nav: Decimal
    unrealized_pl: Decimal
    pl: Decimal
    margin_used: Decimal
    margin_available: Decimal
    position_value: Decimal
    margin_closeout_percent: Decimal
    open_trade_count: int
    open_position_count: int
    last_transaction_id: int
    margin_rate: Decimal | None = None
    hedging: bool | None = False
    guaranteed_stop_mode: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Open units of one instrument; short units are <= 0, an empty side has no price."""

    instrument: str
    long_units: Decimal
    short_units: Decimal
    long_average_price: Decimal | None
    short_average_price: Decimal | None
    unrealized_pl: Decimal
    margin_used: Decimal


@dataclass(frozen=True, slots=True)
class Positions:
    """Open positions, sorted by instrument, as of ``last_transaction_id``."""

    positions: tuple[Position, ...]
    last_transaction_id: int
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """An open trade; ``client_id`` and ``client_tag`` are empty if it was opened manually."""

    id: int
    instrument: str
    price: Decimal
    current_units: Decimal
    initial_units: Decimal
    unrealized_pl: Decimal
    opened_ns: int
    client_id: str
    client_tag: str
    stop_loss_price: Decimal | None
    take_profit_price: Decimal | None
    stop_loss_state: str = ""
    take_profit_state: str = ""
    financing: Decimal = Decimal(0)
    margin_used: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OpenTrades:
    """Open trades, oldest first, as of ``last_transaction_id``."""

    trades: tuple[Trade, ...]
    last_transaction_id: int
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Instruments:
    """Tradeable instruments, sorted by name."""

    instruments: tuple[Instrument, ...]
    left_out: tuple[LeftOut, ...] = ()

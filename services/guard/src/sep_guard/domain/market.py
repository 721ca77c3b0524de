"""Inputs of a decision: account, holdings, and the market and signal of each instrument."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sep_fx.instrument import Instrument
from sep_fx.sessions import SessionState

from sep_guard.domain.risk.price_reference import References

ZERO = Decimal(0)
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The broker's account, in home currency.

    Attributes:
        margin_rate: the account's own, None where it has none.
        closeout_percent: 1 is where the broker closes all positions; None where it is not known.
        unsupported: what the account is that this stack can't trade; empty for none.
    """

    balance: Decimal
    nav: Decimal
    margin_used: Decimal
    margin_available: Decimal
    last_transaction_id: str = ""
    margin_rate: Decimal | None = None
    closeout_percent: Decimal | None = None
    unsupported: tuple[str, ...] = ()

    @property
    def last_id(self) -> int:
        """The newest transaction that is included, as a number."""
        return int(self.last_transaction_id or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """An open trade; ``units`` are signed, ``own`` means that this stack opened it.

    ``stop_loss`` is the price of its stop, None without one; ``decided_stop`` the stop that its
    entry was decided with, None where that is not known.
    """

    id: str
    instrument: str
    units: Decimal
    own: bool
    client_id: str = ""
    stop_loss: Decimal | None = None
    decided_stop: Decimal | None = None
    margin_used: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A trade that can't be read; the instrument is ``*`` where it may be any."""

    instrument: str
    name: str
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Signed units of one instrument: ``managed`` opened by this stack, ``manual`` by others.

    Attributes:
        manual_gross: absolute units opened by others, long and short added up.
        trades: the open trades behind it, oldest first; none where they are not known one by one.
        left_out: trades that can't be read and may belong to it.
    """

    managed: Decimal = ZERO
    manual: Decimal = ZERO
    manual_gross: Decimal = ZERO
    trades: tuple[Trade, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def manual_units(self) -> Decimal:
        """Absolute units opened by others; hedged ones do not cancel out."""
        return max(self.manual_gross, abs(self.manual))

    @property
    def manual_hedged(self) -> bool:
        """Whether others hold both sides."""
        return self.manual_gross > abs(self.manual)

    @property
    def total(self) -> Decimal:
        """Signed units, managed and manual."""
        return self.managed + self.manual


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price of the broker; ``ts_ms`` is the broker's own time of it."""

    bid: Decimal
    ask: Decimal
    ts_ms: int
    tradeable: bool

    @property
    def mid(self) -> Decimal:
        """Middle of bid and ask."""
        return (self.bid + self.ask) / 2

    @property
    def spread_bps(self) -> Decimal:
        """Spread in basis points of the mid."""
        return (self.ask - self.bid) / self.mid * 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Distances of stop and take profit from the entry price, in price units.

    ``max_spread`` is the widest spread at which the stop is far enough away, None for any.
    """

    stop: Decimal
    take_profit: Decimal
    max_spread: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalParams:
    """The parameters that the instrument's gate was judged by.

    Shares are in [0, 1]; the cooldowns run from an exit to the next entry, and from an entry
    to an exit by reversal or rupture.
    """

    c_min: float
    min_stability: float
    max_rupture: float
    max_entropy: float
    max_spread_bps: Decimal
    entry_cooldown_s: int
    exit_cooldown_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Metrics of the last complete window; ``ended_ms`` is the end of its last bar.

    ``direction`` is 1 for long, -1 for short, 0 for none. ``close`` is the closing mid of that
    bar, ``sigma_eff`` the standard deviation of its window's log returns. ``params`` is None
    in a signal of an earlier version.
    """

    ended_ms: int
    coherence: float
    stability: float
    entropy: float
    rupture: float
    direction: int
    bracket: Bracket | None
    close: Decimal | None = None
    sigma_eff: Decimal | None = None
    params: SignalParams | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifold:
    """Time and price of a live manifold."""

    ts_ms: int
    price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One instrument at one moment. None marks what could not be read.

    ``manifold_ms`` and ``manifold_price`` are time and price of the live manifold,
    ``home_per_quote`` the value of one unit of the quote currency in home currency.
    ``margin_factor`` is what the broker's margin is of the modelled one, 1 while they agree.
    ``listed`` is False for an instrument that the broker does not list any more.
    ``week_closes_s`` is when the FX week ends, in seconds; None for a market without one.
    """

    instrument: Instrument
    session: SessionState
    signal: Signal | None
    manifold_ms: int | None
    quote: Quote | None
    home_per_quote: Decimal | None
    holding: Holding
    order_unknown: bool
    manifold_price: Decimal | None = None
    margin_factor: Decimal = _ONE
    listed: bool = True
    week_closes_s: int | None = None

    @property
    def has_value(self) -> bool:
        """Whether the value of a unit is known: there are a price and a conversion rate."""
        return self.quote is not None and self.home_per_quote is not None

    @property
    def value_per_unit(self) -> Decimal | None:
        """Value of one unit in home currency; None where price or conversion is missing."""
        if self.quote is None or self.home_per_quote is None:
            return None
        return self.quote.mid * self.home_per_quote

    @property
    def references(self) -> References:
        """Prices that the quote is held against."""
        return References(
            candle_close=self.signal.close if self.signal else None,
            manifold_price=self.manifold_price,
            sigma_eff=self.signal.sigma_eff if self.signal else None,
        )

    @property
    def modelled_margin_per_unit(self) -> Decimal | None:
        """Margin of one unit by its margin rate; None without a quote or a conversion rate."""
        unit_value = self.value_per_unit
        return None if unit_value is None else unit_value * self.instrument.margin_rate

    @property
    def margin_per_unit(self) -> Decimal | None:
        """Margin of one unit in home currency; None without a quote or a conversion rate.

        The larger of the modelled margin and of what the broker's own count makes of it.
        """
        unit_value = self.value_per_unit
        return None if unit_value is None else self.margin_of(unit_value)

    def margin_of(self, value: Decimal) -> Decimal:
        """Margin of units of this value, as ``margin_per_unit`` counts it."""
        modelled = value * self.instrument.margin_rate
        return modelled if self.margin_factor <= 1 else modelled * self.margin_factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The allocator's weights, as fractions of margin available; times in ms.

    ``gates_ts`` is the time of the gates blob that they were made from; ``held`` means that
    the allocator repeated its last weights because it could not make new ones, and
    ``held_instruments`` are single ones whose weight it repeated.
    """

    ts: int
    gates_ts: int | None
    by_instrument: Mapping[str, Decimal]
    held: bool
    held_instruments: frozenset[str] = frozenset()

    def holds(self, instrument: str) -> bool:
        """Whether the weight of an instrument is a repeated one: nothing is entered on it."""
        return self.held or instrument in self.held_instruments

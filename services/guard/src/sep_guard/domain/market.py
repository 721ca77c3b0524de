"""Inputs of a decision: account, holdings, and the market and signal of each instrument."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sep_fx.instrument import Instrument
from sep_fx.sessions import SessionState

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The broker's account, in home currency."""

    balance: Decimal
    nav: Decimal
    margin_used: Decimal
    margin_available: Decimal
    last_transaction_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Signed units of one instrument: ``managed`` opened by this stack, ``manual`` by others."""

    managed: Decimal = ZERO
    manual: Decimal = ZERO

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
class Signal:
    """Metrics of the last complete window; ``ended_ms`` is the end of its last bar.

    ``direction`` is 1 for long, -1 for short, 0 for none.
    """

    ended_ms: int
    coherence: float
    stability: float
    entropy: float
    rupture: float
    direction: int
    bracket: Bracket | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One instrument at one moment. None marks what could not be read.

    ``manifold_ms`` is the time of the live manifold, ``home_per_quote`` the value of one unit
    of the quote currency in home currency.
    """

    instrument: Instrument
    session: SessionState
    signal: Signal | None
    manifold_ms: int | None
    quote: Quote | None
    home_per_quote: Decimal | None
    holding: Holding
    order_unknown: bool

    @property
    def margin_per_unit(self) -> Decimal | None:
        """Margin of one unit in home currency; None without a quote or a conversion rate."""
        if self.quote is None or self.home_per_quote is None:
            return None
        return self.quote.mid * self.home_per_quote * self.instrument.margin_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The allocator's weights, as fractions of margin available; times in ms.

    ``gates_ts`` is the time of the gates blob that they were made from; ``held`` means that
    the allocator repeated its last weights because it could not make new ones.
    """

    ts: int
    gates_ts: int | None
    by_instrument: Mapping[str, Decimal]
    held: bool

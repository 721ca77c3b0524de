"""What the guard sees: account, holdings, and each instrument's market and signal."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sep_fx.instrument import Instrument
from sep_fx.sessions import SessionState

from sep_guard.domain.risk.price_reference import References

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Account:
    """The account in home currency, as the broker tells it."""

    balance: Decimal
    nav: Decimal
    margin_used: Decimal
    margin_available: Decimal
    last_transaction_id: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """Signed units in one instrument: opened by this stack, and by anybody else."""

    managed: Decimal = ZERO
    manual: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Quote:
    """A broker's price; ``ts_ms`` is when the broker made it."""

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


@dataclass(frozen=True, slots=True)
class Bracket:
    """Distances of stop and take profit from an entry, in price units.

    ``max_spread`` is the widest spread for which the stop is far enough, None for any.
    """

    stop: Decimal
    take_profit: Decimal
    max_spread: Decimal | None


@dataclass(frozen=True, slots=True)
class Signal:
    """The last complete window; ``ended_ms`` is the end of its last bar."""

    ended_ms: int
    coherence: float
    stability: float
    entropy: float
    rupture: float
    direction: int
    bracket: Bracket | None
    close: Decimal | None = None
    sigma_eff: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Market:
    """One instrument at one moment; None stands for what could not be read."""

    instrument: Instrument
    session: SessionState
    signal: Signal | None
    manifold_ms: int | None
    quote: Quote | None
    home_per_quote: Decimal | None
    holding: Holding
    order_unknown: bool
    manifold_price: Decimal | None = None

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
    def margin_per_unit(self) -> Decimal | None:
        """Margin of one unit in home currency; None where price or conversion is missing."""
        if self.quote is None or self.home_per_quote is None:
            return None
        return self.quote.mid * self.home_per_quote * self.instrument.margin_rate


@dataclass(frozen=True, slots=True)
class Weights:
    """The allocator's weights, as shares of margin available; times in ms."""

    ts: int
    gates_ts: int | None
    by_instrument: Mapping[str, Decimal]
    held: bool

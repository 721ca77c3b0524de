"""A day of trading in the form in which live and replay are compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal(0)
OPEN = "open"
"""The exit of a trade that is open at the end of the day; its value counts at the last close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTrade:
    """A trade. Times in ms, ``net`` in home currency.

    ``signal_ms`` is the end of the candle that it was entered on, 0 for a trade without a
    decision. ``exit`` is the guard's reason, or the broker's where the guard decided none, or
    ``OPEN``. ``cut`` means that a limit cut its size.
    """

    id: str
    instrument: str
    units: Decimal
    signal_ms: int
    opened_ms: int
    closed_ms: int
    open_price: Decimal
    close_price: Decimal
    net: Decimal
    exit: str
    cut: bool = False

    @property
    def side(self) -> int:
        """1 for long, -1 for short."""
        return 1 if self.units > 0 else -1

    def open_at(self, ts_ms: int) -> bool:
        """Whether it was open at a time."""
        return self.opened_ms <= ts_ms < self.closed_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSeen:
    """What a decision was made on; ``close`` is the closing mid of the candle."""

    ended_ms: int
    direction: int
    close: float
    figures: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayDecision:
    """A decision, in force from ``ts_ms`` to ``last_ts_ms``: a refusal that is repeated is one.

    ``filled`` is False for an entry whose order came to nothing.
    """

    id: str
    instrument: str
    kind: str
    reasons: tuple[str, ...]
    ts_ms: int
    last_ts_ms: int
    signal: SignalSeen | None = None
    filled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingDay:
    """The trades that were opened in a day and all decisions of it, oldest first.

    ``carried`` are the units held from the day before, by instrument. ``signals`` are known of a
    replay alone: all of the day, by instrument and the end of their candle.
    """

    start_ms: int
    end_ms: int
    trades: Sequence[DayTrade]
    decisions: Sequence[DayDecision]
    carried: Mapping[str, Decimal] = field(default_factory=dict)
    signals: Mapping[tuple[str, int], SignalSeen] = field(default_factory=dict)


Mark = Callable[[str, int], tuple[Decimal, Decimal] | None]
"""Closing price for a side of an instrument, and home currency for one unit of its quote
currency, at the end of the day; None without a candle."""

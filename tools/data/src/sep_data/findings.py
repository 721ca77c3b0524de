"""Findings of a check, as values and as text."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sep_fx.instants import format_seconds


class Kind(StrEnum):
    """What is wrong; the values are printed."""

    UNREADABLE = "UNREADABLE"
    CONTENT_DIFFERS = "CONTENT_DIFFERS"
    UNLISTED = "UNLISTED"
    LEFT_OUT = "LEFT_OUT"
    GAP = "GAP"
    DUPLICATE = "DUPLICATE"
    NOT_IN_ORDER = "NOT_IN_ORDER"
    WRONG_STEP = "WRONG_STEP"
    OFF_GRID = "OFF_GRID"
    BAR_LENGTH = "BAR_LENGTH"
    FUTURE = "FUTURE"
    NOT_A_PRICE = "NOT_A_PRICE"
    HIGH_LOW = "HIGH_LOW"
    CROSSED = "CROSSED"
    SPIKE = "SPIKE"
    FLAT_WEEKEND = "FLAT_WEEKEND"
    MARKET_CLOSED = "MARKET_CLOSED"
    SHIFTED_TIME_ZONE = "SHIFTED_TIME_ZONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of fault in one series.

    Attributes:
        count: bars, gaps or weeks that have it.
        first, last: start of the first and last bar that has it, seconds; None where no bar has.
        detail: the figures of the first one.
    """

    instrument: str
    granularity: str
    kind: Kind
    count: int
    first: int | None = None
    last: int | None = None
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values; times as in candle files."""
        times = {n: _time(getattr(self, n)) for n in ("first", "last")}
        return {**asdict(self), **times, "kind": self.kind.value}

    def __str__(self) -> str:
        span = "" if self.first is None else f" {_time(self.first)}"
        span += "" if self.last in (None, self.first) else f" to {_time(self.last)}"
        return (
            f"{self.instrument} {self.granularity} {self.kind.value}: {self.count}{span}"
            f"{': ' if self.detail else ''}{self.detail}"
        )


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else format_seconds(seconds)

"""What part of an instrument's history is known to be complete, and what to ask for next.

One contiguous stretch is kept: it grows forward, page by page, until now, and
backward when more days are wanted than it has. It is stored after the candles, so a
crash asks again for at most one page.
"""

from dataclasses import dataclass, replace

from sep_gateway.domain.candle_check import Judged

PAGE = 5000


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every complete bar with ``since <= start <= last`` was asked for; whole seconds.

    ``last`` is the start of a bar, or ``since - 1`` while none was seen.
    """

    since: int
    last: int


@dataclass(frozen=True, slots=True)
class ForwardPage:
    """Ask for the first bars from an instant on; ``include_first`` False goes on after a bar."""

    start: int
    include_first: bool


@dataclass(frozen=True, slots=True)
class BackwardPage:
    """Ask for the last bars that start before an instant, or the newest where it is None."""

    before: int | None = None


def wanted_since(now_s: int, days: float, bar_seconds: int) -> int:
    """Start of the oldest bar that a backfill of so many days wants."""
    return int(now_s - days * 86_400) // bar_seconds * bar_seconds


def next_forward(coverage: Coverage | None, wanted: int) -> ForwardPage:
    """The page that makes the stretch longer toward now."""
    if coverage is None:
        return ForwardPage(wanted, include_first=True)
    if coverage.last < coverage.since:
        return ForwardPage(coverage.since, include_first=True)
    return ForwardPage(coverage.last, include_first=False)


def next_backward(coverage: Coverage, wanted: int) -> BackwardPage | None:
    """The page that makes the stretch longer toward the past; None when it is long enough."""
    return BackwardPage(coverage.since) if coverage.since > wanted else None


def extend_forward(coverage: Coverage | None, page: ForwardPage, judged: Judged) -> Coverage:
    """The stretch after a forward page was stored."""
    known = coverage or Coverage(page.start, page.start - 1)
    if judged.settled is None:
        return known
    return replace(known, last=max(known.last, judged.settled))


def extend_backward(coverage: Coverage, judged: Judged, wanted: int) -> Coverage:
    """The stretch after a backward page was stored; a short page means the broker has no more."""
    first = judged.first
    if first is None or judged.sent < PAGE or first >= coverage.since:
        return replace(coverage, since=wanted)
    return replace(coverage, since=max(first, wanted))


def caught_up(before: Coverage | None, after: Coverage, judged: Judged) -> bool:
    """Whether a forward page reached the present: it was short, or a bar is still under way."""
    stuck = before is not None and after == before
    return judged.sent < PAGE or judged.waiting or stuck

"""Which part of an instrument's history is complete, and which page to fetch next.

Coverage is one contiguous range. It grows forward page by page until now, and backward when
more days are wanted than it has. It is stored after the candles, so a crash repeats at most
one page.
"""

from dataclasses import dataclass, replace

from sep_gateway.domain.candle_check import CheckedPage

PAGE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Every complete bar with ``since <= start <= last`` was fetched; whole seconds.

    ``last`` is the start of a bar, or ``since - 1`` before the first.
    """

    since: int
    last: int


@dataclass(frozen=True, slots=True)
class ForwardPage:
    """The first bars from ``start`` (seconds); ``include_first`` False skips the bar there."""

    start: int
    include_first: bool


@dataclass(frozen=True, slots=True)
class BackwardPage:
    """The last bars that start before ``before`` (seconds), or the newest if it is None."""

    before: int | None = None


def wanted_since(now_s: int, days: float, bar_seconds: int) -> int:
    """Start of the oldest bar of a backfill over ``days``, in seconds."""
    return int(now_s - days * 86_400) // bar_seconds * bar_seconds


def next_forward(coverage: Coverage | None, wanted: int) -> ForwardPage:
    """The page that extends the coverage toward now."""
    if coverage is None:
        return ForwardPage(wanted, include_first=True)
    if coverage.last < coverage.since:
        return ForwardPage(coverage.since, include_first=True)
    return ForwardPage(coverage.last, include_first=False)


def next_backward(coverage: Coverage, wanted: int) -> BackwardPage | None:
    """The page that extends the coverage into the past; None when it reaches ``wanted``."""
    return BackwardPage(coverage.since) if coverage.since > wanted else None


def extend_forward(coverage: Coverage | None, page: ForwardPage, checked: CheckedPage) -> Coverage:
    """Coverage after a forward page was stored."""
    known = coverage or Coverage(since=page.start, last=page.start - 1)
    if checked.settled is None:
        return known
    return replace(known, last=max(known.last, checked.settled))


def extend_backward(coverage: Coverage, checked: CheckedPage, wanted: int) -> Coverage:
    """Coverage after a backward page was stored; after a short page the broker has no more."""
    first = checked.first
    if first is None or checked.sent < PAGE or first >= coverage.since:
        return replace(coverage, since=wanted)
    return replace(coverage, since=max(first, wanted))


def caught_up(before: Coverage | None, after: Coverage, checked: CheckedPage) -> bool:
    """Whether a forward page reached now: it was short, or contains an incomplete bar."""
    stuck = before is not None and after == before
    return checked.sent < PAGE or checked.waiting or stuck

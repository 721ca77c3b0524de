"""Which of the broker's candles may be stored, and up to where a page is final."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sep_fx.freshness import newest_stamp_ms
from sep_fx.instants import NS_PER_MS, NS_PER_SECOND

from sep_gateway.domain.candle_page import UNTIMED, CandlePage, Fault, Flags, Ints

MAX_DIGITS_BEYOND_DISPLAY = 1
_LARGEST_STORED = 2**31
# A bar that is still incomplete this long after its end will never complete.
_COMPLETION_LIMIT_S = 900
# A bar is dated by its start and the broker's clock: more is tolerated than of our own machines.
_AHEAD_S = 30


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A candle that is not stored: ``reason`` is a stable name, ``text`` the details."""

    time_ns: int | None
    reason: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPage:
    """A page of candles after validation.

    ``time``, ``points`` and ``volume`` are the columns of the candles to store: starts in
    seconds, prices as integers in units of 10^-``digits``. ``settled`` is the start in seconds
    of the last bar up to which nothing can change any more, None if there is none; ``waiting``
    is set if a bar is not complete yet. ``complete`` and ``sent`` count the page's complete
    rows and all its rows; ``first`` is the oldest start that could be parsed.
    """

    time: Ints
    points: Ints
    volume: Ints
    digits: int
    quarantined: tuple[Quarantined, ...]
    settled: int | None
    waiting: bool
    complete: int
    sent: int
    first: int | None


def check_page(
    page: CandlePage, bar_seconds: int, display_precision: int, now_ns: int
) -> CheckedPage:
    """Sort a page into candles to store, candles to quarantine and bars to fetch again.

    Args:
        display_precision: decimals of the instrument's price.
    """
    refusals = _Refusals(page)
    _check_times(refusals, bar_seconds, now_ns)
    placed = refusals.left
    known = placed | _timed_faults(page, now_ns)
    starts = page.time_ns // NS_PER_SECOND
    pending = ~page.complete & (
        now_ns // NS_PER_SECOND < starts + bar_seconds + _COMPLETION_LIMIT_S
    )
    waiting = placed & pending
    refusals.refuse(
        ~page.complete & ~pending,
        "never_completed",
        lambda _: f"incomplete {_COMPLETION_LIMIT_S} s after its end",
    )
    digits = display_precision + MAX_DIGITS_BEYOND_DISPLAY
    _check_values(refusals, digits)
    good = refusals.left & page.complete
    points, volume, digits = _narrowed(page, good, digits)
    return CheckedPage(
        time=starts[good],
        points=points,
        volume=volume,
        digits=digits,
        quarantined=refusals.quarantined(),
        settled=_settled(page.time_ns[known & ~np.logical_or.accumulate(waiting)], bar_seconds),
        waiting=bool(waiting.any()),
        complete=int((known & page.complete).sum()),
        sent=len(page),
        first=int(starts[known].min()) if known.any() else None,
    )


class _Refusals:
    """Rows of a page that passed so far, and the first reason against each of the others."""

    def __init__(self, page: CandlePage) -> None:
        self.page = page
        self.faults = dict(page.faults)
        self.left: Flags = np.ones(len(page), np.bool_)
        self.left[list(page.faults)] = False

    def refuse(self, bad: Flags, reason: str, describe: Callable[[int], str]) -> None:
        """Refuse the bad rows among those that are left."""
        bad = bad & self.left
        for row in np.flatnonzero(bad).tolist():
            self.faults[row] = Fault(reason, describe(row))
        self.left = self.left & ~bad

    def quarantined(self) -> tuple[Quarantined, ...]:
        """The refused rows in page order."""
        times = self.page.time_ns.tolist()
        return tuple(
            Quarantined(None if times[row] == UNTIMED else times[row], fault.reason, fault.text)
            for row, fault in sorted(self.faults.items())
        )


def _check_times(refusals: _Refusals, bar_seconds: int, now_ns: int) -> None:
    times = refusals.page.time_ns
    refusals.refuse(
        times % (bar_seconds * NS_PER_SECOND) != 0,
        "misaligned",
        lambda _: f"does not start at a multiple of {bar_seconds} s",
    )
    refusals.refuse(_in_future(times, now_ns), "in_future", lambda _: "starts in the future")
    newest = np.maximum.accumulate(np.where(refusals.left, times, UNTIMED))
    before = np.concatenate([[UNTIMED], newest[:-1]])
    refusals.refuse(
        times <= before, "out_of_order", lambda _: "not later than the candle before it"
    )


def _check_values(refusals: _Refusals, digits: int) -> None:
    """Refuse complete candles with impossible values, or that can't be stored exactly."""
    page = refusals.page
    points, complete = page.points, page.complete
    bid, ask = points[:, :4], points[:, 4:]
    refusals.refuse(complete & (points <= 0).any(axis=1), "not_positive", page.prices)
    for side in (bid, ask):
        opens, high, low, close = side.T
        refusals.refuse(complete & (high < low), "high_below_low", page.prices)
        outside = (np.maximum(opens, close) > high) | (np.minimum(opens, close) < low)
        refusals.refuse(complete & outside, "outside_its_range", page.prices)
    refusals.refuse(complete & (bid > ask).any(axis=1), "crossed", page.prices)
    beyond = 10 ** max(0, page.digits - digits)
    refusals.refuse(
        complete & (points % beyond != 0).any(axis=1),
        "too_precise",
        lambda row: f"more than {digits} decimals: {page.prices(row)}",
    )
    # A store chunk has one scale, so leave capacity for the most digits it may ever need.
    most = _LARGEST_STORED * 10**page.digits // 10**digits
    refusals.refuse(complete & (points >= most).any(axis=1), "too_large", page.prices)
    refusals.refuse(
        complete & (page.volume < 0),
        "impossible_volume",
        lambda row: f"volume is {page.volume[row]}",
    )


def _narrowed(page: CandlePage, good: Flags, digits: int) -> tuple[Ints, Ints, int]:
    """Points, volume and digits of the good rows, at most ``digits`` decimals."""
    beyond = max(0, page.digits - digits)
    return page.points[good] // 10**beyond, page.volume[good], page.digits - beyond


def _timed_faults(page: CandlePage, now_ns: int) -> Flags:
    """Unparseable rows with a valid time; fetched again they would be the same."""
    faulty = np.zeros(len(page), np.bool_)
    faulty[list(page.faults)] = True
    faulty &= (page.time_ns != UNTIMED) & ~_in_future(page.time_ns, now_ns)
    return faulty


def _settled(times: Ints, bar_seconds: int) -> int | None:
    """Start in seconds of the last bar; None if there is none."""
    if not len(times):
        return None
    return int(times.max()) // NS_PER_SECOND // bar_seconds * bar_seconds


def _in_future(times: Ints, now_ns: int) -> Flags:
    return times > round(newest_stamp_ms(now_ns // NS_PER_MS, _AHEAD_S)) * NS_PER_MS

"""Which of the broker's candles may be stored, and how far a page settles history."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sep_fx.candle_csv import check_prices
from sep_fx.instants import NS_PER_SECOND

MAX_DIGITS_BEYOND_DISPLAY = 1
_LARGEST_STORED = 2**31
# A bar that is still not complete this long after its end never will be.
_PATIENCE_S = 900
_INFINITY = float("inf")
_CLOCK_SKEW_S = 30


@dataclass(frozen=True, slots=True)
class BrokerCandle:
    """A candle as the broker sent it: start in ns, bid o,h,l,c then ask o,h,l,c."""

    time_ns: int
    complete: bool
    prices: tuple[Decimal, ...]
    volume: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What the broker sent in a candle's place; ``time_ns`` None when not even that is legible."""

    time_ns: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A candle that is not stored: ``reason`` is a stable word, ``text`` tells the rest."""

    time_ns: int | None
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A page of candles, judged.

    ``settled`` is the start in seconds of the last bar before which nothing can still
    change, None when there is none; ``waiting`` tells that a bar is not complete yet.
    """

    candles: tuple[BrokerCandle, ...]
    quarantined: tuple[Quarantined, ...]
    settled: int | None
    waiting: bool
    complete: int
    sent: int
    first: int | None


@dataclass(slots=True)
class _Tally:
    candles: list[BrokerCandle] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    settled: int | None = None
    waiting: bool = False
    complete: int = 0
    previous_ns: int = -1


def judge(
    page: Sequence[BrokerCandle | Unreadable], bar_seconds: int, display_precision: int, now_ns: int
) -> Judged:
    """Sort a page into candles to store, candles to refuse and bars to ask for again.

    Args:
        display_precision: decimals of the instrument's price.
    """
    tally = _Tally()
    for sent in page:
        fault = _fault_of_time(sent, tally.previous_ns, bar_seconds, now_ns)
        if fault is None and isinstance(sent, BrokerCandle):
            tally.previous_ns = sent.time_ns
            _judge_readable(tally, sent, bar_seconds, display_precision, now_ns)
        elif fault is not None:
            tally.quarantined.append(fault)
            _settle_unreadable(tally, fault, bar_seconds)
    times = [sent.time_ns // NS_PER_SECOND for sent in page if sent.time_ns is not None]
    return Judged(
        tuple(tally.candles),
        tuple(tally.quarantined),
        tally.settled,
        tally.waiting,
        tally.complete,
        len(page),
        min(times, default=None),
    )


def _fault_of_time(
    sent: BrokerCandle | Unreadable, previous_ns: int, bar_seconds: int, now_ns: int
) -> Quarantined | None:
    if isinstance(sent, Unreadable):
        return Quarantined(sent.time_ns, "malformed", sent.text)
    if sent.time_ns % (bar_seconds * NS_PER_SECOND):
        return Quarantined(
            sent.time_ns, "misaligned", f"starts between two bars of {bar_seconds} s"
        )
    if sent.time_ns > now_ns + _CLOCK_SKEW_S * NS_PER_SECOND:
        return Quarantined(sent.time_ns, "in_future", "starts in the future")
    if sent.time_ns <= previous_ns:
        return Quarantined(sent.time_ns, "out_of_order", "does not come after the one before it")
    return None


def _settle_unreadable(tally: _Tally, fault: Quarantined, bar_seconds: int) -> None:
    # Asked for again it would be the same: history goes on behind it.
    if fault.reason == "malformed" and fault.time_ns is not None and not tally.waiting:
        start = fault.time_ns // NS_PER_SECOND // bar_seconds * bar_seconds
        tally.settled = max(start, tally.settled or start)


def _judge_readable(
    tally: _Tally, sent: BrokerCandle, bar_seconds: int, display_precision: int, now_ns: int
) -> None:
    start = sent.time_ns // NS_PER_SECOND
    if not sent.complete:
        if now_ns // NS_PER_SECOND < start + bar_seconds + _PATIENCE_S:
            tally.waiting = True
            return
        tally.quarantined.append(
            Quarantined(
                sent.time_ns, "never_completed", f"incomplete {_PATIENCE_S} s after its end"
            )
        )
    else:
        tally.complete += 1
        reason, text = _fault_of_values(sent, display_precision)
        if reason:
            tally.quarantined.append(Quarantined(sent.time_ns, reason, text))
        else:
            tally.candles.append(sent)
    if not tally.waiting:
        tally.settled = start


def _fault_of_values(sent: BrokerCandle, display_precision: int) -> tuple[str, str]:
    prices = tuple(float(price) for price in sent.prices)
    if not _plainly_possible(prices):
        try:
            check_prices(prices)
        except ValueError as error:
            return "impossible_prices", str(error)
    digits = display_precision + MAX_DIGITS_BEYOND_DISPLAY
    for price in sent.prices:
        exponent = price.as_tuple().exponent
        if isinstance(exponent, int) and -exponent > digits:
            return "too_precise", f"{price} has more than {digits} decimals"
    if max(prices) >= _LARGEST_STORED / 10**digits:
        return "too_large", f"{max(prices)} can't be stored with {digits} decimals"
    if sent.volume < 0:
        return "impossible_volume", f"volume is {sent.volume}"
    return "", ""


def _plainly_possible(prices: tuple[float, ...]) -> bool:
    """A quick yes for what ``check_prices`` accepts: a backfill asks it a million times."""
    o, h, low, c, ask_o, ask_h, ask_low, ask_c = prices
    return (
        0.0 < low <= o <= h
        and low <= c <= h
        and 0.0 < ask_low <= ask_o <= ask_h < _INFINITY
        and ask_low <= ask_c <= ask_h
        and o <= ask_o
        and h <= ask_h
        and low <= ask_low
        and c <= ask_c
    )

"""Candles aggregated from ticks, and the selection of candles for a query."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from sep_fx.instants import NS_PER_SECOND

from sep_paper_broker.market.alignment import CandleGrid
from sep_paper_broker.market.market import Market, ticks_between
from sep_paper_broker.market.ticks import Ticks

Ints = npt.NDArray[np.int64]

MAX_COUNT, DEFAULT_COUNT = 5000, 500
# A candle is complete this long after its end; until then late ticks may still arrive.
SETTLING_NS = 300_000_000
# Ticks are aggregated in chunks of this length, to bound the memory of a request for years of
# daily candles.
_CHUNK_SECONDS = 4 * 86_400


class BadCandleQueryError(ValueError):
    """Candle parameters that the broker refuses; the text names the parameter."""


@dataclass(frozen=True, slots=True)
class Candles:
    """n candles of one instrument in time order.

    ``start`` is in seconds since the epoch, shape (n,). ``bid`` and ``ask`` hold open, high, low
    and close in points, shape (4, n); ``mid`` holds them in half points, which is exact.
    ``volume`` counts ticks, shape (n,).
    """

    start: Ints
    bid: Ints
    ask: Ints
    mid: Ints
    volume: Ints

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def of(cls, ticks: Ticks, grid: CandleGrid) -> Self:
        """Aggregate ticks. A period without a tick has no candle."""
        starts = grid.starts(ticks.time)
        if not len(starts):
            none = np.empty((4, 0), np.int64)
            return cls(starts, none, none, none, starts)
        first = np.flatnonzero(np.diff(starts, prepend=starts[0] - 1))
        last = np.append(first[1:], len(starts)) - 1
        return cls(
            starts[first],
            _ohlc(ticks.bid, first, last),
            _ohlc(ticks.ask, first, last),
            _ohlc(ticks.bid + ticks.ask, first, last),
            last - first + 1,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The parts in sequence; at least one part."""
        return cls(
            np.concatenate([p.start for p in parts]),
            np.concatenate([p.bid for p in parts], axis=1),
            np.concatenate([p.ask for p in parts], axis=1),
            np.concatenate([p.mid for p in parts], axis=1),
            np.concatenate([p.volume for p in parts]),
        )

    def slice(self, start: int, stop: int) -> Self:
        """Candles ``start`` up to but not including ``stop``."""
        return type(self)(
            self.start[start:stop],
            self.bid[:, start:stop],
            self.ask[:, start:stop],
            self.mid[:, start:stop],
            self.volume[start:stop],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleQuery:
    """The candles a client asks for. Times are in nanoseconds since the epoch."""

    grid: CandleGrid
    count: int | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    include_first: bool = True


def select_candles(market: Market, instrument: str, query: CandleQuery, now_ns: int) -> Candles:
    """The candles of a query as of ``now_ns``; the last one may be incomplete.

    Raises:
        BadCandleQueryError: the parameters contradict each other or ask for too many candles.
    """
    _check(query, now_ns)
    grid = query.grid
    # The ticks of a second exist from its start.
    stop = now_ns // NS_PER_SECOND + 1
    if query.to_ns is not None:
        # A candle that starts before `to` is included whole, with its ticks after `to`.
        before = -(-query.to_ns // NS_PER_SECOND) - 1
        stop = min(stop, grid.end_of(grid.start_of(before)))
    if query.from_ns is None:
        return _last(market, instrument, grid, query.count or DEFAULT_COUNT, stop)
    begin = query.from_ns // NS_PER_SECOND
    start = grid.start_of(begin)
    wanted = (query.count or DEFAULT_COUNT) if query.to_ns is None else MAX_COUNT
    # One more in case the first is excluded, and one more to detect too many.
    found = _first(market, instrument, grid, (start, stop), wanted + 2)
    if not query.include_first and len(found) and found.start[0] <= begin:
        found = found.slice(1, len(found))
    if query.to_ns is not None and len(found) > MAX_COUNT:
        raise BadCandleQueryError(
            f"The time range holds more than the maximum of {MAX_COUNT} candles"
        )
    return found.slice(0, wanted)


def is_complete(candle_end_s: int, now_ns: int) -> bool:
    """Whether a candle that ends at ``candle_end_s`` is complete."""
    return now_ns >= candle_end_s * NS_PER_SECOND + SETTLING_NS


def _check(query: CandleQuery, now_ns: int) -> None:
    begin, end = query.from_ns, query.to_ns
    if query.count is not None:
        if begin is not None and end is not None:
            raise BadCandleQueryError("'count' cannot be specified with both 'from' and 'to'")
        if query.count < 1:
            raise BadCandleQueryError("Invalid value specified for 'count'")
        if query.count > MAX_COUNT:
            raise BadCandleQueryError(f"Maximum value for 'count' is {MAX_COUNT}")
    if not query.include_first and begin is None:
        raise BadCandleQueryError("'includeFirst' needs 'from'")
    for name, instant in (("from", begin), ("to", end)):
        if instant is not None and instant > now_ns:
            raise BadCandleQueryError(
                f"Invalid value specified for '{name}'. Time is in the future"
            )
    if begin is not None and end is not None and begin > end:
        raise BadCandleQueryError("'from' must not come after 'to'")


def _first(
    market: Market, instrument: str, grid: CandleGrid, span: tuple[int, int], count: int
) -> Candles:
    """The first ``count`` candles of a span that starts at the start of a candle."""
    start, stop = span
    start = max(start, grid.start_of(market.begins(instrument)))
    parts: list[Candles] = [Candles.of(Ticks.empty(), grid)]
    found = 0
    while start < stop and found < count:
        chunk = min(_CHUNK_SECONDS, (count - found) * grid.granularity.seconds)
        until = min(stop, grid.end_of(grid.start_of(start + chunk - 1)))
        part = Candles.of(ticks_between(market, instrument, start, until), grid)
        parts.append(part)
        found += len(part)
        start = until
    return Candles.concatenate(parts).slice(0, count)


def _last(market: Market, instrument: str, grid: CandleGrid, count: int, stop: int) -> Candles:
    """The last ``count`` candles that start before ``stop``."""
    begins = market.begins(instrument)
    parts: list[Candles] = [Candles.of(Ticks.empty(), grid)]
    found = 0
    while stop > begins and found < count:
        span = min(_CHUNK_SECONDS, (count - found) * grid.granularity.seconds)
        start = grid.start_of(stop - span)
        part = Candles.of(ticks_between(market, instrument, start, stop), grid)
        parts.append(part)
        found += len(part)
        stop = start
    return Candles.concatenate(parts[:1] + parts[:0:-1]).slice(max(0, found - count), found)


def _ohlc(points: Ints, first: Ints, last: Ints) -> Ints:
    return np.stack(
        [
            points[first],
            np.maximum.reduceat(points, first),
            np.minimum.reduceat(points, first),
            points[last],
        ]
    )

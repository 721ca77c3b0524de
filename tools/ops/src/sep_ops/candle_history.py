"""Which stored candles a stack lacks, and how to fetch them."""

from collections.abc import Iterator
from dataclasses import dataclass

from sep_fx.granularity import Granularity
from sep_fx.instants import format_seconds
from sep_fx.sessions import fx_week_open

from sep_ops.connection import CallError, StackClient

MAX_COUNT = 200_000
"""Most candles that one fetch may ask for."""

_LIST_LIMIT = 5_000  # up to here candles are listed and counted; beyond it slots are sampled
_HOUR_S, _DAY_S = 3600, 86_400
_HOURLY_UP_TO_S = 5 * _DAY_S
_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class History:
    """How many of the latest candles are wanted, and the time that they span in seconds."""

    granularity: Granularity
    count: int
    span_s: int

    @classmethod
    def of_count(cls, granularity: Granularity, count: int) -> "History":
        """The latest ``count`` candles."""
        return cls(granularity=granularity, count=count, span_s=count * granularity.seconds)

    @classmethod
    def of_days(
        cls, granularity: Granularity, days: float, now_s: int, *, always: bool
    ) -> "History":
        """The candles of the last ``days``: the most that can exist, at most ``MAX_COUNT``.

        Args:
            always: the market never closes; otherwise it closes over the weekend, as FX does.
        """
        span = int(min(days * _DAY_S, MAX_COUNT * granularity.seconds))
        hours = range(now_s - span, now_s, _HOUR_S)
        share = sum(always or fx_week_open(hour) for hour in hours) / max(1, len(hours))
        count = max(1, round(share * span / granularity.seconds))
        return cls(granularity=granularity, count=count, span_s=span)

    def slots(self, now_s: int) -> Iterator[tuple[int, int]]:
        """Start and end of each hour or day of the history that must hold a candle, oldest first.

        These are the slots with an hour in which the FX market trades throughout; a simulated
        market that never closes trades then too. An aborted fetch leaves a gap of thousands of
        candles: slots of a day are enough to find it, and slots of an hour in a short history.
        """
        size = max(_HOUR_S if self.span_s <= _HOURLY_UP_TO_S else _DAY_S, self.granularity.seconds)
        first = now_s - self.span_s
        for start in range(first - first % size, now_s, size):
            hours = range(max(start, first + _HOUR_S), min(start + size, now_s - _HOUR_S), _HOUR_S)
            if any(_trades_throughout(hour) for hour in hours):
                yield start, start + size


class CandleHistory:
    """The stored candles of one stack, compared with a wanted history."""

    def __init__(self, client: StackClient, history: History) -> None:
        self._client = client
        self._history = history

    def complete(self, pair: str, now_s: int) -> str:
        """Fetch what an instrument lacks. Returns why that failed, or "".

        A broker that sends fewer candles than requested has no more of them; that is no failure.
        """
        failure = ""
        for _ in range(_ATTEMPTS):
            try:
                count = self.missing(pair, now_s)
                if not count:
                    return ""
                granularity = self._history.granularity.value
                answer = self._client.fetch_candles([pair], granularity=granularity, count=count)
            except CallError as error:
                failure = str(error)
                continue
            (stored,) = answer.stored
            return "" if stored.fetched else "the broker sent no candle"
        return failure

    def missing(self, pair: str, now_s: int) -> int:
        """How many of the latest candles to fetch so that none is missing; 0 if none is.

        Raises:
            CallError: the stack does not answer.
        """
        seconds, count = self._history.granularity.seconds, self._history.count
        stored = self._stored_times(pair, min(count, _LIST_LIMIT))
        if not stored:
            return count
        if count <= _LIST_LIMIT:
            complete = len(stored) >= count
        else:
            for start, end in self._history.slots(now_s):
                # A bar of several hours belongs to the slot in which it ends: the trading day
                # begins the evening before.
                since = start - seconds if seconds > _HOUR_S else start
                if not self._stored_times(pair, 1, (since, end)):
                    return min(MAX_COUNT, (now_s - start) // seconds + 1)
            complete = True
        recent = stored[-1] + seconds > _last_trading_hour(now_s)
        return 0 if complete and recent else count

    def _stored_times(
        self, pair: str, limit: int, between: tuple[int, int] | None = None
    ) -> list[int]:
        """Start times of stored candles in whole seconds, oldest first."""
        since, until = map(format_seconds, between) if between else (None, None)
        answer = self._client.candles(
            pair,
            granularity=self._history.granularity.value,
            limit=limit,
            since=since,
            until=until,
        )
        return [int(candle.ts_ms) // 1000 for candle in answer.candles]


def _last_trading_hour(now_s: int) -> int:
    """Start of the last full hour in which the FX market traded."""
    hour = now_s - now_s % _HOUR_S - _HOUR_S
    while not _trades_throughout(hour):
        hour -= _HOUR_S
    return hour


def _trades_throughout(hour_s: int) -> bool:
    # The daily break lies at the end of an hour.
    return fx_week_open(hour_s) and fx_week_open(hour_s + _HOUR_S - 1)

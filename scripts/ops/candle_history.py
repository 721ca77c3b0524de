"""Which candles a stack lacks, and fetching them."""

from collections.abc import Iterator
from dataclasses import dataclass

from sep_fx.granularity import Granularity
from sep_fx.instants import format_seconds
from sep_fx.sessions import fx_week_open
from stack_api import ApiError, StackApi

MAX_COUNT = 200_000
"""Candles that one fetch may ask for."""

_LISTED = 5_000  # up to here candles are read and counted, beyond it looked for slot by slot
_HOUR_S, _DAY_S = 3600, 86_400
_HOURS_UP_TO_S = 5 * _DAY_S
_ATTEMPTS = 3


@dataclass(frozen=True)
class History:
    """How many of the latest candles are wanted, and the time that they span."""

    granularity: Granularity
    count: int
    span_s: int

    @classmethod
    def of_count(cls, granularity: Granularity, count: int) -> "History":
        """The latest candles, counted."""
        return cls(granularity, count, count * granularity.seconds)

    @classmethod
    def of_days(
        cls, granularity: Granularity, days: float, now_s: int, *, always: bool
    ) -> "History":
        """The candles of the last days, as many as there can be at most.

        Args:
            always: the market never closes; an FX market sleeps over the weekend.
        """
        span = int(min(days * _DAY_S, MAX_COUNT * granularity.seconds))
        hours = range(now_s - span, now_s, _HOUR_S)
        share = sum(always or fx_week_open(hour) for hour in hours) / max(1, len(hours))
        return cls(granularity, max(1, round(share * span / granularity.seconds)), span)

    def slots(self, now_s: int) -> Iterator[tuple[int, int]]:
        """The hours or days of a long history, oldest first, in which some candle must be.

        Those with an hour in which the FX market trades throughout; a simulated market
        that never closes trades then too. A hole is what an aborted fetch leaves behind,
        thousands of candles wide: days show it, and hours where there are few days.
        """
        size = max(_HOUR_S if self.span_s <= _HOURS_UP_TO_S else _DAY_S, self.granularity.seconds)
        first = now_s - self.span_s
        for start in range(first - first % size, now_s, size):
            hours = range(max(start, first + _HOUR_S), min(start + size, now_s - _HOUR_S), _HOUR_S)
            if any(_trades_throughout(hour) for hour in hours):
                yield start, start + size


class CandleHistory:
    """The stored candles of one stack, as far as a history wants them."""

    def __init__(self, api: StackApi, history: History) -> None:
        self._api = api
        self._history = history

    def complete(self, pair: str, now_s: int) -> str:
        """Fetch what an instrument lacks; why that failed, or nothing.

        A broker that sends less than it is asked for has no more.
        """
        why = ""
        for _ in range(_ATTEMPTS):
            try:
                count = self.missing(pair, now_s)
                if not count:
                    return ""
                granularity = self._history.granularity.value
                body = {"instruments": [pair], "granularity": granularity, "count": count}
                (stored,) = self._api.post("/api/candles/fetch", body)["stored"]
            except ApiError as error:
                why = str(error)
                continue
            return "" if stored["fetched"] else "the broker sent no candle"
        return why

    def missing(self, pair: str, now_s: int) -> int:
        """How many of the latest candles to fetch, so that none is missing; 0 if none is.

        Raises:
            ApiError: the stack does not tell.
        """
        seconds, count = self._history.granularity.seconds, self._history.count
        have = self._read(pair, min(count, _LISTED))
        if not have:
            return count
        if count <= _LISTED:
            whole = len(have) >= count
        else:
            for start, end in self._history.slots(now_s):
                # A bar of several hours counts where it ends: a day begins the evening before.
                since = start - seconds if seconds > _HOUR_S else start
                if not self._read(pair, 1, format_seconds(since), format_seconds(end)):
                    return min(MAX_COUNT, (now_s - start) // seconds + 1)
            whole = True
        recent = have[-1] + seconds > _last_trading_hour(now_s)
        return 0 if whole and recent else count

    def _read(self, pair: str, limit: int, since: str = "", to: str = "") -> list[int]:
        """Times of stored candles in whole seconds."""
        limits = {"from": since, "to": to} if to else {}
        answer = self._api.get(
            "/api/candles",
            instrument=pair, granularity=self._history.granularity.value, limit=limit, **limits,
        )  # fmt: skip
        return [int(candle["ts_ms"]) // 1000 for candle in answer["candles"]]


def _last_trading_hour(now_s: int) -> int:
    """Start of the last whole hour that is over and in which the FX market traded."""
    hour = now_s - now_s % _HOUR_S - _HOUR_S
    while not _trades_throughout(hour):
        hour -= _HOUR_S
    return hour


def _trades_throughout(hour_s: int) -> bool:
    # The daily break is at an hour's end.
    return fx_week_open(hour_s) and fx_week_open(hour_s + _HOUR_S - 1)

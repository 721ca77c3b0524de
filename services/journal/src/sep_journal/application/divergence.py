"""Compares each day with its replay once it is over."""

from collections.abc import Callable
from datetime import timedelta

from sep_kit.clock import Clock, now_ms
from sep_kit.logging import get_logger

from sep_journal.divergence_ports import DayReplayer, DivergenceStore, ReplayError
from sep_journal.domain.days import date_of, day_end_ms
from sep_journal.metrics import DivergenceMetrics
from sep_journal.ports import PageRequest, Range

_log = get_logger("Divergence")
_DAY_MS = 86_400_000
_SETTLE_MS = 600_000
"""The ledger, the decisions and the last candles are in by then."""
_RETRY_MS = 1_800_000
_WEEKEND = (5, 6)


class DivergenceLoop:
    """Compares the last day that is over, on the replica with the lease.

    What fails is tried again half an hour later, for as long as it is the last day.
    """

    def __init__(
        self,
        store: DivergenceStore,
        replayer: DayReplayer,
        is_writer: Callable[[], bool],
        clock: Clock,
        metrics: DivergenceMetrics,
    ) -> None:
        self._store = store
        self._replayer = replayer
        self._is_writer = is_writer
        self._clock = clock
        self._metrics = metrics
        self._done = 0
        self._not_before = 0

    async def tick(self) -> None:
        """Compare the day if it was not compared yet.

        Raises:
            JournalUnavailableError: the database does not answer.
        """
        if not self._is_writer():
            self._metrics.clear()
            self._done = 0
            return
        now = now_ms(self._clock)
        end = last_day_end(now - _SETTLE_MS)
        if end == self._done or now < self._not_before:
            return
        times = Range(since_ms=end, until_ms=end + 1)
        found = await self._store.divergence(PageRequest(size=1), times, "")
        day = found.entries[0] if found.entries else None
        if day is None:
            live = await self._store.live_day(day_begin_ms(end), end)
            if live is None:
                self._done = end  # the account, or the journal, is younger than the day
                return
            try:
                day = await self._replayer.compare(live)
            except ReplayError as error:
                self._not_before = now + _RETRY_MS
                _log.warning("day not compared", day=date_of(end).isoformat(), error=str(error))
                return
            await self._store.save_divergence(day)
        self._done = end
        self._metrics.show(day)


def last_day_end(now: int) -> int:
    """End of the last trading day that is over; a Saturday or Sunday has none."""
    end = day_end_ms(now - _DAY_MS)
    end = end if end <= now else day_end_ms(now - 2 * _DAY_MS)
    while date_of(end).weekday() in _WEEKEND:
        end = day_begin_ms(end)
    return end


def day_begin_ms(end_ms: int) -> int:
    """End of the day before."""
    begin = day_end_ms(end_ms - _DAY_MS)
    # Where the clocks change, a day has 23 or 25 hours.
    return (
        begin
        if date_of(begin) == date_of(end_ms) - timedelta(days=1)
        else day_end_ms(end_ms - _DAY_MS - 3_600_000)
    )

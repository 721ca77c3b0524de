"""Notifies people, on the replica with the lease: makes messages, and delivers them."""

from collections.abc import Callable
from decimal import Decimal

from sep_kit.clock import Clock, now_ms

from sep_journal.application.reports import Performance, Reports
from sep_journal.domain.days import date_of, day_end_ms, day_ends
from sep_journal.domain.exact import ZERO
from sep_journal.domain.notifications import Kind, Level, Notification
from sep_journal.metrics import NotificationMetrics
from sep_journal.outbox_ports import (
    Attempt,
    Delivery,
    Destinations,
    Heartbeat,
    Outbox,
    Sender,
    Watched,
)
from sep_journal.ports import Range

_BATCH = 100
_DAY_MS = 86_400_000
_SETTLES_MS = 60_000
"""After the end of a day its last transactions and snapshot are still taken in."""
_MAX_DAYS = 7


class Notifications:
    """Makes messages of what happens, and sends those that are due."""

    def __init__(
        self,
        outbox: Outbox,
        watched: Watched,
        destinations: Destinations,
        sender: Sender,
        is_writer: Callable[[], bool],
        clock: Clock,
        metrics: NotificationMetrics,
    ) -> None:
        self._outbox = outbox
        self._watched = watched
        self._destinations = destinations
        self._sender = sender
        self._is_writer = is_writer
        self._clock = clock
        self._metrics = metrics

    async def collect(self) -> None:
        """Make messages of fills, exits, breaker and locks.

        Raises:
            JournalUnavailableError: the database does not answer.
        """
        while self._is_writer() and await self._outbox.collect(self._names(), now_ms(self._clock)):
            pass

    async def observe(self) -> None:
        """Make messages of flips, held weights, kill switch and parameters.

        Raises:
            JournalUnavailableError: the database does not answer.
            StoreUnavailableError: Valkey does not.
        """
        if self._is_writer():
            before = await self._outbox.observed()
            state = await self._watched.read(before)
            await self._outbox.observe(state, self._names(), now_ms(self._clock))

    async def deliver(self) -> None:
        """Send what is due, and record each outcome; raises as ``collect`` does.

        A process that ends between sending and recording sends again: at least once.
        """
        if not self._is_writer():
            return
        urls = self._destinations.read()
        due = await self._outbox.due(list(urls), now_ms(self._clock), _BATCH)
        if due:
            async for attempt in self._sender.send(urls, due):
                await self._outbox.record([attempt], now_ms(self._clock))
                self._metrics.count(attempt)
        at = now_ms(self._clock)
        self._metrics.show(await self._outbox.undelivered(list(urls), at), at)

    async def test(self) -> list[Attempt]:
        """Send a test message to every destination now; the outcome of each."""
        urls = self._destinations.read()
        deliveries = [
            Delivery(
                key=f"{Kind.TEST}:{now_ms(self._clock)}",
                destination=name,
                level=Level.INFO,
                title="SEP: test of notifications",
                body="This destination works. Nothing happened.",
            )
            for name in urls
        ]
        if not deliveries:
            return []
        return [attempt async for attempt in self._sender.send(urls, deliveries)]

    def _names(self) -> list[str]:
        return list(self._destinations.read())


class DailySummary:
    """Makes the summary of each trading day."""

    def __init__(
        self,
        outbox: Outbox,
        reports: Reports,
        destinations: Destinations,
        is_writer: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._reports = reports
        self._destinations = destinations
        self._is_writer = is_writer
        self._clock = clock

    async def tick(self) -> None:
        """Summarise the days that ended; the last seven at most.

        Raises:
            JournalUnavailableError: the database does not answer.
        """
        if not self._is_writer():
            return
        now = now_ms(self._clock)
        last = await self._outbox.summarised_day()
        if last is None:
            # The day that is running is the first one.
            await self._outbox.begin_days(day_end_ms(now) - _DAY_MS)
            return
        for end in list(day_ends(last + 1, now - _SETTLES_MS))[-_MAX_DAYS:]:
            names = list(self._destinations.read())
            performance = await self._reports.performance(Range(since_ms=last, until_ms=end))
            await self._outbox.summarise(summary_of(end, performance), end, names, now)
            last = end


def summary_of(end_ms: int, performance: Performance) -> Notification | None:
    """The summary of one day; None where neither a trade nor the account's value changed."""
    trades = performance.figures.trades
    if not performance.days or (not trades and performance.net_pl == ZERO):
        return None
    day = performance.days[-1]
    lines = [
        f"NAV {day.nav:f}, P&L {performance.net_pl:+f}{_share(day.return_)}",
        f"{trades} trades closed{_wins(performance)}",
    ]
    if performance.transfers != Decimal(0):
        lines.append(f"Transfers {performance.transfers:+f}")
    return Notification(
        key=f"{Kind.SUMMARY}:{end_ms}",
        ts_ms=end_ms,
        kind=Kind.SUMMARY,
        title=f"Daily summary {date_of(end_ms):%Y-%m-%d}: P&L {performance.net_pl:+f}",
        body="\n".join(lines),
    )


def _share(value: float | None) -> str:
    return "" if value is None else f" ({value:+.2%})"


def _wins(performance: Performance) -> str:
    rate = performance.figures.win_rate
    return "" if rate is None else f", {rate:.0%} with a profit"


class HeartbeatLoop:
    """Pings the outside watcher while the journal does its work."""

    def __init__(self, heartbeat: Heartbeat, works: Callable[[], bool]) -> None:
        self._heartbeat = heartbeat
        self._works = works

    async def tick(self) -> None:
        """Ping once, if the journal works.

        Raises:
            HeartbeatFailedError: the watcher did not take it.
        """
        if self._works():
            await self._heartbeat.ping()

"""Prometheus metrics of the journal."""

from decimal import Decimal

from prometheus_client import CollectorRegistry, Counter, Gauge

from sep_journal.domain.accounts import Snapshot
from sep_journal.domain.divergence import DivergenceDay
from sep_journal.outbox_ports import Attempt, Undelivered


class JournalMetrics:
    """How far the ledger was taken in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._last = Gauge(
            "sep_journal_last_transaction_id", "Newest transaction taken in", registry=registry
        )
        self._behind = Gauge(
            "sep_journal_transactions_behind",
            "Transactions of the broker that are not taken in yet",
            registry=registry,
        )
        self._snapshot = Gauge(
            "sep_journal_snapshot_timestamp_seconds",
            "When the account's value was recorded last",
            registry=registry,
        )

    def show_ledger(self, last: int, newest: int) -> None:
        """Set how far the ledger was taken in."""
        self._last.set(last)
        self._behind.set(max(0, newest - last))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Set when the account's value was recorded."""
        self._snapshot.set(snapshot.ts_ms / 1000)


class DivergenceMetrics:
    """What the last compared day differed by from its replay."""

    def __init__(self, registry: CollectorRegistry, tolerance: Decimal) -> None:
        self._cash = Gauge(
            "sep_divergence_cash",
            "What live earned more than the replay of the last compared day, in home currency",
            ["cause"],
            registry=registry,
        )
        self._day = Gauge(
            "sep_divergence_day_timestamp_seconds",
            "End of the last day that was compared with its replay",
            registry=registry,
        )
        tolerated = Gauge(
            "sep_divergence_tolerance_cash",
            "Divergence of a cause that is tolerated, in home currency",
            registry=registry,
        )
        tolerated.set(float(tolerance))

    def show(self, day: DivergenceDay) -> None:
        """Set the figures of a day."""
        for cause, (_, cash) in day.by_cause().items():
            self._cash.labels(cause).set(float(cash))
        self._day.set(day.end_ms / 1000)

    def clear(self) -> None:
        """Remove the figures: another replica has them."""
        self._cash.clear()


class NotificationMetrics:
    """What was delivered, and what is not."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "sep_notification_attempts_total",
            "Attempts to deliver a notification",
            ["destination", "outcome"],
            registry=registry,
        )
        self._undelivered = Gauge(
            "sep_notifications_undelivered",
            "Notifications that are due and not delivered, counted for each destination",
            registry=registry,
        )
        self._oldest = Gauge(
            "sep_notifications_oldest_undelivered_seconds",
            "Age of the oldest notification that is due and not delivered; 0 without one",
            registry=registry,
        )

    def count(self, attempt: Attempt) -> None:
        """Count an attempt."""
        outcome = "failed" if attempt.error else "delivered"
        self._attempts.labels(attempt.delivery.destination, outcome).inc()

    def show(self, undelivered: Undelivered, at_ms: int) -> None:
        """Set what is not delivered."""
        self._undelivered.set(undelivered.count)
        oldest = undelivered.oldest_ms
        self._oldest.set(0 if oldest is None else max(0, at_ms - oldest) / 1000)

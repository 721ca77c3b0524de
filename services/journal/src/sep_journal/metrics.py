"""Prometheus metrics of the journal."""

from prometheus_client import CollectorRegistry, Gauge

from sep_journal.domain.accounts import Snapshot


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

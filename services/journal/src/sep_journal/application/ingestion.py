"""Takes in the ledger, the decisions and the account's value, on the replica with the lease."""

from collections.abc import Callable

from sep_journal.metrics import JournalMetrics
from sep_journal.ports import DecisionStream, Journal, Ledger

_DECISIONS_AT_ONCE = 500


class LedgerIngestion:
    """Takes in the broker's transactions by id, until none is missing."""

    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        is_writer: Callable[[], bool],
        page_size: int,
        metrics: JournalMetrics,
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._is_writer = is_writer
        self._page_size = page_size
        self._metrics = metrics

    async def tick(self) -> None:
        """Catch up with the broker.

        Raises:
            PeerUnavailableError: the gateway does not answer.
            JournalUnavailableError: the database does not.
        """
        if self._is_writer():
            await self.catch_up()

    async def catch_up(self) -> int:
        """Take in all transactions that are new; returns the id of the last.

        Every page is written before the next one is asked for, so an outage costs nothing that was
        taken in. A gap in an answer, as right after an order, ends it; the next tick goes on.
        """
        last = await self._journal.last_transaction_id()
        while True:
            page, newest = await self._ledger.page(last, self._page_size)
            taken = await self._journal.append_transactions(page)
            last += taken
            self._metrics.show_ledger(last, newest)
            if last >= newest or not taken:
                return last


class DecisionIngestion:
    """Takes in the records of decisions."""

    def __init__(
        self, journal: Journal, stream: DecisionStream, is_writer: Callable[[], bool]
    ) -> None:
        self._journal = journal
        self._stream = stream
        self._is_writer = is_writer

    async def tick(self) -> None:
        """Take in what is new.

        Raises:
            StoreUnavailableError: Valkey does not answer.
            JournalUnavailableError: the database does not.
        """
        if not self._is_writer():
            return
        position = await self._journal.decision_position()
        while True:
            decisions, reached = await self._stream.read(position, _DECISIONS_AT_ONCE)
            if reached == position:
                return
            if not await self._journal.append_decisions(decisions, position, reached):
                return
            position = reached


class SnapshotIngestion:
    """Records the account's value."""

    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        is_writer: Callable[[], bool],
        metrics: JournalMetrics,
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._is_writer = is_writer
        self._metrics = metrics

    async def tick(self) -> None:
        """Record it once; raises as ``LedgerIngestion.tick`` does."""
        if not self._is_writer():
            return
        snapshot = await self._ledger.snapshot()
        await self._journal.append_snapshot(snapshot)
        self._metrics.show_snapshot(snapshot)

"""Takes in the ledger, the decisions and the account's value, on the replica with the lease."""

import asyncio
from collections.abc import Callable, Sequence

from sep_journal.domain.ledger import Transaction
from sep_journal.metrics import JournalMetrics
from sep_journal.ports import DecisionStream, Journal, Ledger

_DECISIONS_AT_ONCE = 500

Page = tuple[Sequence[Transaction], int]
"""Transactions, and the id of the newest of all."""


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

        The next page is fetched while one is written. They are written in order, so an outage costs
        nothing that was taken in. A gap in an answer, as right after an order, ends it; the next
        tick goes on.
        """
        last = await self._journal.last_transaction_id()
        page, newest = await self._ledger.page(last, self._page_size)
        while True:
            reached = last + len(page)
            following: Page | BaseException | None = None
            if page and reached < newest:
                taken, following = await asyncio.gather(
                    self._journal.append_transactions(page),
                    self._ledger.page(reached, self._page_size),
                    return_exceptions=True,  # neither is left running when the other fails
                )
                if isinstance(taken, BaseException):
                    raise taken
            else:
                taken = await self._journal.append_transactions(page)
            last += taken
            self._metrics.show_ledger(last, newest)
            if last >= newest or not taken:
                return last
            if following is None or last != reached:
                following = await self._ledger.page(last, self._page_size)
            if isinstance(following, BaseException):
                raise following
            page, newest = following


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

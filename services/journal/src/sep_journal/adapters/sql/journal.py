"""The journal's database, with its blocking calls in threads of its own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Engine, text

from sep_journal.adapters.sql.decision_traces import read_traces
from sep_journal.adapters.sql.decision_writer import DecisionWriter
from sep_journal.adapters.sql.divergence_rows import SqlDivergence
from sep_journal.adapters.sql.engine import migrate, reading
from sep_journal.adapters.sql.event_rows import SqlEvents
from sep_journal.adapters.sql.history import read_history
from sep_journal.adapters.sql.reader import SqlReader
from sep_journal.adapters.sql.writer import LedgerWriter
from sep_journal.divergence_ports import LiveDay
from sep_journal.domain.accounts import Snapshot
from sep_journal.domain.costs import TradeCosts
from sep_journal.domain.decision_path import OrderTraces
from sep_journal.domain.decisions import Decision, StoredDecision
from sep_journal.domain.divergence import DivergenceDay
from sep_journal.domain.events import NewEvent, StoredEvent
from sep_journal.domain.ledger import Transaction
from sep_journal.ports import History, LedgerEntry, ListedTrade, Page, PageRequest, Range

T = TypeVar("T")
_READERS = 2


class SqlJournal:
    """Implements ``Journal``, ``JournalReader``, ``EventStore`` and ``DivergenceStore``.

    One thread writes, others read: a read never waits for a long write.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ledger = LedgerWriter(engine)
        self._decisions = DecisionWriter(engine)
        self._reader = SqlReader(engine)
        self._events = SqlEvents(engine)
        self._divergence = SqlDivergence(engine)
        self._writing = ThreadPoolExecutor(1, "journal-write")
        self._reading = ThreadPoolExecutor(_READERS, "journal-read")

    async def close(self) -> None:
        """Finish what runs, and close the connections."""
        self._writing.shutdown()
        self._reading.shutdown()
        self._engine.dispose()

    async def migrate(self) -> None:
        """Bring the tables up to date."""
        await self._write(lambda: migrate(self._engine))

    async def check(self) -> None:
        """Return if the database answers."""
        await self._read(self._check)

    def _check(self) -> None:
        with reading(self._engine) as connection:
            connection.execute(text("SELECT 1"))

    async def last_transaction_id(self) -> int:
        """Id of the newest transaction that was taken in."""
        return await self._read(self._ledger.last_id)

    async def append_transactions(self, transactions: Sequence[Transaction]) -> int:
        """Take in the next transactions, up to a gap."""
        return await self._write(lambda: self._ledger.append(transactions))

    async def decision_position(self) -> str:
        """Stream id of the last decision that was taken in."""
        return await self._read(self._decisions.position)

    async def append_decisions(
        self, decisions: Sequence[Decision], after: str, position: str
    ) -> bool:
        """Take in the decisions after a position."""
        return await self._write(lambda: self._decisions.append(decisions, after, position))

    async def append_snapshot(self, snapshot: Snapshot) -> None:
        """Take in the account's value."""
        await self._write(lambda: self._ledger.append_snapshot(snapshot))

    async def divergence(
        self, page: PageRequest, times: Range, instrument: str
    ) -> Page[DivergenceDay]:
        """Compared days, newest first."""
        return await self._read(lambda: self._divergence.days(page, times, instrument))

    async def save_divergence(self, day: DivergenceDay) -> None:
        """Write a compared day."""
        await self._write(lambda: self._divergence.save(day))

    async def live_day(self, start_ms: int, end_ms: int) -> LiveDay | None:
        """What was traded in a day."""
        return await self._read(lambda: self._divergence.live_day(start_ms, end_ms))

    async def clear_ledger(self) -> None:
        """Remove the ledger and all that is made from it."""
        await self._write(self._ledger.clear_ledger)

    async def transactions(
        self, page: PageRequest, times: Range, instrument: str, kind: str
    ) -> Page[LedgerEntry]:
        """A page of the ledger, newest first."""
        return await self._read(lambda: self._reader.transactions(page, times, instrument, kind))

    async def trades(
        self, page: PageRequest, times: Range, instrument: str, *, only_open: bool
    ) -> Page[ListedTrade]:
        """A page of trades by their opening, newest first."""
        return await self._read(
            lambda: self._reader.trades(page, times, instrument, only_open=only_open)
        )

    async def decisions(
        self, page: PageRequest, times: Range, filters: Mapping[str, str]
    ) -> Page[StoredDecision]:
        """A page of decisions, newest first."""
        return await self._read(lambda: self._reader.decisions(page, times, filters))

    async def decision(self, decision_id: str) -> Sequence[StoredDecision]:
        """Records of one decision."""
        return await self._read(lambda: self._reader.decision(decision_id))

    async def traces(self, decision_id: str) -> OrderTraces:
        """What became of a decision's orders."""
        return await self._read(lambda: read_traces(self._engine, decision_id))

    async def history(self, times: Range, now_ms: int) -> History:
        """Everything that performance is computed from."""
        return await self._read(lambda: read_history(self._engine, times, now_ms))

    async def costs(self, times: Range, instrument: str) -> Sequence[TradeCosts]:
        """The parts of trades by their opening."""
        return await self._read(lambda: self._reader.costs(times, instrument))

    async def event_state(self, source: str) -> str:
        """What a source of events had come to."""
        return await self._read(lambda: self._events.state(source))

    async def append_events(
        self, events: Sequence[NewEvent], source: str, before: str, after: str
    ) -> bool:
        """Add events with what their source came to."""
        return await self._write(lambda: self._events.append(events, source, before, after))

    async def last_event_id(self) -> int:
        """Id of the newest event."""
        return await self._read(self._events.last_id)

    async def events_after(self, event_id: int, size: int) -> Sequence[StoredEvent]:
        """Events after an id."""
        return await self._read(lambda: self._events.after(event_id, size))

    async def _write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, work)

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

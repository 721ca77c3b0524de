"""Reads pages, histories and sums."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, or_, select, tuple_

from sep_journal.adapters.sql import rows
from sep_journal.adapters.sql.decision_writer import reasons_pattern
from sep_journal.adapters.sql.engine import reading
from sep_journal.adapters.sql.tables import DECISIONS, EXECUTIONS, PARTS, TRADES, TRANSACTIONS
from sep_journal.domain.costs import TradeCosts
from sep_journal.domain.decisions import StoredDecision
from sep_journal.ports import LedgerEntry, ListedTrade, Page, PageRequest, Range

_ENTRY = tuple(LedgerEntry.__dataclass_fields__)
_SHOWN = [column for column in DECISIONS.c if column.name != "record"]
_COSTS = [TRADES.c[name] for name in ("instrument", "open_ms", *PARTS)]


class SqlReader:
    """The blocking reads; ``SqlJournal`` runs them in threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def transactions(
        self, page: PageRequest, times: Range, instrument: str, kind: str
    ) -> Page[LedgerEntry]:
        """The ledger, newest first."""
        columns = TRANSACTIONS.c
        query = select(*(columns[name] for name in _ENTRY)).where(*_within(columns.ts_ms, times))
        if instrument:
            query = query.where(columns.instrument == instrument)
        if kind:
            query = query.where(columns.type == kind)
        found, following = self._page(query, page, columns.ts_ms, columns.id)
        return Page(entries=[LedgerEntry(**row) for row in found], next_before=following)

    def trades(
        self, page: PageRequest, times: Range, instrument: str, *, only_open: bool
    ) -> Page[ListedTrade]:
        """Trades, newest first, with the transactions that changed them."""
        columns = TRADES.c
        query = select(TRADES).where(*_within(columns.open_ms, times))
        if instrument:
            query = query.where(columns.instrument == instrument)
        if only_open:
            query = query.where(columns.close_ms.is_(None))
        found, following = self._page(query, page, columns.open_ms, columns.id)
        changed = self._transactions_of([row["id"] for row in found])
        entries = [
            ListedTrade(trade=rows.trade_of_row(row), transaction_ids=changed.get(row["id"], ()))
            for row in found
        ]
        return Page(entries=entries, next_before=following)

    def _transactions_of(self, trade_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
        columns = EXECUTIONS.c
        query = select(columns.trade_id, columns.transaction_id)
        query = query.where(columns.trade_id.in_(trade_ids)).distinct()
        found: dict[int, tuple[int, ...]] = {}
        with reading(self._engine) as connection:
            for trade, transaction in connection.execute(query.order_by(columns.transaction_id)):
                found[trade] = (*found.get(trade, ()), transaction)
        return found

    def decisions(
        self, page: PageRequest, times: Range, filters: Mapping[str, str]
    ) -> Page[StoredDecision]:
        """Decisions, newest first."""
        columns = DECISIONS.c
        query = select(*_SHOWN).where(*_within(columns.ts_ms, times))
        for name in ("instrument", "kind"):
            if filters.get(name):
                query = query.where(columns[name] == filters[name])
        if filters.get("reason"):
            query = query.where(columns.reasons.like(reasons_pattern(filters["reason"])))
        found, following = self._page(query, page, columns.seq, columns.seq, name="seq")
        return Page(entries=[rows.stored_decision_of(row) for row in found], next_before=following)

    def decision(self, decision_id: str) -> list[StoredDecision]:
        """The records of one decision, oldest first."""
        columns = DECISIONS.c
        query = select(DECISIONS).where(
            or_(columns.id == decision_id, columns.last_id == decision_id)
        )
        with reading(self._engine) as connection:
            found = rows.dicts(connection.execute(query.order_by(columns.seq)))
            return [rows.stored_decision_of(row) for row in found]

    def costs(self, times: Range, instrument: str) -> list[TradeCosts]:
        """The parts of trades by their opening."""
        query = select(*_COSTS).where(*_within(TRADES.c.open_ms, times))
        if instrument:
            query = query.where(TRADES.c.instrument == instrument)
        with reading(self._engine) as connection:
            return [
                TradeCosts(
                    instrument=row["instrument"],
                    open_ms=row["open_ms"],
                    parts=rows.parts_of(row),
                )
                for row in rows.dicts(connection.execute(query))
            ]

    def _page(
        self,
        query: Select[Any],
        page: PageRequest,
        first: ColumnElement[int],
        second: ColumnElement[int],
        name: str = "",
    ) -> tuple[list[rows.Row], tuple[int, int] | None]:
        """Rows, newest first, and where the next page begins."""
        if page.before is not None:
            query = query.where(tuple_(first, second) < tuple_(*page.before))
        query = query.order_by(first.desc(), second.desc()).limit(page.size + 1)
        with reading(self._engine) as connection:
            found = rows.dicts(connection.execute(query))
        if len(found) <= page.size:
            return found, None
        found = found[: page.size]
        names = (name, name) if name else (first.key, second.key)
        return found, (found[-1][str(names[0])], found[-1][str(names[1])])


def _within(column: ColumnElement[int], times: Range) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if times.since_ms is not None:
        found.append(column >= times.since_ms)
    if times.until_ms is not None:
        found.append(column < times.until_ms)
    return found or [and_(True)]

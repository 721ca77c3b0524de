"""Writes decisions; repetitions of a refusal are counted on its first record."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from sep_journal.adapters.sql import rows
from sep_journal.adapters.sql.batches import chunks, insert_new
from sep_journal.adapters.sql.engine import reading, writing
from sep_journal.adapters.sql.event_rows import insert_events
from sep_journal.adapters.sql.progress import read_progress, write_progress
from sep_journal.adapters.sql.tables import DECISIONS, ORDER_LINKS
from sep_journal.adapters.sql.writer import remake_trades, trades_behind
from sep_journal.domain.decisions import Decision, StoredDecision, repeats
from sep_journal.domain.events import NewEvent, event_of
from sep_journal.domain.trades import OrderLink

_COLUMNS = [column for column in DECISIONS.c if column.name != "record"]


class DecisionWriter:
    """Takes in the records of ``guard:decisions``, each once and in order."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def position(self) -> str:
        """Stream id of the last record that was taken in; empty before the first."""
        with reading(self._engine) as connection:
            return read_progress(connection, "decisions") or ""

    def append(self, decisions: Sequence[Decision], after: str, position: str) -> bool:
        """Take in records; False, and nothing is written, if others were taken in meanwhile.

        Args:
            after: the position that the records follow.
            position: stream id of the last of them.
        """
        with writing(self._engine) as connection:
            if (read_progress(connection, "decisions", lock=True) or "") != after:
                return False
            insert_events(connection, self._write(connection, decisions))
            links = self._links(connection, decisions)
            if links:
                insert_new(connection, ORDER_LINKS, [rows.link_row(link) for link in links])
                remake_trades(connection, trades_behind(connection, links))
            write_progress(connection, "decisions", position)
            return True

    def _write(self, connection: Connection, decisions: Sequence[Decision]) -> list[NewEvent]:
        """Write decisions; returns the events of those that repeat nothing."""
        events: list[NewEvent] = []
        newest = connection.execute(select(func.max(DECISIONS.c.seq))).scalar() or 0
        latest: dict[str, StoredDecision | None] = {}
        added: dict[int, dict[str, Any]] = {}
        for decision in decisions:
            instrument = decision.instrument
            if instrument not in latest:
                latest[instrument] = _latest(connection, instrument)
            previous = latest[instrument]
            if previous is not None and repeats(decision, previous):
                row = _repeated(previous, decision)
                if previous.seq in added:
                    added[previous.seq] |= row
                else:
                    where = DECISIONS.c.seq == previous.seq
                    connection.execute(update(DECISIONS).where(where).values(row))
                values = {name: getattr(previous, name) for name in previous.__slots__}
                latest[instrument] = StoredDecision(**(values | row))
                continue
            newest += 1
            added[newest] = rows.decision_row(decision, newest)
            latest[instrument] = rows.stored_decision_of(added[newest])
            events.append(event_of(decision))
        if added:
            connection.execute(insert(DECISIONS), list(added.values()))
        return events

    def _links(self, connection: Connection, decisions: Sequence[Decision]) -> list[OrderLink]:
        """The orders among the records, with the prices of their decisions."""
        orders = {d.client_order_id: d for d in reversed(decisions) if d.client_order_id}
        wanted = sorted({order.id for order in orders.values()})
        columns = [DECISIONS.c[name] for name in ("id", "ts_ms", "quote_mid", "signal_mid")]
        prices: dict[str, Any] = {}
        for part in chunks(wanted):
            query = select(*columns).where(DECISIONS.c.id.in_(part), DECISIONS.c.event != "order")
            prices |= {row.id: row for row in connection.execute(query)}
        return [_link(order, prices.get(order.id)) for order in reversed(orders.values())]


def _link(order: Decision, prices: Any) -> OrderLink:
    return OrderLink(
        client_order_id=order.client_order_id,
        decision_id=order.id,
        ts_ms=prices.ts_ms if prices else order.ts_ms,
        trade_id=order.trade_id,
        quote_mid=rows.optional(prices.quote_mid) if prices else None,
        signal_mid=rows.optional(prices.signal_mid) if prices else None,
    )


def _latest(connection: Connection, instrument: str) -> StoredDecision | None:
    """The newest recorded decision of an instrument."""
    query = select(*_COLUMNS).where(DECISIONS.c.instrument == instrument)
    found = rows.dicts(connection.execute(query.order_by(DECISIONS.c.seq.desc()).limit(1)))
    return rows.stored_decision_of(found[0]) if found else None


def _repeated(previous: StoredDecision, decision: Decision) -> dict[str, Any]:
    return {
        "count": previous.count + 1,
        "last_ts_ms": decision.ts_ms,
        "last_id": decision.id,
    }


def reasons_pattern(reason: str) -> str:
    """A LIKE pattern of the stored reasons that include one."""
    return f"%{json.dumps(reason)}%"

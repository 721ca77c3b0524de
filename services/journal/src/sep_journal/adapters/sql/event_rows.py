"""Writes and reads events. Ids come from a counter in the transaction that writes the events, so
none is given twice, and a greater one is never visible before a smaller one."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, insert, select

from sep_journal.adapters.sql.engine import reading, writing
from sep_journal.adapters.sql.progress import read_progress, write_progress
from sep_journal.adapters.sql.tables import EVENTS
from sep_journal.domain.events import EventKind, NewEvent, StoredEvent

_COUNTER = "event"


def insert_events(connection: Connection, events: Sequence[NewEvent]) -> None:
    """Add events in a transaction that has locked the progress."""
    if not events:
        return
    last = int(read_progress(connection, _COUNTER) or 0)
    values = [
        {
            "id": last + number,
            "ts_ms": event.ts_ms,
            "kind": event.kind.value,
            "instrument": event.instrument,
            "reasons": json.dumps(event.reasons),
            "data": event.data,
        }
        for number, event in enumerate(events, 1)
    ]
    connection.execute(insert(EVENTS), values)
    write_progress(connection, _COUNTER, str(last + len(events)))


class SqlEvents:
    """The blocking operations on events."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def state(self, source: str) -> str:
        """What a source had come to; empty before the first time."""
        with reading(self._engine) as connection:
            return read_progress(connection, source) or ""

    def append(self, events: Sequence[NewEvent], source: str, before: str, after: str) -> bool:
        """Add events with what their source came to; False if others did that meanwhile."""
        with writing(self._engine) as connection:
            if (read_progress(connection, source, lock=True) or "") != before:
                return False
            insert_events(connection, events)
            write_progress(connection, source, after)
            return True

    def last_id(self) -> int:
        """Id of the newest event; 0 before the first."""
        with reading(self._engine) as connection:
            return int(read_progress(connection, _COUNTER) or 0)

    def after(self, event_id: int, size: int) -> list[StoredEvent]:
        """At most ``size`` events after an id, oldest first."""
        query = select(EVENTS).where(EVENTS.c.id > event_id).order_by(EVENTS.c.id).limit(size)
        with reading(self._engine) as connection:
            return [
                StoredEvent(
                    id=row.id,
                    event=NewEvent(
                        ts_ms=row.ts_ms,
                        kind=EventKind(row.kind),
                        instrument=row.instrument,
                        reasons=tuple(json.loads(row.reasons)),
                        data=row.data,
                    ),
                )
                for row in connection.execute(query)
            ]

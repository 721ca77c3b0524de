"""The outbox: messages are made in the transaction that moves past what they are made of."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, and_, exists, func, select, update

from sep_journal.adapters.sql import rows
from sep_journal.adapters.sql.batches import insert_new
from sep_journal.adapters.sql.engine import reading, writing
from sep_journal.adapters.sql.progress import read_progress, write_progress
from sep_journal.adapters.sql.tables import DECISIONS, DELIVERIES, EXECUTIONS, NOTIFICATIONS
from sep_journal.domain.delivery import GIVES_WAY_AFTER, DeliveryRules, next_attempt_ms
from sep_journal.domain.notifications import (
    Kind,
    Level,
    Notification,
    StackState,
    digest_text,
    merged,
    of_changes,
    of_decision,
    of_execution,
)
from sep_journal.outbox_ports import Attempt, Delivery, Undelivered

_AT_ONCE = 500
_SINCE, _LEDGER, _DECISIONS = "notify_since", "notify_ledger", "notify_decisions"
_STATE, _DAY = "notify_state", "notify_day"


class SqlOutbox:
    """The blocking operations of ``Outbox``; each is one transaction."""

    def __init__(self, engine: Engine, rules: DeliveryRules) -> None:
        self._engine = engine
        self._rules = rules

    def collect(self, destinations: Sequence[str], now_ms: int) -> bool:
        """Make messages of the next executions and decisions; whether there may be more.

        What happened before the first call is no news. Without a destination nothing is made.
        """
        with writing(self._engine) as connection:
            since = read_progress(connection, _SINCE, lock=True)
            if since is None:
                self._begin(connection, now_ms)
            since_ms = now_ms if since is None else int(since)
            found, more = self._of_ledger(connection)
            decided, more_decided = self._of_decisions(connection)
            fresh = [n for n in (*found, *decided) if n.ts_ms >= since_ms]
            self._insert(connection, fresh, destinations, now_ms)
            return more or more_decided

    def _begin(self, connection: Connection, now_ms: int) -> None:
        newest = connection.execute(select(func.max(DECISIONS.c.seq))).scalar() or 0
        write_progress(connection, _SINCE, str(now_ms))
        write_progress(connection, _LEDGER, read_progress(connection, "ledger") or "0")
        write_progress(connection, _DECISIONS, str(newest))

    def _of_ledger(self, connection: Connection) -> tuple[list[Notification], bool]:
        cursor = int(read_progress(connection, _LEDGER) or 0)
        last = int(read_progress(connection, "ledger") or 0)
        # During a rebuild the ledger is behind what people were notified of.
        until = min(last, cursor + _AT_ONCE)
        if until <= cursor:
            return [], False
        ids = EXECUTIONS.c.transaction_id
        query = select(EXECUTIONS).where(ids > cursor, ids <= until)
        query = query.order_by(ids, EXECUTIONS.c.trade_id, EXECUTIONS.c.seq)
        made = (of_execution(rows.execution_of(r)) for r in rows.dicts(connection.execute(query)))
        write_progress(connection, _LEDGER, str(until))
        return [n for n in made if n is not None], until < last

    def _of_decisions(self, connection: Connection) -> tuple[list[Notification], bool]:
        cursor = int(read_progress(connection, _DECISIONS) or 0)
        seq = DECISIONS.c.seq
        until = connection.execute(select(func.max(seq))).scalar() or 0
        if until <= cursor:
            return [], False
        # Most records are not of this event, so that all of them are read at once.
        query = select(DECISIONS).where(
            seq > cursor, seq <= until, DECISIONS.c.event == "risk"
        ).order_by(seq)  # fmt: skip
        found = rows.dicts(connection.execute(query))
        made = (of_decision(rows.stored_decision_of(row)) for row in found)
        write_progress(connection, _DECISIONS, str(until))
        return [n for n in made if n is not None], False

    def observed(self) -> StackState:
        """What was observed last."""
        with reading(self._engine) as connection:
            return _state_of(read_progress(connection, _STATE))

    def observe(self, state: StackState, destinations: Sequence[str], now_ms: int) -> None:
        """Make messages of what changed since the last observation."""
        with writing(self._engine) as connection:
            text = read_progress(connection, _STATE, lock=True)
            before = _state_of(text)
            # The first observation is no change.
            changes = [] if text is None else of_changes(before, state)
            self._insert(connection, changes, destinations, now_ms)
            after = _text_of(merged(before, state))
            if after != text:
                write_progress(connection, _STATE, after)

    def summarised_day(self) -> int | None:
        """End of the last day that was summarised; None before the first."""
        with reading(self._engine) as connection:
            found = read_progress(connection, _DAY)
            return None if found is None else int(found)

    def begin_days(self, end_ms: int) -> None:
        """Days that end up to ``end_ms`` are not summarised."""
        with writing(self._engine) as connection:
            write_progress(connection, _DAY, str(end_ms))

    def summarise(
        self, summary: Notification | None, end_ms: int, destinations: Sequence[str], now_ms: int
    ) -> None:
        """Make the summary of a day with the lines that wait for it.

        Args:
            summary: None for a day without anything to report but these lines.
        """
        with writing(self._engine) as connection:
            if int(read_progress(connection, _DAY, lock=True) or 0) >= end_ms:
                return
            write_progress(connection, _DAY, str(end_ms))
            columns = NOTIFICATIONS.c
            waiting = and_(
                columns.level == Level.DIGEST, columns.summary_key == "", columns.ts_ms < end_ms
            )
            query = select(columns.title, columns.body).where(waiting).order_by(columns.ts_ms)
            lines = [f"{row.title}: {row.body}" if row.body else row.title
                     for row in connection.execute(query)]  # fmt: skip
            if summary is None and not lines:
                return
            key = f"summary:{end_ms}"
            if summary is None:
                summary = Notification(key=key, ts_ms=end_ms, kind=Kind.SUMMARY, title="", body="")
            if lines:
                text = "\n".join(filter(None, (summary.body, digest_text(lines))))
                title = summary.title or "Daily summary: no trade"
                summary = replace(summary, body=text, title=title)
            self._insert(connection, [summary], destinations, now_ms)
            connection.execute(update(NOTIFICATIONS).where(waiting).values(summary_key=key))

    def _insert(
        self,
        connection: Connection,
        notifications: Iterable[Notification],
        destinations: Sequence[str],
        now_ms: int,
    ) -> None:
        made: list[dict[str, Any]] = []
        deliveries: list[dict[str, Any]] = []
        for n in notifications if destinations else ():
            level = self._rules.level(n.kind)
            if level is Level.OFF:
                continue
            made.append(
                {"key": n.key, "ts_ms": n.ts_ms, "kind": n.kind.value, "level": level.value,
                 "title": n.title, "body": n.body}
            )  # fmt: skip
            if level is Level.DIGEST:
                continue
            due = self._rules.due_ms(n, now_ms)
            deliveries += [
                {"key": n.key, "destination": d, "ts_ms": n.ts_ms, "due_ms": due, "attempts": 0}
                for d in destinations
            ]
        insert_new(connection, NOTIFICATIONS, made)
        insert_new(connection, DELIVERIES, deliveries)

    def due(self, destinations: Sequence[str], now_ms: int, size: int) -> list[Delivery]:
        """At most ``size`` deliveries that are due, oldest first.

        A destination that has just failed gets nothing until its pause is over, so that a dead one
        is not tried with each of its messages.
        """
        columns, other = DELIVERIES.c, DELIVERIES.alias("other")
        paused = exists().where(
            other.c.destination == columns.destination,
            other.c.delivered_ms.is_(None),
            other.c.attempts.between(1, GIVES_WAY_AFTER),
            other.c.due_ms > now_ms,
        )
        query = (
            select(DELIVERIES, NOTIFICATIONS.c.level, NOTIFICATIONS.c.title, NOTIFICATIONS.c.body)
            .join(NOTIFICATIONS, NOTIFICATIONS.c.key == columns.key)
            .where(columns.delivered_ms.is_(None), columns.due_ms <= now_ms)
            .where(columns.destination.in_(destinations), ~paused)
            .order_by(columns.ts_ms, columns.key)
            .limit(size)
        )
        with reading(self._engine) as connection:
            found = rows.dicts(connection.execute(query))
        return [_delivery_of(row) for row in found]

    def record(self, attempts: Iterable[Attempt], now_ms: int) -> None:
        """Record the outcomes of attempts."""
        with writing(self._engine) as connection:
            for attempt in attempts:
                tried = attempt.delivery
                values: dict[str, Any] = {"attempts": tried.attempts + 1, "error": attempt.error}
                if attempt.error:
                    values["due_ms"] = next_attempt_ms(tried.attempts + 1, now_ms)
                else:
                    values["delivered_ms"] = now_ms
                columns = DELIVERIES.c
                where = and_(columns.key == tried.key, columns.destination == tried.destination)
                connection.execute(update(DELIVERIES).where(where).values(values))

    def undelivered(self, destinations: Sequence[str], now_ms: int) -> Undelivered:
        """How many deliveries are overdue or failed, and since when the oldest one is."""
        columns = DELIVERIES.c
        late = (columns.due_ms <= now_ms) | (columns.attempts > 0)
        query = select(func.count(), func.min(columns.ts_ms)).where(
            columns.delivered_ms.is_(None), columns.destination.in_(destinations), late
        )
        with reading(self._engine) as connection:
            count, oldest = connection.execute(query).one()
        return Undelivered(count=int(count), oldest_ms=oldest)


def _delivery_of(row: rows.Row) -> Delivery:
    return Delivery(
        key=row["key"],
        destination=row["destination"],
        level=Level(row["level"]),
        title=row["title"],
        body=row["body"],
        attempts=row["attempts"],
    )


def _state_of(text: str | None) -> StackState:
    return StackState() if text is None else StackState(**json.loads(text))


def _text_of(state: StackState) -> str:
    stored = {
        "gates": None if state.gates is None else dict(state.gates),
        "held": state.held,
        "switch_position": state.switch_position,
        "parameters_position": state.parameters_position,
    }
    return json.dumps(stored, sort_keys=True)

"""Writes and reads compared days, and reads what a day is compared from."""

import json
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select

from sep_journal.adapters.sql import rows
from sep_journal.adapters.sql.engine import reading, writing
from sep_journal.adapters.sql.tables import (
    DECISIONS,
    DIVERGENCE_DAYS,
    DIVERGENCES,
    TRADES,
    TRANSACTIONS,
)
from sep_journal.divergence_ports import LiveDay
from sep_journal.domain.divergence import Difference, DivergenceDay
from sep_journal.domain.exact import amount_text
from sep_journal.domain.trades import Trade
from sep_journal.ports import Page, PageRequest, Range

_CARRIED_MS = 10 * 86_400_000
"""A trade that is open longer than this is not carried into the replay of a day."""


class SqlDivergence:
    """The blocking operations; ``SqlJournal`` runs them in threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save(self, day: DivergenceDay) -> None:
        """Write a day, in place of an earlier comparison of it."""
        head = {
            "end_ms": day.end_ms,
            "live_net": amount_text(day.live_net),
            "replay_net": amount_text(day.replay_net),
            "live_trades": day.live_trades,
            "replay_trades": day.replay_trades,
        }
        items = [
            {
                "end_ms": day.end_ms,
                "seq": seq,
                "cause": d.cause,
                "cash": amount_text(d.cash),
                "instrument": d.instrument,
                "ts_ms": d.ts_ms,
                "what": d.what,
                "trade_id": d.trade_id,
                "replay_trade_id": d.replay_trade_id,
            }
            for seq, d in enumerate(day.differences)
        ]
        with writing(self._engine) as connection:
            for table in (DIVERGENCE_DAYS, DIVERGENCES):
                connection.execute(delete(table).where(table.c.end_ms == day.end_ms))
            connection.execute(insert(DIVERGENCE_DAYS).values(head))
            if items:
                connection.execute(insert(DIVERGENCES), items)

    def days(self, page: PageRequest, times: Range, instrument: str) -> Page[DivergenceDay]:
        """Compared days, newest first."""
        end = DIVERGENCE_DAYS.c.end_ms
        query = select(DIVERGENCE_DAYS).order_by(end.desc()).limit(page.size + 1)
        if times.since_ms is not None:
            query = query.where(end >= times.since_ms)
        if times.until_ms is not None:
            query = query.where(end < times.until_ms)
        if page.before is not None:
            query = query.where(end < page.before[0])
        with reading(self._engine) as connection:
            heads = rows.dicts(connection.execute(query))
            shown = heads[: page.size]
            items = select(DIVERGENCES).where(
                DIVERGENCES.c.end_ms.in_([head["end_ms"] for head in shown])
            )
            if instrument:
                items = items.where(DIVERGENCES.c.instrument == instrument)
            items = items.order_by(DIVERGENCES.c.end_ms, DIVERGENCES.c.seq)
            by_day: dict[int, list[Difference]] = {}
            for row in rows.dicts(connection.execute(items)):
                by_day.setdefault(row["end_ms"], []).append(_difference(row))
        following = (shown[-1]["end_ms"], 0) if len(heads) > page.size else None
        found = [_day(head, by_day.get(head["end_ms"], [])) for head in shown]
        return Page(entries=found, next_before=following)

    def live_day(self, start_ms: int, end_ms: int) -> LiveDay | None:
        """What was traded in a day; None where the ledger does not reach back to its begin."""
        columns = TRANSACTIONS.c
        balance = select(columns.account_balance).where(
            columns.ts_ms < start_ms, columns.account_balance != ""
        )
        balance = balance.order_by(columns.ts_ms.desc(), columns.id.desc()).limit(1)
        decided = select(DECISIONS).where(
            DECISIONS.c.ts_ms < end_ms,
            DECISIONS.c.last_ts_ms >= start_ms,
            DECISIONS.c.seq > self._first_seq(start_ms),
        )
        traded = select(TRADES).where(
            TRADES.c.open_ms >= start_ms - _CARRIED_MS, TRADES.c.open_ms < end_ms
        )
        with reading(self._engine) as connection:
            before = connection.execute(balance).scalar()
            if before is None:
                return None
            trades = rows.dicts(connection.execute(traded.order_by(TRADES.c.open_ms, TRADES.c.id)))
            decisions = connection.execute(decided.order_by(DECISIONS.c.seq)).mappings()
            return LiveDay(
                start_ms=start_ms,
                end_ms=end_ms,
                balance=Decimal(before),
                trades=[_trade_document(rows.trade_of_row(row)) for row in trades],
                decisions=[_decision_document(dict(row)) for row in decisions],
            )

    def _first_seq(self, start_ms: int) -> int:
        """A record before the day's; refusals that were repeated into the day are not older than
        a week."""
        query = select(func.min(DECISIONS.c.seq)).where(
            DECISIONS.c.ts_ms >= start_ms - 7 * 86_400_000
        )
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar() or 0) - 1


def _difference(row: rows.Row) -> Difference:
    values = {name: value for name, value in row.items() if name not in ("end_ms", "seq")}
    return Difference(**(values | {"cash": Decimal(row["cash"])}))


def _day(row: rows.Row, differences: list[Difference]) -> DivergenceDay:
    return DivergenceDay(
        end_ms=row["end_ms"],
        live_net=Decimal(row["live_net"]),
        replay_net=Decimal(row["replay_net"]),
        live_trades=row["live_trades"],
        replay_trades=row["replay_trades"],
        differences=differences,
    )


def _trade_document(trade: Trade) -> dict[str, Any]:
    """A trade with the names that ``GET /api/journal/trades`` gives it."""
    return {
        "id": str(trade.id),
        "instrument": trade.instrument,
        "units": format(trade.units, "f"),
        "open_units": amount_text(trade.open_units),
        "open_time": trade.open_ms,
        "close_time": trade.close_ms,
        "open_price": rows.price_text(trade.open_price),
        "close_price": rows.price_text(trade.close_price),
        "net_pl": amount_text(trade.net_pl),
        "decision_ids": list(trade.decision_ids),
        "exit": trade.exit,
        "own": trade.own,
    }


def _decision_document(row: rows.Row) -> dict[str, Any]:
    """A decision with the names that ``GET /api/decisions`` gives it, and its record."""
    names = ("id", "ts_ms", "last_ts_ms", "event", "kind", "instrument")
    found = {name: row[name] for name in names}
    return found | {"reasons": json.loads(row["reasons"]), "record": json.loads(row["record"])}

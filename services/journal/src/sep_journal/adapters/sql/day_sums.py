"""Sums of each trading day, and the times in the market, written with what they are made from.

A report of a year reads 365 sums instead of half a million snapshots. A day is always made anew
from all of its rows, so that neither the size of pages nor their order shows in it.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select

from sep_journal.adapters.sql.batches import chunks, insert_rows
from sep_journal.adapters.sql.tables import (
    LEDGER_DAYS,
    MARKET_TIMES,
    SNAPSHOT_DAYS,
    SNAPSHOTS,
    TRADE_DAYS,
    TRADES,
    TRANSACTIONS,
)
from sep_journal.domain.days import day_end_ms, day_ends, day_start_ms
from sep_journal.domain.exact import amount_text, total
from sep_journal.domain.performance import sum_results

Interval = tuple[int, int]
"""The first and the last ms, both included."""


def remake_ledger_days(connection: Connection, times: Iterable[int]) -> None:
    """Make the days of these times anew: balance at the end, and transfers."""
    for end, (first, last) in _days(times):
        balance, moved = ledger_sums(connection, (first, last))
        row = {"balance": balance, "transfers": amount_text(moved)}
        _replace(connection, LEDGER_DAYS, end, row if balance or moved else None)


def remake_trade_days(connection: Connection, closings: Iterable[int]) -> None:
    """Make the days of these closings anew: results of the trades that were closed."""
    for end, within in _days(closings):
        sums = sum_results(closed_results(connection, within))
        row = {
            "trades": sums.trades,
            "winners": sums.winners,
            "won": amount_text(sums.won),
            "lost": amount_text(sums.lost),
        }
        _replace(connection, TRADE_DAYS, end, row if sums.trades else None)


def remake_snapshot_days(connection: Connection, times: Iterable[int]) -> None:
    """Make the days of these times anew: value at the end, and the sum of exposures."""
    for end, within in _days(times):
        columns = SNAPSHOTS.c
        query = select(columns.nav).where(columns.ts_ms.between(*within))
        nav = connection.execute(query.order_by(columns.ts_ms.desc()).limit(1)).scalar()
        if nav is None:
            continue
        shares = exposures(connection, within)
        # The shortest text that gives the same number again.
        row = {"nav": nav, "exposures": len(shares), "exposure_sum": repr(sum(shares))}
        _replace(connection, SNAPSHOT_DAYS, end, row)


def add_market_times(connection: Connection, intervals: Iterable[Interval]) -> None:
    """Add the times at which trades were open; times that touch become one."""
    added = list(_united(intervals))
    if not added:
        return
    columns, (first, last) = MARKET_TIMES.c, (added[0][0], added[-1][1])
    query = select(columns.start_ms, columns.end_ms)
    # They are apart from each other: of those that begin earlier, only the last can reach here.
    earlier = query.where(columns.start_ms < first).order_by(columns.start_ms.desc()).limit(1)
    inside = query.where(columns.start_ms.between(first, last))
    found = [*connection.execute(earlier), *connection.execute(inside)]
    known = {(start, end) for start, end in found if end >= first}
    united = set(_united([*added, *known]))
    for part in chunks(sorted(start for start, _ in known - united)):
        connection.execute(delete(MARKET_TIMES).where(columns.start_ms.in_(part)))
    made = [{"start_ms": start, "end_ms": end} for start, end in sorted(united - known)]
    insert_rows(connection, MARKET_TIMES, made)


def make_all(connection: Connection) -> None:
    """Make every day from the tables, where there are no sums yet."""
    for remake, at in (
        (remake_ledger_days, TRANSACTIONS.c.ts_ms),
        (remake_trade_days, TRADES.c.close_ms),
        (remake_snapshot_days, SNAPSHOTS.c.ts_ms),
    ):
        first, last = connection.execute(select(func.min(at), func.max(at))).one()
        if first is not None:
            remake(connection, day_ends(first, day_end_ms(last)))
    columns = TRADES.c
    closed = select(columns.open_ms, columns.close_ms).where(columns.close_ms.is_not(None))
    found = [(row.open_ms, row.close_ms) for row in connection.execute(closed)]
    add_market_times(connection, found)


def ledger_sums(connection: Connection, within: Interval) -> tuple[str, Decimal]:
    """The last balance of an interval, empty without one, and the sum of its transfers."""
    columns = TRANSACTIONS.c
    inside = columns.ts_ms.between(*within)
    newest = select(columns.account_balance).where(inside, columns.account_balance != "")
    newest = newest.order_by(columns.ts_ms.desc(), columns.id.desc()).limit(1)
    moved = select(columns.transfer).where(inside, columns.transfer != "0")
    balance = connection.execute(newest).scalar() or ""
    return balance, total(map(Decimal, connection.execute(moved).scalars()))


def closed_results(connection: Connection, within: Interval) -> list[Decimal]:
    """The results of the trades that were closed in an interval."""
    query = select(TRADES.c.net_pl).where(TRADES.c.close_ms.between(*within))
    return [Decimal(text) for text in connection.execute(query).scalars()]


def exposures(connection: Connection, within: Interval) -> list[float]:
    """Gross position value over the account's value, by snapshot."""
    columns = SNAPSHOTS.c
    query = select(columns.position_value, columns.nav).where(
        columns.ts_ms.between(*within), columns.position_value != ""
    )
    return [
        float(Decimal(value) / Decimal(nav))
        for value, nav in connection.execute(query.order_by(columns.ts_ms))
        if Decimal(nav) > 0
    ]


def _days(times: Iterable[int]) -> Iterator[tuple[int, Interval]]:
    """Each day that one of these times is in, by its end."""
    end: int | None = None
    for ts_ms in sorted(times):
        if end is None or ts_ms > end:
            end = day_end_ms(ts_ms)
            yield end, (day_start_ms(end) + 1, end)


def _united(intervals: Iterable[Interval]) -> Iterator[Interval]:
    current: Interval | None = None
    for start, end in sorted(intervals):
        if current is None:
            current = (start, end)
        elif start <= current[1]:
            current = (current[0], max(current[1], end))
        else:
            yield current
            current = (start, end)
    if current is not None:
        yield current


def _replace(connection: Connection, table: Table, end: int, row: dict[str, Any] | None) -> None:
    """Write a day; None for one that has nothing to sum, which has no row."""
    connection.execute(delete(table).where(table.c.end_ms == end))
    if row is not None:
        connection.execute(insert(table).values(end_ms=end, **row))

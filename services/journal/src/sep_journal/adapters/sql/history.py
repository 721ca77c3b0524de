"""Reads what performance is computed from: the sums of days, and the rows of days cut short."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select

from sep_journal.adapters.sql.day_sums import Interval, closed_results, exposures, ledger_sums
from sep_journal.adapters.sql.engine import reading
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
from sep_journal.domain.exact import ZERO
from sep_journal.domain.performance import DayValue, TradeSums, add_sums, sum_results
from sep_journal.ports import History, Range

_DAY_MS = 86_400_000
_MAX_DAYS = 20_000


@dataclass(frozen=True, slots=True)
class _Cut:
    """A range of times as whole days, by their first and last end, and what is left of others."""

    whole: Interval | None
    rest: Sequence[Interval]


def read_history(engine: Engine, times: Range, now_ms: int) -> History:
    """The history of a range, which ends with the last whole day or now.

    The value at a day's end is that of the day's last snapshot. A day without one, from before the
    journal ran, has the balance at its end.
    """
    with reading(engine) as connection:
        first = connection.execute(select(func.min(TRANSACTIONS.c.ts_ms))).scalar()
        if first is None:
            return History(
                values=(), sums=TradeSums(), first_open_ms=None, in_market_ms=0, exposure=None
            )
        until = min(now_ms, now_ms if times.until_ms is None else times.until_ms)
        since = max(first, first if times.since_ms is None else times.since_ms)
        since = max(since, until - _MAX_DAYS * _DAY_MS)
        cut, still_open = _cut(since, until), _still_open(connection)
        return History(
            values=_values(connection, _ends(first, since, until)),
            sums=_results(connection, cut),
            first_open_ms=_first_open(connection, still_open),
            in_market_ms=_in_market(connection, since, until, still_open),
            exposure=_exposure(connection, cut),
        )


def _ends(first: int, since: int, until: int) -> list[int]:
    """Ends of the range's days, after the end before them; the last is the range's own end."""
    # The day before the range is what the first return begins from.
    start = since if day_end_ms(first) >= day_end_ms(since) else since - _DAY_MS
    ends = list(day_ends(start, until))
    if not ends or ends[-1] < until:
        ends.append(until)
    return ends


def _cut(since: int, until: int) -> _Cut:
    """Cut the times from ``since`` until just before ``until``."""
    ends = list(day_ends(since, until - 1))
    rest: list[Interval] = []
    if ends and day_start_ms(ends[0]) + 1 < since:
        rest.append((since, ends[0]))
        since = ends.pop(0) + 1
    whole = (ends[0], ends[-1]) if ends else None
    if whole:
        since = whole[1] + 1
    if since < until:
        rest.append((since, until - 1))
    return _Cut(whole, rest)


def _values(connection: Connection, ends: Sequence[int]) -> list[DayValue]:
    whole = (ends[0], ends[-1])
    navs = {row.end_ms: row.nav for row in _sums(connection, SNAPSHOT_DAYS, whole)}
    ledger = {
        row.end_ms: (row.balance, Decimal(row.transfers))
        for row in _sums(connection, LEDGER_DAYS, whole)
    }
    last, day = ends[-1], day_end_ms(ends[-1])
    if last != day:
        within = (day_start_ms(day) + 1, last)
        ledger[last] = ledger_sums(connection, within)
        columns = SNAPSHOTS.c
        query = select(columns.nav).where(columns.ts_ms.between(*within))
        nav = connection.execute(query.order_by(columns.ts_ms.desc()).limit(1)).scalar()
        navs |= {} if nav is None else {last: nav}
    values: list[DayValue] = []
    balance = _balance_before(connection, ends[0])
    for end in ends:
        newest, transfers = ledger.get(end, ("", ZERO))
        balance = newest or balance
        nav = navs.get(end, balance)
        if nav:
            values.append(DayValue(end_ms=end, nav=Decimal(nav), transfers=transfers))
    return values


def _balance_before(connection: Connection, end: int) -> str:
    columns = TRANSACTIONS.c
    query = select(columns.account_balance).where(
        columns.account_balance != "", columns.ts_ms <= end
    )
    text = connection.execute(query.order_by(columns.ts_ms.desc(), columns.id.desc()).limit(1))
    return text.scalar() or ""


def _results(connection: Connection, cut: _Cut) -> TradeSums:
    found = [
        TradeSums(
            trades=row.trades, winners=row.winners, won=Decimal(row.won), lost=Decimal(row.lost)
        )
        for row in _sums(connection, TRADE_DAYS, cut.whole)
    ]
    found += [sum_results(closed_results(connection, within)) for within in cut.rest]
    return add_sums(found)


def _exposure(connection: Connection, cut: _Cut) -> float | None:
    count, added = 0, 0.0
    for row in _sums(connection, SNAPSHOT_DAYS, cut.whole):
        count, added = count + row.exposures, added + float(row.exposure_sum)
    for within in cut.rest:
        shares = exposures(connection, within)
        count, added = count + len(shares), added + sum(shares)
    return added / count if count else None


def _sums(connection: Connection, table: Table, whole: Interval | None) -> Sequence[Any]:
    """The sums of days, by the ends of the first and the last."""
    if whole is None:
        return ()
    query = select(table).where(table.c.end_ms.between(*whole))
    return connection.execute(query.order_by(table.c.end_ms)).all()


def _still_open(connection: Connection) -> int | None:
    """The first opening of the trades that are open."""
    query = select(func.min(TRADES.c.open_ms)).where(TRADES.c.close_ms.is_(None))
    found: int | None = connection.execute(query).scalar()
    return found


def _first_open(connection: Connection, still_open: int | None) -> int | None:
    closed = connection.execute(select(func.min(MARKET_TIMES.c.start_ms))).scalar()
    return min((ms for ms in (closed, still_open) if ms is not None), default=None)


def _in_market(connection: Connection, since: int, until: int, still_open: int | None) -> int:
    """How long any trade was open: from the first one that still is, all of the time."""
    opened = until if still_open is None else min(until, still_open)
    if opened <= since:
        return max(0, until - since)
    columns = MARKET_TIMES.c
    inside = select(
        func.coalesce(func.sum(columns.end_ms - columns.start_ms), 0), func.max(columns.end_ms)
    ).where(columns.start_ms >= since, columns.start_ms < opened)
    covered, last = connection.execute(inside).one()
    beyond = max(0, last - opened) if last is not None else 0
    query = select(columns.end_ms).where(columns.start_ms < since)
    running = connection.execute(query.order_by(columns.start_ms.desc()).limit(1)).scalar()
    before = max(0, min(running, opened) - since) if running is not None else 0
    return int(covered) - beyond + before + until - opened

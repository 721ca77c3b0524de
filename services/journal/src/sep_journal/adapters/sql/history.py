"""Reads what performance is computed from: snapshots, ledger and trades."""

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, func, or_, select

from sep_journal.adapters.sql.engine import reading
from sep_journal.adapters.sql.tables import SNAPSHOTS, TRADES, TRANSACTIONS
from sep_journal.domain.days import day_end_ms, day_ends
from sep_journal.domain.exact import ZERO, total
from sep_journal.domain.performance import DayValue
from sep_journal.ports import History, Range

_DAY_MS = 86_400_000
_MAX_DAYS = 20_000


def read_history(engine: Engine, times: Range, now_ms: int) -> History:
    """The history of a range, which ends with the last whole day or now.

    The value at a day's end is that of the day's last snapshot. A day without one, from before the
    journal ran, has the balance at its end.
    """
    with reading(engine) as connection:
        first = connection.execute(select(func.min(TRANSACTIONS.c.ts_ms))).scalar()
        if first is None:
            return History(values=(), results=(), open_times=(), exposure=None)
        until = min(now_ms, now_ms if times.until_ms is None else times.until_ms)
        since = max(first, first if times.since_ms is None else times.since_ms)
        since = max(since, until - _MAX_DAYS * _DAY_MS)
        ends = _ends(first, since, until)
        return History(
            values=_values(connection, ends),
            results=_results(connection, since, until),
            open_times=_open_times(connection, since, until),
            exposure=_exposure(connection, since, until),
        )


def _ends(first: int, since: int, until: int) -> list[int]:
    """Ends of the range's days, after the end before them; the last is the range's own end."""
    # The day before the range is what the first return begins from.
    start = since if day_end_ms(first) >= day_end_ms(since) else since - _DAY_MS
    ends = list(day_ends(start, until))
    if not ends or ends[-1] < until:
        ends.append(until)
    return ends


def _values(connection: Connection, ends: Sequence[int]) -> list[DayValue]:
    navs = _last_of_days(connection, SNAPSHOTS.c.ts_ms, SNAPSHOTS.c.nav, ends)
    balances = _last_of_days(
        connection,
        TRANSACTIONS.c.ts_ms,
        TRANSACTIONS.c.account_balance,
        ends,
        TRANSACTIONS.c.account_balance != "",
    )
    transfers = _transfers(connection, ends)
    values: list[DayValue] = []
    balance = _balance_before(connection, ends[0])
    for end in ends:
        balance = balances.get(end, balance)
        nav = navs.get(end, balance)
        if nav is not None:
            moved = total(transfers.get(end, ()))
            values.append(DayValue(end_ms=end, nav=nav, transfers=moved))
    return values


def _last_of_days(
    connection: Connection, at: Any, value: Any, ends: Sequence[int], *conditions: Any
) -> dict[int, Decimal]:
    """The last value of each day. One look-up by index a day: a day may have many rows."""
    found: dict[int, Decimal] = {}
    start = ends[0] - _DAY_MS
    for end in ends:
        query = select(value).where(at > start, at <= end, *conditions)
        text = connection.execute(query.order_by(at.desc()).limit(1)).scalar()
        if text is not None:
            found[end] = Decimal(text)
        start = end
    return found


def _balance_before(connection: Connection, end: int) -> Decimal | None:
    columns = TRANSACTIONS.c
    query = select(columns.account_balance).where(
        columns.account_balance != "", columns.ts_ms <= end
    )
    text = connection.execute(query.order_by(columns.ts_ms.desc(), columns.id.desc()).limit(1))
    found = text.scalar()
    return None if found is None else Decimal(found)


def _transfers(connection: Connection, ends: Sequence[int]) -> dict[int, list[Decimal]]:
    """The transfers by the end of their day; those before the first end belong to it."""
    columns = TRANSACTIONS.c
    query = select(columns.ts_ms, columns.transfer).where(
        columns.transfer != "0", columns.ts_ms <= ends[-1]
    )
    query = query.where(columns.ts_ms > ends[0] - _DAY_MS)
    found: dict[int, list[Decimal]] = {}
    bounds = list(ends)
    for ts_ms, amount in connection.execute(query.order_by(columns.id)):
        index = bisect_right(bounds, ts_ms - 1)
        found.setdefault(bounds[index], []).append(Decimal(amount))
    return found


def _results(connection: Connection, since: int, until: int) -> list[Decimal]:
    columns = TRADES.c
    query = select(columns.net_pl).where(columns.close_ms >= since, columns.close_ms < until)
    return [Decimal(text) for text in connection.execute(query).scalars()]


def _open_times(connection: Connection, since: int, until: int) -> list[tuple[int, int | None]]:
    columns = TRADES.c
    query = select(columns.open_ms, columns.close_ms).where(
        columns.open_ms < until, or_(columns.close_ms.is_(None), columns.close_ms >= since)
    )
    return [(opened, closed) for opened, closed in connection.execute(query)]


def _exposure(connection: Connection, since: int, until: int) -> float | None:
    columns = SNAPSHOTS.c
    query = select(columns.position_value, columns.nav).where(
        columns.ts_ms >= since, columns.ts_ms < until, columns.position_value != ""
    )
    shares = [
        float(Decimal(value) / Decimal(nav))
        for value, nav in connection.execute(query)
        if Decimal(nav) > ZERO
    ]
    return sum(shares) / len(shares) if shares else None

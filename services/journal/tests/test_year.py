"""A year of simulated days: the same figures from both databases, a rebuild and the rows."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sep_journal.adapters.sql import rows
from sep_journal.adapters.sql.day_sums import make_all, remake_snapshot_days
from sep_journal.adapters.sql.engine import reading, writing
from sep_journal.adapters.sql.history import read_history
from sep_journal.adapters.sql.journal import SqlJournal
from sep_journal.adapters.sql.tables import (
    LEDGER_DAYS,
    MARKET_TIMES,
    SNAPSHOT_DAYS,
    SNAPSHOTS,
    TRADE_DAYS,
    TRADES,
)
from sep_journal.adapters.sql.writer import LedgerWriter
from sep_journal.application.reports import Performance, Reports
from sep_journal.domain.accounts import Snapshot
from sep_journal.ports import Range
from sep_testing.clock import FakeClock
from sqlalchemy import Engine, delete, insert, select

from .ledgers import Account
from .test_tables import balance_by_trades, dump

# A year on PostgreSQL takes a minute and a half on a busy machine.
pytestmark = pytest.mark.timeout(600)

D = Decimal
START = datetime(2025, 1, 5, 22, tzinfo=UTC)
DAYS = 365
NOW = START + timedelta(days=DAYS, hours=3)
NOW_MS = int(NOW.timestamp() * 1000)
SUMS = (LEDGER_DAYS, TRADE_DAYS, SNAPSHOT_DAYS, MARKET_TIMES)
RANGES = [
    Range(),
    Range(since_ms=1_741_000_000_123, until_ms=1_762_500_000_456),
    # One day, and less than one, across the change of the clocks on 9 March 2025.
    Range(since_ms=1_741_471_200_001, until_ms=1_741_557_600_001),
    Range(since_ms=1_741_500_000_000, until_ms=1_741_500_000_001),
    Range(since_ms=1_000, until_ms=1_736_200_000_000),
]


class Year:
    """Trades by day and night with transfers, financing at 17:00 in New York, and snapshots."""

    def __init__(self) -> None:
        self.account = Account()
        self.snapshots: list[Snapshot] = []
        chance = random.Random(15)
        for day in range(DAYS):
            opening = START + timedelta(days=day)
            self._at(opening, self.account.transfer, D(5000) if not day else D(chance.choice(
                [0, 0, 0, 250, -100])))  # fmt: skip
            for hour in sorted(chance.sample(range(1, 20), 3)):
                self._at(opening + timedelta(hours=hour), self._trade, chance)
            ends = (opening + timedelta(hours=20)).astimezone(ZoneInfo("America/New_York"))
            self._at(ends.replace(hour=17, minute=0), self.account.roll_over, D("-0.0125"))
            if day > 30:  # before that the journal did not run
                self._snapshots(opening, chance)
        self.account.entries.sort(key=lambda entry: entry.id)

    def _at(self, when: datetime, act: object, *arguments: object) -> None:
        known = len(self.account.entries)
        act(*arguments)  # type: ignore[operator]
        for index in range(known, len(self.account.entries)):
            entry = self.account.entries[index]
            self.account.entries[index] = replace(entry, ts_ms=int(when.timestamp() * 1000))

    def _trade(self, chance: random.Random) -> None:
        opened = list(self.account.open_units)
        closes = [(t, -self.account.open_units[t], D(chance.randint(-900, 950)) / 100)
                  for t in opened if chance.random() < 0.7]  # fmt: skip
        self.account.fill(closes=closes, opens=D(chance.choice([100, 250])), commission=D("0.1"))

    def _snapshots(self, opening: datetime, chance: random.Random) -> None:
        for hour in (0, 6, 12, 18):
            self.snapshots.append(
                Snapshot(
                    ts_ms=int((opening + timedelta(hours=hour, minutes=1)).timestamp() * 1000),
                    balance=self.account.balance,
                    nav=self.account.balance + D(chance.randint(-500, 500)) / 100,
                    margin_used=D(0),
                    position_value=D(chance.randint(0, 9000)),
                    last_transaction_id=len(self.account.entries),
                )
            )


@pytest.fixture(scope="module")
def year() -> Year:
    return Year()


def take_in(engine: Engine, year: Year, size: int) -> None:
    writer, entries = LedgerWriter(engine), year.account.entries
    for start in range(0, len(entries), size):
        writer.append(entries[start : start + size])


@pytest.fixture
def filled(engine: Engine, year: Year) -> Engine:
    take_in(engine, year, 150)
    *early, one, two = year.snapshots
    with writing(engine) as connection:
        connection.execute(insert(SNAPSHOTS), [rows.snapshot_row(found) for found in early])
        remake_snapshot_days(connection, [found.ts_ms for found in early])
    writer = LedgerWriter(engine)
    writer.append_snapshot(one)
    writer.append_snapshot(two)
    return engine


async def performances(engine: Engine) -> list[Performance]:
    reports = Reports(SqlJournal(engine), FakeClock(NOW.isoformat()))
    return [await reports.performance(times) for times in RANGES]


def sums(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    with reading(engine) as connection:
        return {t.name: sorted(map(tuple, connection.execute(select(t)))) for t in SUMS}


def check_against_rows(filled: Engine, year: Year, times: Range) -> None:
    """Compare the sums of a range with those of its single rows."""
    history = read_history(filled, times, NOW_MS)
    since, until = times.since_ms or 0, min(NOW_MS, times.until_ms or NOW_MS)
    with reading(filled) as connection:
        trades = connection.execute(select(TRADES)).all()
    results = [D(t.net_pl) for t in trades if t.close_ms and since <= t.close_ms < until]
    assert history.sums.trades == len(results)
    assert history.sums.winners == sum(r > 0 for r in results)
    assert history.sums.won + history.sums.lost == sum(results)
    covered, reached = 0, since
    for opened, closed in sorted((t.open_ms, t.close_ms or NOW_MS) for t in trades):
        start, end = max(opened, reached), min(closed, until)
        if end > start:
            covered, reached = covered + end - start, end
    assert history.in_market_ms == covered
    shares = [float(s.position_value / s.nav) for s in year.snapshots
              if s.position_value is not None and since <= s.ts_ms < until]  # fmt: skip
    mean = sum(shares) / len(shares) if shares else None
    assert history.exposure == (None if mean is None else pytest.approx(mean, rel=1e-12))


_FIGURES: dict[str, list[Performance]] = {}


async def test_both_databases_and_a_rebuild_give_the_figures_of_the_rows(
    filled: Engine, year: Year
) -> None:
    for times in RANGES:
        check_against_rows(filled, year, times)
    found, tables = await performances(filled), dump(filled)
    assert len(found[0].days) >= DAYS
    assert found[0].net_pl + found[0].transfers == found[0].days[-1].nav
    assert found[0].transfers == year.account.transfers
    assert balance_by_trades(filled) == year.account.balance
    LedgerWriter(filled).clear_ledger()
    take_in(filled, year, 900)
    assert dump(filled) == tables
    assert await performances(filled) == found
    # The other database, if it was there before, had the same to the last digit.
    assert _FIGURES.setdefault("first", found) == found


async def test_sums_of_days_are_made_from_the_rows_of_an_older_release(filled: Engine) -> None:
    before, found = sums(filled), await performances(filled)
    assert all(before.values())
    with writing(filled) as connection:
        for table in SUMS:
            connection.execute(delete(table))
        make_all(connection)
    assert sums(filled) == before
    assert await performances(filled) == found

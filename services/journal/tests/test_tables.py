"""The journal's tables, on both databases."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from sep_journal.adapters.sql.decision_traces import read_traces
from sep_journal.adapters.sql.decision_writer import DecisionWriter
from sep_journal.adapters.sql.engine import migrate, open_engine, reading
from sep_journal.adapters.sql.history import read_history
from sep_journal.adapters.sql.migrations import HEAD
from sep_journal.adapters.sql.reader import SqlReader
from sep_journal.adapters.sql.tables import (
    EXECUTIONS,
    LEDGER_DAYS,
    MARKET_TIMES,
    METADATA,
    ORDERS,
    TRADE_DAYS,
    TRADES,
    TRANSACTIONS,
)
from sep_journal.adapters.sql.writer import LedgerWriter
from sep_journal.domain.accounts import Snapshot
from sep_journal.domain.days import day_end_ms
from sep_journal.domain.decisions import Decision
from sep_journal.ports import PageRequest, Range
from sep_kit.errors import JournalUnavailableError
from sqlalchemy import Engine, select

from .ledgers import Account
from .test_exact_costs import accounts

D = Decimal
ALWAYS = Range()
FROM_LEDGER = (TRANSACTIONS, ORDERS, EXECUTIONS, TRADES, LEDGER_DAYS, TRADE_DAYS, MARKET_TIMES)


def dump(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Every row that is made from the ledger."""
    with reading(engine) as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in FROM_LEDGER
        }


def an_account() -> Account:
    account = Account()
    account.transfer(D(1000))
    for _ in range(3):
        account.fill(opens=D(100), commission=D("0.1"), client_order_id=f"sep-{account.next_id}")
    account.roll_over(D("-0.25"))
    account.fill(closes=[(2, D(-40), D("1.5"))])
    account.fill(closes=[(2, D(-60), D("-2")), (3, D(-100), D("3.75"))])
    return account


def balance_by_trades(engine: Engine) -> Decimal:
    reader, found, before = SqlReader(engine), D(0), None
    while True:
        page = reader.trades(PageRequest(size=2, before=before), ALWAYS, "", only_open=False)
        found += sum(entry.trade.net_pl for entry in page.entries)
        if page.next_before is None:
            break
        before = page.next_before
    with reading(engine) as connection:
        transfers = connection.execute(select(TRANSACTIONS.c.transfer)).scalars()
        return found + sum(map(Decimal, transfers))


def test_migrated_tables_are_those_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_the_newest_revision_is_that_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", "sep_journal:adapters/sql/migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_start_that_migrates_nothing_does_not_load_what_migrates(database_url: str) -> None:
    code = (
        "import sys; from sep_journal.adapters.sql.engine import migrate, open_engine; "
        f"import sep_journal.app; migrate(open_engine({database_url!r})); "
        "print('alembic' in sys.modules, 'numpy' in sys.modules)"
    )
    found = [
        subprocess.run(
            [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert found == [["True", "False"], ["False", "False"]]


def test_replicas_that_start_together_migrate_once(database_url: str) -> None:
    engines = [open_engine(database_url) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(migrate, engines))
    assert LedgerWriter(engines[0]).last_id() == 0
    for engine in engines:
        engine.dispose()


def test_trades_and_transfers_are_the_balance(engine: Engine) -> None:
    account = an_account()
    assert LedgerWriter(engine).append(account.entries) == len(account.entries)
    assert balance_by_trades(engine) == account.balance


def test_a_transaction_is_taken_in_once_and_nothing_after_a_gap(engine: Engine) -> None:
    account, writer = an_account(), LedgerWriter(engine)
    assert writer.append(account.entries[:3]) == 3
    assert writer.append(account.entries[:5]) == 2
    assert writer.append(account.entries[6:]) == 0
    assert writer.last_id() == 5
    writer.append(account.entries)
    once = dump(engine)
    writer.append(account.entries)
    assert dump(engine) == once


def test_pages_of_one_size_make_the_same_tables_as_any_other_and_as_a_rebuild(
    engine: Engine,
) -> None:
    account, writer = an_account(), LedgerWriter(engine)
    for entry in account.entries:
        writer.append([entry])
    running = dump(engine)
    writer.clear_ledger()
    assert dump(engine)["trades"] == []
    writer.append(account.entries)
    assert dump(engine) == running


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(
    max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(account=accounts())
def test_any_ledger_adds_up_in_the_tables(engine: Engine, account: Account) -> None:
    writer = LedgerWriter(engine)
    writer.clear_ledger()
    middle = len(account.entries) // 2
    writer.append(account.entries[:middle])
    writer.append(account.entries)
    assert balance_by_trades(engine) == account.balance


def decision(number: int, kind: str, *reasons: str, instrument: str = "EUR_USD") -> Decision:
    return Decision(
        id=f"d{number}",
        ts_ms=number * 1000,
        event="decision",
        kind=kind,
        instrument=instrument,
        reasons=reasons,
        record="{}",
        quote_mid=D("1.1001"),
        signal_mid=D("1.1"),
    )


def listed(engine: Engine, **filters: str) -> list[tuple[str, str, int, int]]:
    page = SqlReader(engine).decisions(PageRequest(size=50), ALWAYS, filters)
    return [(d.id, d.kind, d.count, d.last_ts_ms) for d in page.entries]


def test_a_refusal_is_recorded_when_its_reasons_change(engine: Engine) -> None:
    writer = DecisionWriter(engine)
    first = [decision(1, "REFUSAL", "SPREAD"), decision(2, "REFUSAL", "SPREAD")]
    assert writer.append(first, "", "2-0")
    later = [
        decision(3, "REFUSAL", "SPREAD"),
        decision(4, "REFUSAL", "SPREAD", instrument="USD_JPY"),
        decision(5, "REFUSAL", "SPREAD", "SIGNAL_STALE"),
        decision(6, "ENTRY"),
        decision(7, "ENTRY"),
        decision(8, "REFUSAL", "SPREAD"),
    ]
    assert writer.append(later, "2-0", "8-0")
    assert listed(engine, instrument="EUR_USD") == [
        ("d8", "REFUSAL", 1, 8000),
        ("d7", "ENTRY", 1, 7000),
        ("d6", "ENTRY", 1, 6000),
        ("d5", "REFUSAL", 1, 5000),
        ("d1", "REFUSAL", 3, 3000),
    ]
    assert listed(engine, reason="SIGNAL_STALE") == [("d5", "REFUSAL", 1, 5000)]
    assert [d.id for d in SqlReader(engine).decision("d3")] == ["d1"]


def test_decisions_that_another_replica_took_in_are_not_taken_in_again(engine: Engine) -> None:
    writer = DecisionWriter(engine)
    assert writer.append([decision(1, "ENTRY")], "", "1-0")
    assert not writer.append([decision(1, "ENTRY")], "", "1-0")
    assert len(listed(engine)) == 1
    assert writer.position() == "1-0"


@pytest.mark.parametrize("order_first", [True, False])
def test_a_trade_has_its_decision_whichever_comes_first(
    engine: Engine, *, order_first: bool
) -> None:
    account = Account()
    account.fill(opens=D(100), client_order_id="sep-1", price=D("1.1004"))
    account.fill(closes=[(1, D(-100), D("1"))])
    order = Decision(
        id="d1",
        ts_ms=2000,
        event="order",
        kind="ORDER",
        instrument="EUR_USD",
        reasons=(),
        record="{}",
        client_order_id="sep-1",
    )
    decisions, ledger = DecisionWriter(engine), LedgerWriter(engine)
    if order_first:
        decisions.append([decision(1, "ENTRY"), order], "", "2-0")
        ledger.append(account.entries)
    else:
        ledger.append(account.entries)
        decisions.append([decision(1, "ENTRY"), order], "", "2-0")
    (entry,) = SqlReader(engine).trades(PageRequest(size=5), ALWAYS, "", only_open=False).entries
    assert entry.trade.decision_ids == ("d1",)
    # 100 units, 0.0001, at the middle of 0.9 and 0.91.
    assert entry.trade.parts.delay == D("-0.00905")
    assert entry.transaction_ids == (1, 2)


def test_history_has_the_last_snapshot_of_each_day_and_the_balance_before_the_first(
    engine: Engine,
) -> None:
    account, writer = Account(), LedgerWriter(engine)
    account.transfer(D(1000))
    writer.append(account.entries)
    first = day_end_ms(account.entries[0].ts_ms)
    day = 86_400_000
    for at, nav in ((first + 1000, "1001"), (first + day, "1005"), (first + day + 1, "1004")):
        writer.append_snapshot(
            Snapshot(
                ts_ms=at,
                balance=D(1000),
                nav=D(nav),
                margin_used=D(0),
                position_value=D(500),
                last_transaction_id=1,
            )
        )
    history = read_history(engine, ALWAYS, first + day + 5000)
    assert [(v.end_ms, v.nav, v.transfers) for v in history.values] == [
        (first, D(1000), D(1000)),
        (first + day, D(1005), D(0)),
        (first + day + 5000, D(1004), D(0)),
    ]
    assert history.exposure == pytest.approx(0.4985, abs=1e-3)


def test_a_database_that_is_away_is_unavailable() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(JournalUnavailableError):
        LedgerWriter(engine).last_id()
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "nonsense"])
def test_only_sqlite_files_and_postgresql_are_accepted(url: str) -> None:
    with pytest.raises(ValueError, match="JOURNAL_DB_URL"):
        open_engine(url)


def test_a_decision_is_followed_to_the_trades_that_it_opened_and_closed(engine: Engine) -> None:
    account, ledger, decisions = an_account(), LedgerWriter(engine), DecisionWriter(engine)
    ledger.append(account.entries)
    opened = [
        Decision(id="d1", ts_ms=1, event="decision", kind="ENTRY", instrument="EUR_USD",
                 reasons=(), record="{}"),
        Decision(id="d1", ts_ms=2, event="order", kind="ORDER", instrument="EUR_USD", reasons=(),
                 record="{}", client_order_id="sep-2"),
        Decision(id="d2", ts_ms=3, event="order", kind="ORDER", instrument="EUR_USD", reasons=(),
                 record="{}", client_order_id="sep-never"),
    ]  # fmt: skip
    assert decisions.append(opened, "", "1-0")
    found = read_traces(engine, "d1")
    assert list(found.orders) == [("sep-2", 1)]
    assert [number for number, _ in found.transactions] == [2]
    assert [number for number, _ in found.trades] == [2]
    assert read_traces(engine, "d2").transactions == []
    assert read_traces(engine, "d3").orders == ()

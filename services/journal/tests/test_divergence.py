"""Days that are compared with their replay: stored, served, measured, tried again."""

import json
import stat
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sep.journal.v1 import journal_pb2 as pb
from sep_journal.adapters.replay_process import ReplayProcess
from sep_journal.adapters.sql.decision_writer import DecisionWriter
from sep_journal.adapters.sql.divergence_rows import SqlDivergence
from sep_journal.adapters.sql.engine import migrate, open_engine
from sep_journal.adapters.sql.journal import SqlJournal
from sep_journal.adapters.sql.writer import LedgerWriter
from sep_journal.application.divergence import DivergenceLoop, day_begin_ms, last_day_end
from sep_journal.divergence_ports import LiveDay, ReplayError
from sep_journal.domain.days import day_end_ms
from sep_journal.domain.decisions import Decision
from sep_journal.domain.divergence import CAUSES, Difference, DivergenceDay
from sep_journal.metrics import DivergenceMetrics
from sep_journal.ports import PageRequest, Range
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer
from sqlalchemy import Engine

from .ledgers import Account
from .test_journal_service import Gateway, running_gateway, running_journal

D = Decimal
ALWAYS = Range()
START_MS = 1_700_000_000_000
"""The ledger's first day, a Tuesday after 17:00 in New York."""


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def a_day(end_ms: int, cash: str = "-1.25") -> DivergenceDay:
    difference = Difference(
        cause="price",
        cash=D(cash),
        instrument="EUR_USD",
        ts_ms=end_ms - 5,
        what="entered later",
        trade_id="7",
        replay_trade_id="3",
    )
    return DivergenceDay(
        end_ms=end_ms,
        live_net=D("10"),
        replay_net=D("10") - D(cash),
        live_trades=2,
        replay_trades=1,
        differences=[difference],
    )


def test_compared_days_come_back_in_pages_newest_first(engine: Engine) -> None:
    store = SqlDivergence(engine)
    for end in (1_000, 2_000, 3_000):
        store.save(a_day(end))
    first = store.days(PageRequest(size=2), ALWAYS, "")
    assert [day.end_ms for day in first.entries] == [3_000, 2_000]
    last = store.days(PageRequest(size=2, before=first.next_before), ALWAYS, "")
    assert [day.end_ms for day in last.entries] == [1_000]
    assert last.next_before is None
    assert last.entries[0] == a_day(1_000)


def test_a_day_that_is_compared_again_replaces_its_differences(engine: Engine) -> None:
    store = SqlDivergence(engine)
    store.save(a_day(1_000))
    store.save(a_day(1_000, "-3"))
    (day,) = store.days(PageRequest(size=9), ALWAYS, "").entries
    assert day == a_day(1_000, "-3")


def test_differences_are_those_of_the_instrument_that_is_asked_for(engine: Engine) -> None:
    store = SqlDivergence(engine)
    store.save(a_day(1_000))
    (day,) = store.days(PageRequest(size=9), ALWAYS, "GBP_USD").entries
    assert not day.differences
    assert day.live_net == D("10")


def test_a_live_day_has_its_balance_its_trades_and_the_decisions_in_force(engine: Engine) -> None:
    account = Account()
    account.transfer(D(1000))
    account.fill(opens=D(100), client_order_id="sep-1")
    LedgerWriter(engine).append(account.entries)
    begin = day_end_ms(START_MS)
    record = json.dumps({"id": "r"})
    refusal = Decision(
        id="r", ts_ms=begin - 5_000, event="decision", kind="REFUSAL", instrument="EUR_USD",
        reasons=("NO_WEIGHT",), record=record,
    )  # fmt: skip
    again = Decision(
        id="s", ts_ms=begin + 5_000, event="decision", kind="REFUSAL", instrument="EUR_USD",
        reasons=("NO_WEIGHT",), record=record,
    )  # fmt: skip
    DecisionWriter(engine).append([refusal, again], "", "1-0")
    live = SqlDivergence(engine).live_day(begin, begin + 86_400_000)
    assert live is not None
    assert live.balance == D(1000)
    assert [t["instrument"] for t in live.trades] == ["EUR_USD"]
    (decision,) = live.decisions
    assert (decision["ts_ms"], decision["last_ts_ms"]) == (begin - 5_000, begin + 5_000)
    assert decision["record"] == {"id": "r"}


def test_a_day_before_the_account_has_no_live_side(engine: Engine) -> None:
    account = Account()
    account.transfer(D(1000))
    LedgerWriter(engine).append(account.entries)
    assert SqlDivergence(engine).live_day(START_MS - 86_400_000, START_MS) is None


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-03-03T23:00:00", "2026-03-03T22:00:00"),  # Tuesday in winter: 17:00 is 22:00 UTC
        ("2026-03-03T21:00:00", "2026-03-02T22:00:00"),
        ("2026-03-08T12:00:00", "2026-03-06T22:00:00"),  # Sunday: Friday's
        ("2026-03-09T20:00:00", "2026-03-06T22:00:00"),  # Monday before its end: Friday's
        ("2026-03-09T22:00:00", "2026-03-09T21:00:00"),  # the clocks changed on Sunday
        ("2026-11-02T23:00:00", "2026-11-02T22:00:00"),
    ],
)
def test_the_last_day_that_is_over(now: str, end: str) -> None:
    assert last_day_end(ms(now)) == ms(end)


def test_days_are_next_to_each_other_when_clocks_change() -> None:
    assert day_begin_ms(ms("2026-03-08T21:00:00")) == ms("2026-03-07T22:00:00")
    assert day_begin_ms(ms("2026-11-01T22:00:00")) == ms("2026-10-31T21:00:00")


class Replayer:
    """Compares days; fails a given number of times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.asked: list[int] = []

    async def compare(self, live: LiveDay) -> DivergenceDay:
        self.asked.append(live.end_ms)
        if len(self.asked) <= self.failures:
            raise ReplayError("no candles")
        return a_day(live.end_ms, "-150")


async def test_a_day_is_compared_once_and_tried_again_after_a_failure(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/journal.db")
    migrate(engine)
    account = Account()
    account.transfer(D(1000))
    LedgerWriter(engine).append(account.entries)
    journal, registry = SqlJournal(engine), CollectorRegistry()
    end = ms("2023-11-17T22:00:00")
    clock = FakeClock("2023-11-17T22:01:00Z")
    replayer, writer = Replayer(failures=1), [True]
    metrics = DivergenceMetrics(registry, D(100))
    loop = DivergenceLoop(journal, replayer, lambda: writer[0], clock, metrics)
    await loop.tick()
    assert end not in replayer.asked
    clock.advance(600)
    await loop.tick()
    await loop.tick()
    failed = len(replayer.asked)
    clock.advance(1_800)
    for _ in range(3):
        await loop.tick()
    assert replayer.asked[-1] == end
    assert len(replayer.asked) == failed + 1
    price = {"cause": "price"}
    assert registry.get_sample_value("sep_divergence_cash", price) == -150
    assert registry.get_sample_value("sep_divergence_cash", {"cause": "unexplained"}) == 0
    again = DivergenceLoop(journal, Replayer(failures=9), lambda: True, clock, metrics)
    await again.tick()
    writer[0] = False
    await loop.tick()
    assert registry.get_sample_value("sep_divergence_cash", price) is None
    await journal.close()


def program(folder: Path, text: str) -> str:
    path = folder / "replay"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


LIVE = LiveDay(start_ms=0, end_ms=ms("2026-03-03T22:00:00"), balance=D(5), trades=[], decisions=[])


async def test_the_replay_gets_the_day_and_its_answer_is_read(tmp_path: Path) -> None:
    item = {"cause": "gate", "cash": "-2.5", "instrument": "EUR_USD", "ts_ms": 5, "what": "closed",
            "live_id": "", "replay_id": "9"}  # fmt: skip
    answer = {"live_net": "0", "replay_net": "2.5", "live_trades": 0, "replay_trades": 1,
              "differences": [item]}  # fmt: skip
    script = f"echo \"$@\" > {tmp_path}/args; cat > {tmp_path}/in; echo '{json.dumps(answer)}'"
    day = await ReplayProcess(program(tmp_path, script)).compare(LIVE)
    assert (tmp_path / "args").read_text().split() == [
        "parity", "--day", "2026-03-03", "--live", "-", "--json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "in").read_text())["balance"] == "5"
    assert day.by_cause()["gate"] == (1, D("-2.5"))
    assert tuple(day.by_cause()) == CAUSES


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("cat > /dev/null; echo 'no candle of the day' >&2; exit 1", "no candle of the day"),
        ("cat > /dev/null; echo nonsense", "answers something else"),
    ],
)
async def test_a_replay_that_fails_says_why(tmp_path: Path, script: str, why: str) -> None:
    with pytest.raises(ReplayError, match=why):
        await ReplayProcess(program(tmp_path, script)).compare(LIVE)


async def test_a_program_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="ends with"):
        await ReplayProcess(str(tmp_path / "none")).compare(LIVE)


async def test_compared_days_are_served(valkey: ValkeyServer, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/journal.db"
    engine = open_engine(database)
    migrate(engine)
    SqlDivergence(engine).save(a_day(ms("2026-03-03T22:00:00")))
    engine.dispose()
    peer = Gateway()  # type: ignore[abstract]
    async with (
        running_gateway(peer) as gateway,
        running_journal(valkey, gateway, database) as stub,
    ):
        response = await stub.ListDivergence(pb.ListDivergenceRequest(), timeout=30)
    (day,) = response.days
    assert day.date == "2026-03-03"
    assert [c.cause for c in day.causes] == list(CAUSES)
    assert {c.cause: c.cash for c in day.causes}["price"] == "-1.25"
    assert [(d.trade_id, d.replay_trade_id) for d in day.differences] == [("7", "3")]

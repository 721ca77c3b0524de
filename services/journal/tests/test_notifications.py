"""Notifications: made once, delivered at least once, to real SMTP and HTTP servers on loopback."""

import asyncio
import json
import shutil
import signal
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sep_journal.adapters.apprise_sender import AppriseSender
from sep_journal.adapters.destinations import UrlList, name_of
from sep_journal.adapters.heartbeat import HttpHeartbeat
from sep_journal.adapters.sql.decision_writer import DecisionWriter
from sep_journal.adapters.sql.engine import migrate, open_engine
from sep_journal.adapters.sql.outbox import SqlOutbox
from sep_journal.adapters.sql.outbox_threads import OutboxThread
from sep_journal.adapters.sql.writer import LedgerWriter
from sep_journal.adapters.valkey_state import ValkeyState
from sep_journal.application.notifying import Notifications
from sep_journal.domain.decisions import Decision
from sep_journal.domain.delivery import DeliveryRules, QuietHours, next_attempt_ms
from sep_journal.domain.notifications import Kind, Level, Notification, StackState
from sep_journal.metrics import NotificationMetrics
from sep_journal.outbox_ports import Attempt, Delivery, HeartbeatFailedError
from sep_journal.settings import JournalSettings
from sep_kit.settings.loading import InvalidSettingsError, load_settings
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey, reply
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer
from sqlalchemy import Engine

from .ledgers import Account
from .sinks import SECRET, HttpSink, Mailbox

D = Decimal
NEW_YORK = ZoneInfo("America/New_York")
RULES = DeliveryRules(levels={}, quiet={}, zone=NEW_YORK)
START = "2026-03-04T12:00:00Z"
START_MS = 1_772_625_600_000


def account(*, deposits: int = 1) -> Account:
    found = Account()
    for _ in range(deposits):
        found.transfer(D(1000))
    return found


def ids_of(sink: HttpSink) -> list[str]:
    return sorted(sink.ids)


class Fixed:
    """Destinations that are given."""

    def __init__(self, *urls: str) -> None:
        self.urls = {name_of(url): url for url in urls}

    def read(self) -> dict[str, str]:
        return self.urls


def notifications(
    engine: Engine, urls: Fixed, clock: FakeClock, sender: Any = None, watched: Any = None
) -> Notifications:
    return Notifications(
        OutboxThread(SqlOutbox(engine, RULES)),
        watched,
        urls,
        sender or AppriseSender(),
        lambda: True,
        clock,
        NotificationMetrics(CollectorRegistry()),
    )


# What becomes a message.


def begun(engine: Engine, rules: DeliveryRules = RULES) -> SqlOutbox:
    outbox = SqlOutbox(engine, rules)
    outbox.collect(["a"], 0)
    return outbox


def keys_due(outbox: SqlOutbox, now_ms: int = 2**50) -> list[str]:
    return [d.key for d in outbox.due(["a"], now_ms, 1000)]


def test_fills_and_exits_become_messages_once_also_after_a_rebuild(engine: Engine) -> None:
    outbox, ledger, owner = begun(engine), LedgerWriter(engine), account()
    owner.fill(opens=D(100))
    owner.fill(closes=[(2, D(-100), D("1.5"))])
    ledger.append(owner.entries)
    while outbox.collect(["a"], 1):
        pass
    due = outbox.due(["a"], 2**50, 10)
    assert sorted(d.key for d in due) == ["exit:2:3:0", "fill:2:2:0"]
    (closed,) = [d for d in due if d.key.startswith("exit")]
    assert "P&L +1.5" in closed.title
    ledger.clear_ledger()
    outbox.collect(["a"], 2)
    ledger.append(owner.entries)
    while outbox.collect(["a"], 3):
        pass
    assert len(keys_due(outbox)) == 2


def test_what_happened_before_the_first_start_is_no_news(engine: Engine) -> None:
    owner = account()
    owner.fill(opens=D(100))
    LedgerWriter(engine).append(owner.entries)
    outbox = begun(engine)
    outbox.collect(["a"], 1)
    assert keys_due(outbox) == []


def risk(number: int, kind: str) -> Decision:
    record = {"cause": "drawdown", "actor": "alice", "reason": f"why {number}"}
    return Decision(
        id=f"r{number}", ts_ms=number, event="risk", kind=kind, instrument="EUR_USD",
        reasons=(), record=json.dumps(record),
    )  # fmt: skip


def test_breaker_and_locks_become_messages_and_baselines_do_not(engine: Engine) -> None:
    outbox = begun(engine)
    changes = [risk(1, "BREAKER_TRIPPED"), risk(2, "LOCKED"), risk(3, "UNLOCKED")]
    changes += [risk(4, "BREAKER_ACKNOWLEDGED"), risk(5, "BASELINE_STARTED")]
    DecisionWriter(engine).append(changes, "", "5-0")
    outbox.collect(["a"], 1)
    found = {d.title: (d.level, d.body) for d in outbox.due(["a"], 2**50, 10)}
    assert found == {
        "Breaker tripped by drawdown": (Level.CRITICAL, "why 1"),
        "EUR_USD locked: drawdown": (Level.WARNING, "why 2"),
        "EUR_USD unlocked by alice": (Level.WARNING, "why 3"),
        "Breaker acknowledged by alice": (Level.CRITICAL, "why 4"),
    }


async def test_kill_switch_held_weights_and_flips_are_seen_in_valkey(
    valkey: ValkeyServer, engine: Engine
) -> None:
    store = open_valkey(valkey.url)

    async def write(number: int, *, gate: int, held: bool) -> None:
        blob = {"ts": number, "gates": {"EUR_USD": gate}, "cooldowns": {"EUR_USD": 0},
                "bufs": {"EUR_USD": 0.1}, "reasons": {"EUR_USD": ["CALMAR"]}}  # fmt: skip
        weights = {"ts": number, "gates_ts": 1, "weights": {}, "scores": {}, "top_k": 3,
                   "held": held, "held_reason": "BLOB_STALE"}  # fmt: skip
        await reply(store.set(keys.GATES_BLOB, json.dumps(blob)))
        await reply(store.set(keys.ALLOCATION_WEIGHTS, json.dumps(weights)))
        change = {"ts": number, "engaged": held, "reason": "lunch", "actor": "alice"}
        await reply(store.xadd(keys.KILL_SWITCH_AUDIT, {"change": json.dumps(change)}))

    rules = DeliveryRules(levels={Kind.FLIP: Level.INFO}, quiet={}, zone=NEW_YORK)
    outbox, watched = SqlOutbox(engine, rules), ValkeyState(store)

    async def observe() -> None:
        before = outbox.observed()
        outbox.observe(await watched.read(before), ["a"], 1)

    await observe()  # an empty store
    await write(1, gate=1, held=False)
    await observe()
    assert [d.title for d in outbox.due(["a"], 2, 9)] == ["Kill switch released by alice"]
    await write(2, gate=0, held=True)
    await observe()
    await observe()
    titles = sorted(d.title for d in outbox.due(["a"], 2, 9))
    assert titles == [
        "EUR_USD: gate closed", "Kill switch engaged by alice", "Kill switch released by alice",
        "Weights are held",
    ]  # fmt: skip
    promotion = {"id": "c1", "ts_ms": 3, "actor": "ann", "reason": "walk-forward", "run": "run@abc",
                 "changed": [{"instrument": "EUR_USD", "before": None, "after": {}}]}  # fmt: skip
    for text in (json.dumps(promotion), "{"):
        await reply(store.xadd(keys.PARAMETER_CHANGES, {"change": text}))
    await observe()
    await observe()
    (promoted,) = {d.title for d in outbox.due(["a"], 2, 9)} - set(titles)
    assert promoted == "EUR_USD: parameters changed to run run@abc by ann"
    await reply(store.set(keys.GATES_BLOB, "{"))
    await observe()
    assert outbox.observed().gates == {"EUR_USD": False}
    await store.aclose()


def test_levels_turn_kinds_off_or_put_them_into_the_daily_summary(engine: Engine) -> None:
    levels = {Kind.HELD: Level.OFF, Kind.FLIP: Level.DIGEST}
    outbox = begun(engine, DeliveryRules(levels=levels, quiet={}, zone=NEW_YORK))
    outbox.begin_days(0)
    outbox.observe(StackState(gates={"EUR_USD": True}, held=False), ["a"], 1)
    now = StackState(gates={"EUR_USD": False}, gates_ms=5, held=True, weights_ms=5)
    outbox.observe(now, ["a"], 1)
    assert keys_due(outbox) == []
    for _ in range(2):
        outbox.summarise(None, 10, ["a"], 11)
    (summary,) = outbox.due(["a"], 2**50, 10)
    assert (summary.key, summary.body) == ("summary:10", "EUR_USD: gate closed")
    outbox.summarise(None, 20, ["a"], 21)  # nothing happened
    assert keys_due(outbox) == ["summary:10"]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp() * 1000)


@pytest.mark.parametrize(
    ("hours", "now", "due"),
    [
        ("22:00-07:00", "2026-03-02T21:59", "2026-03-02T21:59"),
        ("22:00-07:00", "2026-03-02T22:00", "2026-03-03T07:00"),
        ("22:00-07:00", "2026-03-03T06:59", "2026-03-03T07:00"),
        ("22:00-07:00", "2026-03-03T07:00", "2026-03-03T07:00"),
        ("12:00-13:30", "2026-03-03T12:15", "2026-03-03T13:30"),
        ("12:00-13:30", "2026-03-03T13:30", "2026-03-03T13:30"),
        ("22:00-03:00", "2026-03-07T23:00", "2026-03-08T03:00"),  # summer time begins at 2:00
    ],
)
def test_a_message_waits_for_the_end_of_quiet_hours(hours: str, now: str, due: str) -> None:
    assert QuietHours.parse(hours).due_ms(at(now), NEW_YORK) == at(due)


def test_what_is_critical_ignores_quiet_hours() -> None:
    hours = QuietHours.parse("00:00-23:59")
    rules = DeliveryRules(levels={}, quiet=dict.fromkeys(Kind, hours), zone=NEW_YORK)
    now = int(datetime(2026, 3, 3, 12, tzinfo=UTC).timestamp() * 1000)

    def due(kind: Kind) -> int:
        message = Notification(key="k", ts_ms=now, kind=kind, title="", body="")
        return rules.due_ms(message, now)

    assert due(Kind.BREAKER) == due(Kind.KILL_SWITCH) == now < due(Kind.FILL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NOTIFY_QUIET_JSON", '{"fill": "22:00"}'),
        ("NOTIFY_QUIET_JSON", '{"nonsense": "22:00-07:00"}'),
        ("NOTIFY_LEVELS_JSON", '{"fill": "loud"}'),
        ("NOTIFY_TIME_ZONE", "Europe/Nowhere"),
    ],
)
def test_malformed_settings_are_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettingsError, match=name):
        load_settings(JournalSettings, {name: value}, Path("/nonexistent"))


def test_pauses_double_up_to_a_quarter_of_an_hour() -> None:
    pauses = [next_attempt_ms(n, 0) // 1000 for n in (1, 2, 3, 8, 9, 1000)]
    assert pauses == [5, 10, 20, 640, 900, 900]


# Delivery.


async def test_a_message_reaches_an_smtp_and_an_http_server_with_its_id(
    engine: Engine, http_sink: HttpSink, mailbox: Mailbox
) -> None:
    urls, clock = Fixed(http_sink.url, mailbox.url), FakeClock(START)
    made = notifications(engine, urls, clock)
    await made.collect()
    DecisionWriter(engine).append([_late(risk(1, "BREAKER_TRIPPED"))], "", "1-0")
    await made.collect()
    for _ in range(2):
        await made.deliver()
    (body,) = http_sink.bodies
    assert (body["title"], body["message"], body["type"]) == (
        "Breaker tripped by drawdown", "why 1", "failure",
    )  # fmt: skip
    (mail,) = mailbox.messages
    assert http_sink.ids == ["breaker:1:r1"]
    assert "X-Notification-Id: breaker:1:r1" in mail
    assert "Breaker tripped by drawdown" in mail


def _late(decision: Decision) -> Decision:
    values = {name: getattr(decision, name) for name in decision.__slots__}
    return Decision(**(values | {"ts_ms": START_MS + 1}))


async def test_a_dead_destination_is_tried_again_and_holds_up_no_other(
    engine: Engine, http_sink: HttpSink, mailbox: Mailbox
) -> None:
    urls, clock = Fixed(http_sink.url, mailbox.url), FakeClock(START)
    made, http_sink.status = notifications(engine, urls, clock), 500
    await made.collect()
    changes = [_late(risk(n, "LOCKED")) for n in (1, 2)]
    DecisionWriter(engine).append(changes, "", "2-0")
    await made.collect()
    await made.deliver()
    assert len(mailbox.messages) == 2
    outbox, name = SqlOutbox(engine, RULES), name_of(http_sink.url)
    # One attempt, not two; then a pause of the whole destination.
    assert outbox.undelivered([name], START_MS).count == 2
    assert outbox.due([name], START_MS + 4_999, 10) == []
    http_sink.status = 200
    clock.advance(5)
    await made.deliver()
    assert ids_of(http_sink) == ["lock:1:r1", "lock:2:r2"]
    assert outbox.undelivered(list(urls.urls), START_MS).count == 0
    assert len(mailbox.messages) == 2


async def test_a_destination_that_never_answers_ends_with_the_batch(http_sink: HttpSink) -> None:
    http_sink.status = None
    name = name_of(http_sink.url)
    delivery = Delivery(key="k", destination=name, level=Level.INFO, title="t", body="b")
    sender = AppriseSender(within_s=2)
    found = [a async for a in sender.send({name: http_sink.url}, [delivery])]
    assert [a.error != "" for a in found] == [True]


async def test_what_a_batch_did_not_reach_is_no_failure(mailbox: Mailbox) -> None:
    """Apprise sends a mail every five seconds or so, and a batch has less time than that."""
    name = name_of(mailbox.url)
    deliveries = [
        Delivery(key=key, destination=name, level=Level.INFO, title="t", body="b") for key in "ab"
    ]
    found: list[tuple[str, str]] = []
    # Its process has to start first, which takes seconds on a machine that is busy.
    for within_s in (4, 8, 12, 16, 20, 24):
        sent = AppriseSender(within_s).send({name: mailbox.url}, deliveries)
        found = [(a.delivery.key, a.error) async for a in sent]
        if found == [("a", "")]:
            break
    assert found == [("a", "")]


def test_a_message_that_a_destination_never_takes_does_not_block_the_later_ones(
    engine: Engine,
) -> None:
    outbox = begun(engine)
    changes = [risk(1, "LOCKED"), risk(2, "LOCKED")]
    DecisionWriter(engine).append(changes, "", "2-0")
    outbox.collect(["a"], 1)
    now = 10
    for _ in range(6):
        first = outbox.due(["a"], now, 1)[0]
        assert first.key == "lock:1:r1"
        outbox.record([Attempt(delivery=first, error="no")], now)
        now = next_attempt_ms(first.attempts + 1, now)
    assert [d.key for d in outbox.due(["a"], now - 1, 9)] == ["lock:2:r2"]


async def test_urls_are_never_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], http_sink: HttpSink
) -> None:
    path = tmp_path / "urls"
    path.write_text(f"# my phone\n{http_sink.url}\nnonsense://{SECRET}\n")
    urls = UrlList(SecretStr(f"discord://{SECRET}"), path).read()
    assert len(urls) == 3
    http_sink.status = 403
    deliveries = [
        Delivery(key="k", destination=name, level=Level.INFO, title="t", body="b") for name in urls
    ]
    found = [a async for a in AppriseSender().send(urls, deliveries)]
    assert len(found) == 3
    assert all(a.error for a in found)
    shown = repr([(a.delivery, a.error) for a in found]) + "".join(capfd.readouterr())
    settings = load_settings(JournalSettings, {"NOTIFY_URLS": http_sink.url}, Path("/nonexistent"))
    assert SECRET not in shown + repr(settings)
    path.unlink()
    source = UrlList(SecretStr(""), path)
    assert source.read() == {}


async def test_the_heartbeat_names_no_url_when_it_fails(http_sink: HttpSink) -> None:
    url = http_sink.url.replace("json://", "http://")
    heartbeat = HttpHeartbeat(url)
    await heartbeat.ping()
    assert http_sink.gets == 1
    http_sink.status = 503
    with pytest.raises(HeartbeatFailedError, match="answered 503") as failed:
        await heartbeat.ping()
    await heartbeat.close()
    dead = HttpHeartbeat(f"http://127.0.0.1:1/{SECRET}")
    with pytest.raises(HeartbeatFailedError) as refused:
        await dead.ping()
    await dead.close()
    assert SECRET not in f"{failed.value}{refused.value}"


# A process that dies between any two steps.

WORKER = """
import asyncio, http.client, json, os, shutil, signal, sys
from zoneinfo import ZoneInfo

from prometheus_client import CollectorRegistry
from sep_journal.adapters.sql.engine import open_engine
from sep_journal.adapters.sql.outbox import SqlOutbox
from sep_journal.adapters.sql.outbox_threads import OutboxThread
from sep_journal.application.notifying import Notifications
from sep_journal.domain.delivery import DeliveryRules
from sep_journal.metrics import NotificationMetrics
from sep_journal.outbox_ports import Attempt
from sep_kit.clock import SystemClock
from sqlalchemy import event

template, port, die_at, steps = sys.argv[1], int(sys.argv[2]), 0, 0


def step(*_):
    global steps
    steps += 1
    if steps == die_at:
        os.kill(os.getpid(), signal.SIGKILL)


class Urls:
    def read(self):
        return {"a": "secret"}


class Sender:
    async def send(self, urls, deliveries):
        for delivery in deliveries:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            headers = {"X-Notification-Id": f"{run}/{delivery.key}"}
            connection.request("POST", "/", "{}", headers)
            assert connection.getresponse().status == 200
            step()
            yield Attempt(delivery=delivery)
            step()


async def work(database):
    engine = open_engine(f"sqlite:///{database}")
    # Every statement and every commit is a step, and so are sending and recording.
    event.listen(engine, "before_cursor_execute", step)
    event.listen(engine, "commit", step)
    outbox = OutboxThread(SqlOutbox(engine, DeliveryRules({}, {}, ZoneInfo("UTC"))))
    metrics = NotificationMetrics(CollectorRegistry())
    made = Notifications(outbox, None, Urls(), Sender(), lambda: True, SystemClock(), metrics)
    await made.collect()
    await made.deliver()
    await outbox.close()
    print(steps, file=sys.stderr, flush=True)


def forked(database):
    child = os.fork()
    if not child:
        asyncio.run(work(database))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


codes = []
for run in range(int(sys.argv[3])):
    database = f"{template}.{run}"
    shutil.copy(template, database)
    die_at = run
    codes.append(forked(database))
    die_at = 0
    if codes[-1] < 0:
        assert forked(database) == 0
print(json.dumps(codes))
"""


async def killed(template: Path, sink: HttpSink, runs: int) -> tuple[list[int], int]:
    """Exit codes by the step that a run was killed at, and the steps of a whole run."""
    port = sink.url.rpartition(":")[2].partition("/")[0]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", WORKER, str(template), port, str(runs),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out), int(err.split()[0])


async def test_a_kill_between_any_two_steps_loses_no_message(
    tmp_path: Path, http_sink: HttpSink
) -> None:
    template = tmp_path / "journal.db"
    engine = open_engine(f"sqlite:///{template}")
    migrate(engine)
    begun(engine)
    DecisionWriter(engine).append([risk(1, "LOCKED"), risk(2, "UNLOCKED")], "", "2-0")
    engine.dispose()
    first = tmp_path / "first.db"
    shutil.copy(template, first)
    _, steps = await killed(first, http_sink, 1)
    assert steps > 15
    http_sink.ids.clear()
    codes, _ = await killed(template, http_sink, steps + 1)
    assert codes == [0] + [-signal.SIGKILL] * steps
    for run in range(steps + 1):
        sent = {i.partition("/")[2] for i in http_sink.ids if i.startswith(f"{run}/")}
        assert sent == {"lock:1:r1", "lock:2:r2"}, f"killed at step {run} of {steps}"

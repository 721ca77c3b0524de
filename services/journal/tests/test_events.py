"""Events: what makes one, and that none is lost or repeated."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from sep.journal.v1 import journal_pb2 as pb
from sep.journal.v1 import journal_pb2_grpc
from sep_journal.adapters.sql.decision_writer import DecisionWriter
from sep_journal.adapters.sql.event_rows import SqlEvents
from sep_journal.domain.decisions import Decision
from sep_journal.domain.events import (
    EventKind,
    Gates,
    NewEvent,
    Weights,
    event_of,
    flips,
    weights_changed,
    weights_content,
)
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey, reply
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.records import (
    ChangedParametersRecord,
    GatesBlob,
    KillSwitchChange,
    ParameterChangeRecord,
    WeightsRecord,
)
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer, free_port
from sqlalchemy import Engine

from .test_journal_service import running_journal

EUR, GBP = "EUR_USD", "GBP_USD"


def decision(number: int, **changed: Any) -> Decision:
    values: dict[str, Any] = {
        "event": "decision",
        "kind": "ENTRY",
        "instrument": EUR,
        "reasons": (),
    }
    return Decision(id=f"d{number}", ts_ms=number, record="{}", **(values | changed))


def test_each_record_of_the_guard_has_its_kind() -> None:
    kinds = {
        name: event_of(decision(1, **values)).kind.value
        for name, values in {
            "entry": {},
            "flatten": {"event": "flatten"},
            "order": {"event": "order", "kind": "ORDER"},
            "locked": {"event": "risk", "kind": "LOCKED"},
            "tripped": {"event": "risk", "kind": "BREAKER_TRIPPED"},
        }.items()
    }
    assert kinds == {
        "entry": "decision", "flatten": "decision", "order": "order", "locked": "lock",
        "tripped": "alert",
    }  # fmt: skip


def test_a_flip_is_a_gate_that_changed_and_an_unknown_gate_was_closed() -> None:
    gates = Gates(ts_ms=5, gates={EUR: True, GBP: False}, reasons={GBP: ["CALMAR"]})
    assert [(e.instrument, e.data) for e in flips({}, gates)] == [(EUR, '{"gate":1}')]
    (closed,) = flips({EUR: True, GBP: True}, gates)
    assert (closed.instrument, closed.reasons, closed.data) == (GBP, ("CALMAR",), '{"gate":0}')
    (gone,) = flips({EUR: True, "USD_JPY": True}, gates)
    assert (gone.instrument, gone.data) == ("USD_JPY", '{"gate":0}')


def test_weights_are_an_event_when_they_change_and_held_ones_an_alert() -> None:
    first = Weights(ts_ms=1, weights={EUR: 0.1}, held=False, reason="")
    before = weights_content(first)
    assert [e.kind for e in weights_changed(None, first)] == [EventKind.WEIGHTS]
    assert list(weights_changed(before, first)) == []
    held = Weights(ts_ms=2, weights={EUR: 0.1}, held=True, reason="the blob is old")
    (alert,) = weights_changed(before, held)
    assert (alert.kind, alert.reasons) == (EventKind.ALERT, ("WEIGHTS_HELD",))
    (end,) = weights_changed(weights_content(held), first)
    assert (end.kind, end.reasons) == (EventKind.ALERT, ())


def test_ids_grow_by_one_and_a_change_is_written_once(engine: Engine) -> None:
    events = SqlEvents(engine)
    event = NewEvent(ts_ms=1, kind=EventKind.FLIP, data="{}", reasons=("A",))
    assert events.last_id() == 0
    assert events.append([event, event], "gates", "", "a")
    assert not events.append([event], "gates", "", "b")
    assert events.append([event], "weights", "", "c")
    assert DecisionWriter(engine).append([decision(1)], "", "1-0")
    assert events.last_id() == 4
    assert [stored.id for stored in events.after(0, 10)] == [1, 2, 3, 4]
    assert [stored.id for stored in events.after(1, 2)] == [2, 3]
    assert events.after(0, 1)[0].event == event


def test_a_refusal_that_repeats_is_no_event(engine: Engine) -> None:
    refusals = [decision(n, kind="REFUSAL", reasons=("SPREAD",)) for n in range(5)]
    DecisionWriter(engine).append(refusals, "", "1-0")
    DecisionWriter(engine).append([decision(9, kind="REFUSAL", reasons=("STALE",))], "1-0", "2-0")
    found = SqlEvents(engine).after(0, 10)
    assert [(s.event.reasons, json.loads(s.event.data)["id"]) for s in found] == [
        (("SPREAD",), "d0"),
        (("STALE",), "d9"),
    ]


async def read_events(stub: Any, last: str, count: int) -> list[pb.Event]:
    """The events after an id, until there are enough."""
    found: list[pb.Event] = []
    call = stub.StreamEvents(pb.StreamEventsRequest(last_event_id=last), timeout=90)
    async for message in call:
        if message.HasField("event"):
            found.append(message.event)
        if len(found) == count:
            call.cancel()
            break
    return found


PROMOTION = ParameterChangeRecord(
    id="c1",
    ts_ms=5,
    actor="ann",
    reason="walk-forward",
    run="run@abc",
    forced_by="ann",
    changed=(
        ChangedParametersRecord(
            instrument=EUR, before={}, after={}, against=("PEAK",),
            digest_before="d1", digest_after="d2",
        ),
    ),
)  # fmt: skip


async def test_everything_that_happens_is_streamed_and_resumed(
    valkey: ValkeyServer, database_url: str
) -> None:
    store = open_valkey(valkey.url)
    blob = GatesBlob(ts=1, gates={EUR: 1}, cooldowns={EUR: 0}, bufs={EUR: 0.1})
    weights = WeightsRecord(ts=2, gates_ts=1, weights={EUR: 0.1}, scores={}, top_k=3, held=False)
    change = KillSwitchChange(ts=3, engaged=False, reason="lunch is over", actor="ann")
    risk = {"event": "risk", "id": "r", "ts": 4, "instrument": EUR, "kind": "LOCKED"}
    await reply(store.set(keys.GATES_BLOB, blob.model_dump_json()))
    await reply(store.set(keys.ALLOCATION_WEIGHTS, weights.model_dump_json()))
    await KillSwitch(store).set(change)
    await reply(store.xadd(keys.GUARD_DECISIONS, {"decision": json.dumps(risk)}))
    await reply(store.xadd(keys.PARAMETER_CHANGES, {"change": PROMOTION.model_dump_json()}))
    async with running_journal(valkey, "127.0.0.1:1", database_url) as stub:
        first = await read_events(stub, "0", 5)
    assert {e.kind for e in first} == {"flip", "weights", "kill_switch", "lock", "parameters"}
    (promoted,) = (e for e in first if e.kind == "parameters")
    assert (promoted.instrument, list(promoted.reasons)) == (EUR, ["PEAK"])
    assert json.loads(promoted.data) == {
        "change": "c1", "run": "run@abc", "digest": "d2", "digest_before": "d1", "actor": "ann",
        "reason": "walk-forward", "forced_by": "ann",
    }  # fmt: skip
    (switch,) = (e for e in first if e.kind == "kill_switch")
    assert json.loads(switch.data)["reason"] == "lunch is over"
    closed = blob.model_copy(update={"gates": {EUR: 0}})
    await reply(store.set(keys.GATES_BLOB, closed.model_dump_json()))
    async with running_journal(valkey, "127.0.0.1:1", database_url) as stub:
        (flip,) = await read_events(stub, first[-1].id, 1)
        assert (flip.kind, int(flip.id)) == ("flip", int(first[-1].id) + 1)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await read_events(stub, "99", 1)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "0 to 6" in (refused.value.details() or "")
        call = stub.StreamEvents(pb.StreamEventsRequest(), timeout=30)
        message = await anext(aiter(call))
        assert message.HasField("heartbeat")
        assert int(message.heartbeat.last_event_id) == int(flip.id)  # Where "from now on" begins.
        call.cancel()
        # Without an id: what happens from now on.
        waiting = asyncio.create_task(read_events(stub, "", 1))
        risk |= {"id": "r2", "kind": "UNLOCKED"}

        async def unlocked() -> bool:
            risk["ts"] = int(str(risk["ts"])) + 1
            await reply(store.xadd(keys.GUARD_DECISIONS, {"decision": json.dumps(risk)}))
            return waiting.done()

        await eventually(unlocked, within_s=90)
        assert (await waiting)[0].kind == "lock"
    await store.aclose()


@asynccontextmanager
async def journal_process(folder: Path, valkey: ValkeyServer, port: int) -> AsyncIterator[Any]:
    """A journal that is killed at the end."""
    environment = os.environ | {
        "VALKEY_URL": valkey.url, "GATEWAY_ADDR": "127.0.0.1:1", "GUARD_ADDR": "127.0.0.1:1",
        "GRPC_LISTEN": f"127.0.0.1:{port}", "JOURNAL_DB_URL": f"sqlite:///{folder}/journal.db",
        "JOURNAL_POLL_SEC": "0.1", "API_ACCESS": "open",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "sep_journal", env=environment, cwd=folder,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


@pytest.mark.timeout(400)
async def test_a_client_gets_each_event_once_through_kills_of_the_journal(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    """Decisions go on; the journal is killed while it takes them in and while it sends them."""
    port, total, kills = free_port(), 600, 3
    store = open_valkey(valkey.url)
    received: list[tuple[int, str]] = []

    async def decide() -> None:
        for number in range(total):
            record = {"event": "decision", "id": f"d{number}", "ts": number, "kind": "ENTRY",
                      "instrument": EUR}  # fmt: skip
            await reply(store.xadd(keys.GUARD_DECISIONS, {"decision": json.dumps(record)}))
            await asyncio.sleep(0.01)  # a pace, so that the kills meet work

    async def follow() -> None:
        while len(received) < total:
            last = str(received[-1][0]) if received else "0"
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub: Any = journal_pb2_grpc.JournalServiceStub(channel)
                try:
                    request = pb.StreamEventsRequest(last_event_id=last)
                    async for message in stub.StreamEvents(request):
                        if message.HasField("event"):
                            event = message.event
                            received.append((int(event.id), json.loads(event.data)["id"]))
                        if len(received) == total:
                            return
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    await asyncio.sleep(0.1)

    deciding, following = asyncio.create_task(decide()), asyncio.create_task(follow())
    for number in range(kills):
        async with journal_process(tmp_path, valkey, port):
            wanted = (number + 1) * total // (kills + 2)

            async def reached(count: int = wanted) -> bool:
                return len(received) >= count or following.done()

            await eventually(reached, within_s=120, every_s=0.02)
    async with journal_process(tmp_path, valkey, port):
        async with asyncio.timeout(120):
            await following
    await deciding
    await store.aclose()
    assert received == [(n + 1, f"d{n}") for n in range(total)]

"""``sep-guard explain``: every kind of record is shown and reproduced."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from decimal import Decimal
from typing import Any

import grpc
import pytest
from sep.guard.v1 import guard_pb2 as pb
from sep.guard.v1 import guard_pb2_grpc
from sep_guard.adapters.remade_decisions import remake
from sep_guard.app import build
from sep_guard.cli import main
from sep_guard.domain.drain import DrainLimits
from sep_guard.domain.market import ZERO
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_testing.clock import FakeClock
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

from .harness import Feed, GuardHarness, log, settings_of
from .memory_broker import MemoryBroker

EUR, GBP = "EUR_USD", "GBP_USD"
# A background job inherits an ignored SIGINT; a terminal's process does not.
_WITH_SIGINT = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from sep_guard.cli import main; sys.exit(main())"
)


async def explain(url: str, decision_id: str) -> int:
    return await asyncio.to_thread(main, ["explain", decision_id, "--valkey-url", url])


async def recorded(store: Valkey, clock: FakeClock, url: str) -> dict[str, dict[str, Any]]:
    """One recorded decision of every kind, by kind."""
    broker, feed = MemoryBroker(clock, EUR, GBP), Feed(store, clock)
    guard = GuardHarness(store, clock, broker, settings_of(url))
    await feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    await guard.cycle()
    await feed.weights(GBP_USD=0.10)
    await feed.kill_switch(True)
    await guard.cycle()
    broker.trade_manually(EUR, 700)
    await guard.cycle()
    return {r["kind"]: r for r in await log(store) if r["event"] == "decision"}


@pytest.mark.parametrize("kind", ["ENTRY", "REDUCTION", "REFUSAL", "MANUAL"])
async def test_a_decision_is_shown_and_reproduced(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer, kind: str, capsys: Any
) -> None:
    record = (await recorded(store, clock, shared_valkey.url))[kind]
    assert await explain(shared_valkey.url, record["id"]) == 0
    shown = capsys.readouterr().out
    assert f"{kind} of {record['instrument']}" in shown
    assert "the decision is the same" in shown
    for reason in record["reasons"]:
        assert reason in shown
    for check in record["action"]["checks"]:
        assert check["reason"] in shown
    assert record["account"]["balance"] in shown
    if kind in ("ENTRY", "REDUCTION"):
        assert "Order at" in shown
        assert "FILLED" in shown


@pytest.mark.parametrize("nav", ["NaN", "Infinity"])
async def test_a_decision_on_equity_that_is_no_number_is_reproduced(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer, nav: str, capsys: Any
) -> None:
    broker, feed = MemoryBroker(clock, EUR, GBP), Feed(store, clock)
    guard = GuardHarness(store, clock, broker, settings_of(shared_valkey.url))
    await feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    await guard.cycle()
    broker.nav = Decimal(nav)
    clock.advance(30)
    await feed.all_clear(EUR_USD=0.20)
    await guard.cycle()
    records = [r for r in await log(store) if r.get("account", {}).get("nav") == nav]
    assert {r["kind"] for r in records} == {"REFUSAL", "REDUCTION"}
    for record in records:
        assert await explain(shared_valkey.url, record["id"]) == 0
        shown = capsys.readouterr().out
        assert nav in shown
        assert "the decision is the same" in shown


async def test_the_second_entry_of_a_cycle_is_reproduced_with_the_budget_left_to_it(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    await recorded(store, clock, shared_valkey.url)
    entries = [r for r in await log(store) if r.get("kind") == "ENTRY"]
    assert len({r["action"]["room"]["headroom"] for r in entries}) > 1
    for record in entries:
        assert await explain(shared_valkey.url, record["id"]) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"margin_was_open": False, "account": {"margin_used": "40000"}},
        {"limits": {"entry": {"min_coherence": 0.61}}},
        {"controls": {"kill_switch": True}},
        {"link_sound": False},
    ],
)
async def test_a_decision_that_differs_from_its_record_is_reported(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer, change: Any, capsys: Any
) -> None:
    record = (await recorded(store, clock, shared_valkey.url))["ENTRY"]
    changed = merged(record, change)
    changed["id"] = "tampered"
    await store.xadd(keys.GUARD_DECISIONS, {"decision": compact(changed)})
    assert await explain(shared_valkey.url, "tampered") == 3
    assert "DIFFERS" in capsys.readouterr().out


async def made_again(url: str, record: str) -> Any:
    """What the guard's service answers to a record."""
    async with (
        running_service("guard", settings_of(url), build) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: Any = guard_pb2_grpc.GuardServiceStub(channel)
        return await stub.RemakeDecision(pb.RemakeDecisionRequest(record=record), timeout=20)


@pytest.mark.parametrize("kind", ["ENTRY", "REFUSAL"])
async def test_a_recorded_decision_is_made_again_by_call(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer, kind: str
) -> None:
    record = (await recorded(store, clock, shared_valkey.url))[kind]
    found = await made_again(shared_valkey.url, compact(record))
    assert found.same
    assert not found.differences
    assert not found.fault
    result = json.loads(found.result)
    assert result["kind"] == kind
    assert result["order"] == record["action"]["order"]


async def test_a_call_names_what_differs_from_the_record(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    record = (await recorded(store, clock, shared_valkey.url))["ENTRY"]
    changed = merged(record, {"controls": {"kill_switch": True}})
    found = await made_again(shared_valkey.url, compact(changed))
    assert found.HasField("same")
    assert not found.same
    differences = {
        d.name: (json.loads(d.recorded), json.loads(d.remade)) for d in found.differences
    }
    assert differences["kind"] == ("ENTRY", "REFUSAL")
    assert differences["reasons"][1] == ["KILL_SWITCH"]


async def test_every_record_of_a_day_is_made_again_or_holds_no_decision(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    await recorded(store, clock, shared_valkey.url)
    found = {(r["event"], remake(compact(r)).same) for r in await log(store)}
    assert found == {("decision", True), ("order", None)}


@pytest.mark.parametrize("text", ["", "{", '{"event":"decision","id":"d"}'])
def test_a_record_that_can_not_be_read_is_a_fault(text: str) -> None:
    found = remake(text)
    assert found.same is None
    assert "malformed" in found.fault


def merged(document: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return {
        **document,
        **{k: merged(document[k], v) if isinstance(v, dict) else v for k, v in change.items()},
    }


def compact(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


async def test_the_close_of_a_drain_is_shown_and_reproduced(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer, capsys: Any
) -> None:
    broker, feed = MemoryBroker(clock, EUR, GBP), Feed(store, clock)
    guard = GuardHarness(store, clock, broker, settings_of(shared_valkey.url))
    broker.trade_manually(EUR, 1_000_000)
    broker.trade_manually(GBP, -20_000)
    await feed.kill_switch(True)
    await guard.lease.renew()
    await guard.drain.execute("d" * 32, DrainLimits(buffer=ZERO, min_units=ZERO))
    close, order = [r for r in await log(store) if r["instrument"] == EUR]
    assert (close["event"], order["event"]) == ("drain", "order")
    assert await explain(shared_valkey.url, close["id"]) == 0
    shown = capsys.readouterr().out
    for text in ("close of a drain in EUR_USD", "OVER_INSTRUMENT_CAP", "Order at", "FILLED",
                 "market GBP_USD.holding.manual", "the decision is the same"):  # fmt: skip
        assert text in shown
    changed = merged(close, {"id": "tampered", "limits": {"buffer": "7"}})
    await store.xadd(keys.GUARD_DECISIONS, {"decision": compact(changed)})
    assert await explain(shared_valkey.url, "tampered") == 3
    assert "DIFFERS" in capsys.readouterr().out


async def test_an_order_that_was_settled_later_shows_both_outcomes(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer, capsys: Any
) -> None:
    broker, feed = MemoryBroker(clock, EUR, GBP), Feed(store, clock)
    guard = GuardHarness(store, clock, broker, settings_of(shared_valkey.url))
    await feed.all_clear(EUR_USD=0.10)
    broker.faults = ["lost_response"]
    done = (await guard.cycle())[EUR]
    clock.advance(1)
    await feed.weights()
    await guard.cycle()
    assert await explain(shared_valkey.url, done.decision_id) == 0
    shown = capsys.readouterr().out
    assert shown.count("Order at") == 2
    assert shown.index("UNKNOWN") < shown.index("FILLED")


async def test_an_unknown_decision_id_exits_with_1(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer, capsys: Any
) -> None:
    record = (await recorded(store, clock, shared_valkey.url))["ENTRY"]
    for unknown in ("nothing", record["id"][:-1], '"', ""):
        assert await explain(shared_valkey.url, unknown) == 1
    assert "not in guard:decisions" in capsys.readouterr().err


async def test_a_decision_is_found_behind_thousands_of_later_records(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    record = (await recorded(store, clock, shared_valkey.url))["ENTRY"]
    async with store.pipeline(transaction=False) as pipe:
        for i in range(1700):
            pipe.xadd(keys.GUARD_DECISIONS, {"decision": f'{{"event":"order","id":"{i}"}}'})
        await pipe.execute()
    assert await explain(shared_valkey.url, record["id"]) == 0


async def test_an_unreadable_record_and_an_unreachable_valkey_exit_with_4(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer, capsys: Any
) -> None:
    await store.xadd(keys.GUARD_DECISIONS, {"decision": '{"event":"decision","id":"half"'})
    assert await explain(shared_valkey.url, "half") == 4
    assert await explain("redis://127.0.0.1:1/0", "half") == 4
    assert len(await reply(store.xrange(keys.GUARD_DECISIONS))) == 1


def test_ctrl_c_ends_the_command_while_valkey_does_not_answer() -> None:
    # A machine that stands still for two seconds lets Valkey's timeout pass before the signal.
    assert (130, "") in (interrupted_run() for _ in range(5))


def interrupted_run() -> tuple[int, str]:
    """Exit code and errors of the command, interrupted while it waits for an answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        command = [sys.executable, "-c", _WITH_SIGINT, "explain", "some-id", "--valkey-url", url]
        with (
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
            silent.accept()[0],
        ):
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
    return process.returncode, stderr

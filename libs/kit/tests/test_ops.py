import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.rpc import status_pb2
from prometheus_client import CollectorRegistry, Gauge
from sep.ops.v1 import ops_pb2, ops_pb2_grpc
from sep_fx.granularity import Granularity
from sep_kit import __version__
from sep_kit.clock import now_ms
from sep_kit.grpc.client import open_channel
from sep_kit.grpc.server import OPS_SERVICE, Handler
from sep_kit.grpc.status import DETAILS_KEY
from sep_kit.ops.replicas import addresses_of
from sep_kit.ops.servicer import OpsServicer, StackView
from sep_kit.ops.status import Limits, StatusReader, age_report
from sep_kit.settings.in_force import settings_in_force
from sep_kit.settings.loading import load_settings
from sep_kit.settings.stack import StackSettings
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.lease import Lease
from sep_kit.store.records import (
    BrokerLinkRecord,
    CoeffsRecord,
    GatesBlob,
    KillSwitchChange,
    MetricsRecord,
    SignalRecord,
    WeightsRecord,
)
from sep_kit.store.signals import queue_signal
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.services import Running, running_server
from sep_testing.valkey import ValkeyServer

SERVICES = ("gateway", "evaluator", "allocator", "guard", "journal")
LIMITS = Limits(blob_s=180, weights_s=120, signal_s=300)


@dataclass
class Stack:
    """Four real servers, each with OpsService; ``stub`` calls the guard's."""

    servers: dict[str, Running]
    stub: Any


@asynccontextmanager
async def running_stack(store: Valkey, clock: FakeClock) -> AsyncIterator[Stack]:
    async with AsyncExitStack() as stack:
        servers: dict[str, Running] = {}
        for name in SERVICES:
            registry = CollectorRegistry()
            Gauge("sep_serving", "1", ["service"], registry=registry).labels(name).set(1)
            Gauge(f"sep_{name}_own", "1", registry=registry).set(1)
            # Each server knows those started before it.
            servicer = OpsServicer(view(name, servers), store, registry, clock)
            stack.push_async_callback(servicer.close)
            handler = Handler(OPS_SERVICE, servicer, ops_pb2_grpc.add_OpsServiceServicer_to_server)
            servers[name] = await stack.enter_async_context(running_server(handler))
        complete = OpsServicer(view("guard", servers), store, CollectorRegistry(), clock)
        stack.push_async_callback(complete.close)
        handler = Handler(OPS_SERVICE, complete, ops_pb2_grpc.add_OpsServiceServicer_to_server)
        server = await stack.enter_async_context(running_server(handler))
        channel = await stack.enter_async_context(open_channel(server.address))
        stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
        yield Stack(servers, stub)


def view(name: str, servers: dict[str, Running]) -> StackView:
    peers = {peer: running.address for peer, running in servers.items()}
    safety = load_settings(StackSettings, {"READ_ONLY": "1"}, Path("/nonexistent"))
    instruments = ("EUR_USD", "USD_JPY", "GBP_USD", "AUD_USD")
    return StackView(name, peers, instruments, Granularity.M1, LIMITS, safety)


@pytest.fixture
async def stack(
    store: Valkey, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stack]:
    """All parts can be reached, so none is given up: the machine may stall for seconds."""
    monkeypatch.setattr("sep_kit.ops.servicer._PROBE_S", 25.0)
    async with running_stack(store, clock) as running:
        yield running


def states(response: ops_pb2.GetHealthResponse | ops_pb2.GetStatusResponse) -> dict[str, str]:
    return {part.name: ops_pb2.PartState.Name(part.state).removeprefix("PART_STATE_")
            for part in response.parts}  # fmt: skip


async def unhealthy(stack: Stack) -> tuple[grpc.aio.AioRpcError, dict[str, str]]:
    """The error, and the states in its details."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await stack.stub.GetHealth(ops_pb2.GetHealthRequest(), timeout=30)
    trailing: Any = failure.value.trailing_metadata()
    status = status_pb2.Status.FromString(dict(trailing)[DETAILS_KEY])
    response = ops_pb2.GetHealthResponse()
    assert any(d.Unpack(response) for d in status.details)
    assert not response.healthy
    return failure.value, states(response)


async def test_healthy_while_all_parts_are_serving(stack: Stack) -> None:
    response = await stack.stub.GetHealth(ops_pb2.GetHealthRequest(), timeout=30)
    assert response.healthy
    assert states(response) == dict.fromkeys((*SERVICES, "valkey"), "SERVING")


async def test_parts_that_are_not_serving_are_named(stack: Stack) -> None:
    await stack.servers["evaluator"].server.set_serving(serving=False)
    await stack.servers["allocator"].server.stop(0)
    failure, found = await unhealthy(stack)
    assert failure.code() is grpc.StatusCode.UNAVAILABLE
    assert failure.details() == "not serving: evaluator, allocator"
    assert found == {
        "gateway": "SERVING",
        "evaluator": "NOT_SERVING",
        "allocator": "UNREACHABLE",
        "guard": "SERVING",
        "journal": "SERVING",
        "valkey": "SERVING",
    }


async def test_the_journal_is_shown_and_never_makes_the_stack_unhealthy(stack: Stack) -> None:
    await stack.servers["journal"].server.stop(0)
    response = await stack.stub.GetHealth(ops_pb2.GetHealthRequest(), timeout=30)
    assert response.healthy
    assert states(response)["journal"] == "UNREACHABLE"


@pytest.mark.parametrize("outage", [ValkeyServer.kill, ValkeyServer.freeze])
async def test_unhealthy_without_the_store_and_answered_in_time(
    valkey: ValkeyServer, clock: FakeClock, outage: Callable[[ValkeyServer], None]
) -> None:
    async with open_valkey(valkey.url) as client, running_stack(client, clock) as stack:
        outage(valkey)

        async def store_alone_is_down() -> bool:
            _, found = await unhealthy(stack)
            return found == {**dict.fromkeys(SERVICES, "SERVING"), "valkey": "UNREACHABLE"}

        # On a machine that stalls, a part that serves may miss the 1.5 s that it has.
        await eventually(store_alone_is_down)
        valkey.thaw()


async def test_without_the_store_the_status_marks_what_is_unknown(
    valkey: ValkeyServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_valkey(valkey.url) as client, running_stack(client, clock) as stack:
        valkey.kill()
        monkeypatch.setattr("sep_kit.ops.servicer._PROBE_S", 25.0)
        response = await status(stack)
        assert {f.verdict for f in response.freshness} == {"unknown"}
        assert states(response) == {
            **dict.fromkeys(SERVICES, "SERVING"),
            "valkey": "UNREACHABLE",
        }
        # Unknown values get the safe default.
        assert response.modes.kill_switch
        assert not response.broker.connected
        assert response.broker.error == "the store does not answer"


async def status(stack: Stack) -> ops_pb2.GetStatusResponse:
    response: ops_pb2.GetStatusResponse = await stack.stub.GetStatus(
        ops_pb2.GetStatusRequest(), timeout=30
    )
    return response


async def verdicts(stack: Stack) -> dict[str, tuple[str, float | None]]:
    return {
        f.name: (f.verdict, f.age_seconds if f.HasField("age_seconds") else None)
        for f in (await status(stack)).freshness
    }


def signal(ts_ns: int) -> SignalRecord:
    return SignalRecord(
        ts_ns=ts_ns,
        price=1.1,
        metrics=MetricsRecord(coherence=0.6, stability=0.5, entropy=0.4, rupture=0.3),
        coeffs=CoeffsRecord.model_validate({"sigma_eff": 0.1, "lambda": 0.1}),
    )


async def put_signal(store: Valkey, instrument: str, ts_ns: int) -> None:
    async with store.pipeline() as pipe:
        queue_signal(pipe, instrument, signal(ts_ns), 3600)
        await pipe.execute()


async def test_with_an_empty_store_all_is_missing_and_the_kill_switch_engaged(
    stack: Stack, clock: FakeClock
) -> None:
    response = await status(stack)
    assert response.version == __version__
    assert response.ts_ms == now_ms(clock)
    assert {f.verdict for f in response.freshness} == {"missing"}
    assert (response.modes.kill_switch, response.modes.read_only) == (True, True)
    assert (response.modes.environment, response.modes.live_trading_enabled) == ("paper", False)
    assert not response.broker.connected
    assert response.broker.error == "the gateway has not reported lately"
    assert [(lease.name, lease.holder) for lease in response.leases] == [
        (name, "") for name in SERVICES
    ]


async def test_each_value_is_fresh_stale_missing_or_malformed(
    stack: Stack, store: Valkey, clock: FakeClock
) -> None:
    now = now_ms(clock)
    blob = GatesBlob(ts=now - 180_000, gates={}, cooldowns={}, bufs={})
    await store.set(keys.GATES_BLOB, blob.model_dump_json())
    weights = WeightsRecord(ts=now - 121_000, gates_ts=None, weights={}, scores={}, top_k=3,
                            held=True)  # fmt: skip
    await store.set(keys.ALLOCATION_WEIGHTS, weights.model_dump_json())
    # A signal's age counts from the end of its bar, a minute after its start.
    await put_signal(store, "EUR_USD", clock.now_ns() - 90 * 10**9)
    await put_signal(store, "USD_JPY", clock.now_ns() - 361 * 10**9)
    await put_signal(store, "GBP_USD", clock.now_ns())
    await store.set(keys.signal("GBP_USD", clock.now_ns()), "{")
    assert await verdicts(stack) == {
        "gates_blob": ("fresh", 180),
        "weights": ("stale", 121),
        "signal:EUR_USD": ("fresh", 30),
        "signal:USD_JPY": ("stale", 301),
        "signal:GBP_USD": ("malformed", None),
        "signal:AUD_USD": ("missing", None),
    }


@pytest.mark.parametrize("key", [keys.GATES_BLOB, keys.ALLOCATION_WEIGHTS])
@pytest.mark.parametrize("raw", ["", "{", "[]", '{"ts": "now"}', json.dumps({"ts": 1})])
async def test_a_document_that_does_not_match_its_schema_is_malformed(
    stack: Stack, store: Valkey, key: str, raw: str
) -> None:
    await store.set(key, raw)
    name = {keys.GATES_BLOB: "gates_blob", keys.ALLOCATION_WEIGHTS: "weights"}[key]
    assert (await verdicts(stack))[name] == ("malformed", None)


@pytest.mark.parametrize(
    ("made_ms", "verdict", "age_s"),
    [
        (None, "missing", None),
        (0, "fresh", 10),
        (-1, "stale", 10.001),
        (10_000, "fresh", 0),
        # A stamp ahead of the clock is accepted up to the tolerated clock skew of 5 s.
        (15_000, "fresh", 0),
        (15_001, "malformed", None),
        (20_000, "malformed", None),
    ],
)
def test_verdicts_by_age(made_ms: int | None, verdict: str, age_s: float | None) -> None:
    age = age_report("x", made_ms, 10_000, 10)
    assert (age.verdict, age.age_s) == (verdict, age_s)


async def test_modes_leases_and_broker_link_are_reported(
    stack: Stack, store: Valkey, clock: FakeClock
) -> None:
    lease = Lease(store, "guard", "host:1", clock)
    await lease.renew()
    change = KillSwitchChange(ts=1, engaged=False, reason="a", actor="b")
    await KillSwitch(store).set(change)
    link = BrokerLinkRecord(ts=now_ms(clock), connected=True, last_contact_ms=5)
    await store.set(keys.BROKER_LINK, link.model_dump_json())
    response = await status(stack)
    assert not response.modes.kill_switch
    assert (response.broker.connected, response.broker.last_contact_ms) == (True, 5)
    held = {found.name: found for found in response.leases}["guard"]
    assert (held.holder, held.fencing_token) == ("host:1", lease.token)
    assert 0 < held.expires_in_seconds <= 10


@pytest.mark.parametrize("age_s", [31, -6, None])
async def test_a_stale_malformed_or_future_broker_link_is_not_connected(
    stack: Stack, store: Valkey, clock: FakeClock, age_s: int | None
) -> None:
    if age_s is None:
        await store.set(keys.BROKER_LINK, "{")
    else:
        ts = now_ms(clock) - age_s * 1000
        link = BrokerLinkRecord(ts=ts, connected=True, last_contact_ms=ts)
        await store.set(keys.BROKER_LINK, link.model_dump_json())
    response = await status(stack)
    assert not response.broker.connected
    assert response.broker.error


async def test_metrics_are_merged_from_the_services_that_answer(stack: Stack) -> None:
    async def scrape() -> str:
        response = await stack.stub.GetMetrics(ops_pb2.GetMetricsRequest(), timeout=30)
        assert response.exposition.content_type.startswith("text/plain")
        return str(response.exposition.data, "utf-8")

    text = await scrape()
    for name in SERVICES:
        assert f'sep_serving{{service="{name}"}} 1.0' in text
        assert f"sep_{name}_own 1.0" in text
    await stack.servers["allocator"].server.stop(0)
    text = await scrape()
    assert "sep_allocator_own" not in text
    assert "sep_gateway_own 1.0" in text


async def test_a_service_returns_its_own_metrics(stack: Stack) -> None:
    async with open_channel(stack.servers["evaluator"].address) as channel:
        stub = ops_pb2_grpc.OpsServiceStub(channel)
        response = await stub.ScrapeMetrics(ops_pb2.ScrapeMetricsRequest(), timeout=30)
    assert response.service == "evaluator"
    assert "sep_evaluator_own 1.0" in response.exposition
    assert "sep_gateway_own" not in response.exposition


@asynccontextmanager
async def replica(
    store: Valkey, clock: FakeClock, number: int, is_writer: Callable[[], bool]
) -> AsyncIterator[Running]:
    registry = CollectorRegistry()
    Gauge("sep_replica", "1", registry=registry).set(number)
    servicer = OpsServicer(view("guard", {}), store, registry, clock, is_writer=is_writer)
    handler = Handler(OPS_SERVICE, servicer, ops_pb2_grpc.add_OpsServiceServicer_to_server)
    async with running_server(handler) as running:
        yield running
    await servicer.close()


async def test_metrics_come_from_the_replica_that_holds_the_lease(
    store: Valkey, clock: FakeClock
) -> None:
    writer, unreachable = 1, "127.0.0.1:1"
    async with (
        replica(store, clock, 0, lambda: writer == 0) as first,
        replica(store, clock, 1, lambda: writer == 1) as second,
    ):
        addresses = [unreachable, first.address, second.address]

        async def resolve(address: str) -> list[str]:
            assert address == "guard:15054"
            return addresses

        peers = replace(view("guard", {}), peers={"guard": "guard:15054"})
        servicer = OpsServicer(peers, store, CollectorRegistry(), clock, resolve=resolve)

        async def exported() -> list[str]:
            response = await servicer.GetMetrics(ops_pb2.GetMetricsRequest(), cast(Any, None))
            lines = response.exposition.data.decode().splitlines()
            return [line for line in lines if line.startswith("sep_replica")]

        assert await exported() == ["sep_replica 1.0"]
        writer = 0
        assert await exported() == ["sep_replica 0.0"]
        writer = 2  # none: always the same replica
        assert await exported() == ["sep_replica 0.0"]
        addresses = [second.address]
        assert await exported() == ["sep_replica 1.0"]
        await servicer.close()


async def test_a_name_resolves_to_all_its_addresses() -> None:
    assert await addresses_of("127.0.0.1:15054") == ["127.0.0.1:15054"]
    assert "127.0.0.1:80" in await addresses_of("localhost:80")
    assert await addresses_of("[::1]:80") == ["[::1]:80"]
    assert await addresses_of("nowhere.invalid:80") == ["nowhere.invalid:80"]


async def test_a_damaged_lease_is_shown_as_free_and_hides_no_other(
    store: Valkey, clock: FakeClock
) -> None:
    await reply(store.hset(keys.lease("evaluator"), mapping={"holder": "a", "token": "word"}))
    await reply(store.rpush(keys.lease("allocator"), "x"))
    await reply(store.hset(keys.lease("guard"), mapping={"holder": "b", "token": "7"}))
    found = await StatusReader(store, clock).leases(["evaluator", "allocator", "guard"])
    assert [(lease.holder, lease.token) for lease in found] == [("", 0), ("", 0), ("b", 7)]


@asynccontextmanager
async def with_settings(store: Valkey, clock: FakeClock, by_service: dict[str, dict[str, str]],
                        down: str = "") -> AsyncIterator[ops_pb2.GetSettingsResponse]:  # fmt: skip
    """The settings of services with these environments; ``down`` is one that does not answer."""
    async with AsyncExitStack() as stack:
        peers = {down: "127.0.0.1:1"} if down else {}
        for name, environ in by_service.items():
            own = settings_in_force(load_settings(StackSettings, environ, Path("/nonexistent")))
            servicer = OpsServicer(view(name, {}), store, CollectorRegistry(), clock, settings=own)
            stack.push_async_callback(servicer.close)
            handler = Handler(OPS_SERVICE, servicer, ops_pb2_grpc.add_OpsServiceServicer_to_server)
            running = await stack.enter_async_context(running_server(handler))
            peers[name] = running.address
        asked = OpsServicer(replace(view("guard", {}), peers=peers), store, CollectorRegistry(),
                            clock)  # fmt: skip
        stack.push_async_callback(asked.close)
        yield await asked.GetSettings(ops_pb2.GetSettingsRequest(), cast(Any, None))


def setting(response: ops_pb2.GetSettingsResponse, name: str) -> list[ops_pb2.Setting]:
    return [found for found in response.settings if found.name == name]


async def test_each_setting_is_shown_once_with_the_services_that_read_it(
    store: Valkey, clock: FakeClock
) -> None:
    same = {"READ_ONLY": "1", "HOTBAND_PAIRS": "EUR_USD,USD_JPY"}
    async with with_settings(store, clock, {"guard": same, "gateway": same}) as response:
        (read_only,) = setting(response, "READ_ONLY")
        assert (read_only.value, read_only.default, read_only.changed) == ("1", "0", True)
        assert list(read_only.services) == ["guard", "gateway"]
        (pairs,) = setting(response, "HOTBAND_PAIRS")
        assert pairs.value == "EUR_USD,USD_JPY"
        (level,) = setting(response, "LOG_LEVEL")
        assert (level.value, level.default, level.changed) == ("INFO", "INFO", False)
        assert level.description == "Lowest level that is logged: DEBUG, INFO, WARNING or ERROR."
        (listen,) = setting(response, "GRPC_LISTEN")
        assert not listen.HasField("value")
        names = [found.name for found in response.settings]
        assert names == sorted(set(names))
        assert not response.missing


async def test_services_that_differ_in_a_setting_have_an_entry_each(
    store: Valkey, clock: FakeClock
) -> None:
    environs = {"guard": {"READ_ONLY": "1"}, "gateway": {}, "journal": {"READ_ONLY": "0"}}
    async with with_settings(store, clock, environs) as response:
        found = [(s.value, list(s.services)) for s in setting(response, "READ_ONLY")]
        assert found == [("1", ["guard"]), ("0", ["gateway", "journal"])]


async def test_a_service_that_does_not_answer_is_named_and_the_others_are_shown(
    store: Valkey, clock: FakeClock
) -> None:
    async with with_settings(store, clock, {"guard": {}}, down="gateway") as response:
        assert [(m.service, m.reason) for m in response.missing] == [
            ("gateway", "PEER_UNAVAILABLE")
        ]
        assert list(setting(response, "LOG_LEVEL")[0].services) == ["guard"]


@pytest.mark.parametrize(
    "url",
    ["redis://:hunter2@store:6379/0", "redis://user:hunter2@store/0",
     "redis://store:6379/0?password=hunter2"],
)  # fmt: skip
async def test_an_address_that_contains_a_password_is_withheld(
    store: Valkey, clock: FakeClock, url: str
) -> None:
    async with with_settings(store, clock, {"guard": {"VALKEY_URL": url}}) as response:
        (found,) = setting(response, "VALKEY_URL")
        assert found.secret
        assert found.changed
        assert not found.HasField("value")
        assert "hunter2" not in str(response)

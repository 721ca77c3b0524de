"""What is sent again when a connection breaks, and what never is; and how long one waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep_kit.grpc.client import call, open_channel
from sep_kit.grpc.call_context import current
from sep_kit.grpc.server import GrpcServer
from sep_stack.contract import Method
from sep_stack.envoy.admin import drained
from sep_testing.eventually import eventually

from tests.surface.every_method import Behaviour, answers, servicers
from tests.surface.proxy import Envoy, running_envoy
from tests.surface.rows import METHODS, OK, REQUESTS, Outcome, over_grpc, over_rest

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

ROUTED = [m for m in METHODS.values() if not m.streams]
SERVICES = ("gateway", "evaluator", "allocator", "guard")


class Relay:
    """A wire to a server, which can be cut in the middle of a call."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Relay":
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server
        self._server.close()
        self.cut()

    @property
    def address(self) -> str:
        assert self._server
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break every connection; new ones are taken."""
        for end in self._ends:
            end.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._ends |= {writer, back}
        try:
            await asyncio.gather(_pipe(reader, back), _pipe(onward, writer))
        finally:
            self._ends -= {writer, back}
            for end in (writer, back):
                end.transport.abort()


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            sink.write(data)
    except OSError:
        pass
    finally:
        sink.transport.abort()


@dataclass
class Rig:
    """Every method behind a wire behind Envoy."""

    behaviour: Behaviour
    relay: Relay
    envoy: Envoy
    http: httpx.AsyncClient
    native: grpc.aio.Channel
    peer: grpc.aio.Channel

    def cut_the_first(self) -> list[int]:
        """The next call's connection breaks once the call has arrived; counts the calls."""
        arrived: list[int] = []

        async def cut() -> None:
            arrived.append(1)
            if len(arrived) == 1:
                self.relay.cut()
                await asyncio.Event().wait()

        self.behaviour.does = cut
        return arrived


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    behaviour = Behaviour()
    server = GrpcServer(servicers(behaviour), CollectorRegistry())
    port = await server.start("127.0.0.1:0")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, 0)
        relay = await stack.enter_async_context(Relay(port))
        envoy = await stack.enter_async_context(
            running_envoy(tmp_path_factory.mktemp("rig"), dict.fromkeys(SERVICES, relay.address))
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=envoy.url, trust_env=False, timeout=20)
        )
        native = await stack.enter_async_context(grpc.aio.insecure_channel(envoy.address))
        peer = await stack.enter_async_context(open_channel(f"127.0.0.1:{port}"))
        yield Rig(behaviour, relay, envoy, http, native, peer)


async def healthy(rig: Rig) -> None:
    """Until Envoy knows again that the server lives."""
    rig.behaviour.does = answers
    method = METHODS["/sep.guard.v1.GuardService/GetKillSwitch"]

    async def good() -> bool:
        return await over_grpc(rig.native, method, {}) == OK

    await eventually(good)


@pytest.mark.parametrize("door", ["rest", "native"])
@pytest.mark.parametrize("method", ROUTED, ids=lambda m: m.name)
async def test_a_read_survives_a_broken_connection_and_a_write_is_sent_once(
    rig: Rig, method: Method, door: str
) -> None:
    if door == "rest" and not method.route:
        return
    await healthy(rig)
    arrived = rig.cut_the_first()
    body = REQUESTS.get(method.name, {})
    outcome = await (
        over_rest(rig.http, method, body) if door == "rest" else over_grpc(rig.native, method, body)
    )
    if method.reads:
        assert (outcome, len(arrived)) == (OK, 2)
    else:
        reason = "UPSTREAM_UNAVAILABLE" if door == "rest" else ""
        assert (outcome, len(arrived)) == (Outcome("UNAVAILABLE", reason), 1)


@pytest.mark.parametrize(("patience_s", "least"), [(3.0, 2.0), (30.0, 8.0)])
async def test_how_long_a_caller_waits_reaches_the_service_behind_the_service(
    rig: Rig, patience_s: float, least: float
) -> None:
    """A native client's own patience, or the route's ten seconds where that is less."""
    left: list[float] = []

    async def ask_on() -> None:
        scope = current()
        assert scope
        told = scope.seconds_left()
        assert told is not None
        left.append(told)
        if len(left) == 1:
            stub = gateway_pb2_grpc.GatewayServiceStub(rig.peer)
            # Without a word of the caller's patience it would be given a minute.
            await call(
                stub.GetAccount, gateway_pb2.GetAccountRequest(), peer="gateway", deadline_s=60
            )

    await healthy(rig)
    rig.behaviour.does = ask_on
    native: Any = rig.native
    await native.unary_unary("/sep.guard.v1.GuardService/GetBudget")(b"", timeout=patience_s)
    first, second = left
    # gRPC writes a deadline down in steps of up to 0.1 s, rounded up, by a clock of its own.
    assert least < first <= min(patience_s, 10.0) + 0.2
    assert least < second <= first + 0.2


async def test_whoever_hangs_up_ends_the_call_behind_the_proxy_too(rig: Rig) -> None:
    await healthy(rig)
    started, ended = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    rig.behaviour.does = wait
    asking = asyncio.create_task(rig.http.get("/api/risk/budget"))
    async with asyncio.timeout(5):
        await started.wait()
        asking.cancel()
        await ended.wait()


async def test_a_drain_lets_every_call_under_way_end_with_its_answer(rig: Rig) -> None:
    """Last: the listener is gone afterwards."""
    await healthy(rig)
    arrived, go_on = [], asyncio.Event()

    async def wait() -> None:
        arrived.append(1)
        await go_on.wait()

    rig.behaviour.does = wait
    method = METHODS["/sep.guard.v1.GuardService/Reconcile"]
    asking = [
        asyncio.create_task(ask)
        for _ in range(10)
        for ask in (over_rest(rig.http, method, {}), over_grpc(rig.native, method, {}))
    ]
    await eventually(lambda: len(arrived) == len(asking))
    draining = asyncio.ensure_future(drained(rig.envoy.admin, 10)())
    await asyncio.sleep(0.3)
    assert not draining.done()
    go_on.set()
    assert set(await asyncio.gather(*asking)) == {OK}
    async with asyncio.timeout(5):
        await draining

"""Retries of reads over a broken connection, deadlines, cancellation and draining."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep_contract import Method
from sep_edge.envoy.admin import drain
from sep_kit.grpc.call_context import current
from sep_kit.grpc.client import call, open_channel
from sep_kit.grpc.server import GrpcServer
from sep_testing.eventually import eventually

from tests.surface.methods import METHODS, OK, REQUESTS, Outcome, over_grpc, over_rest
from tests.surface.proxy import Envoy, running_envoy
from tests.surface.servicers import Behaviour, respond, servicers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

ROUTED = [m for m in METHODS.values() if not m.streams]
SERVICES = ("gateway", "evaluator", "allocator", "guard", "journal")


class Relay:
    """A TCP relay to a server; its connections can be broken in the middle of a call."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Relay":
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server
        self._server.close()
        self.break_connections()

    @property
    def address(self) -> str:
        assert self._server
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def break_connections(self) -> None:
        """Break every connection; new ones are accepted."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, back}
        try:
            await asyncio.gather(_pipe(reader, back), _pipe(onward, writer))
        finally:
            self._writers -= {writer, back}
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
class Environment:
    """Envoy, a relay behind it, and a server with every method behind the relay."""

    behaviour: Behaviour
    relay: Relay
    envoy: Envoy
    http: httpx.AsyncClient
    native: grpc.aio.Channel
    peer: grpc.aio.Channel

    def break_first_call(self) -> list[int]:
        """Break the next call's connection after the call has arrived.

        Returns:
            A list with one entry for each call that arrives.
        """
        arrived: list[int] = []

        async def run() -> None:
            arrived.append(1)
            if len(arrived) == 1:
                self.relay.break_connections()
                await asyncio.Event().wait()

        self.behaviour.run = run
        return arrived


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def environment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Environment]:
    async with running_environment(tmp_path_factory.mktemp("retries")) as running:
        yield running


@contextlib.asynccontextmanager
async def running_environment(folder: Path) -> AsyncIterator[Environment]:
    behaviour = Behaviour()
    server = GrpcServer(servicers(behaviour), CollectorRegistry())
    port = await server.start("127.0.0.1:0")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, 0)
        relay = await stack.enter_async_context(Relay(port))
        envoy = await stack.enter_async_context(
            running_envoy(folder, dict.fromkeys(SERVICES, relay.address))
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=envoy.url, trust_env=False, timeout=20)
        )
        native = await stack.enter_async_context(grpc.aio.insecure_channel(envoy.address))
        peer = await stack.enter_async_context(open_channel(f"127.0.0.1:{port}"))
        yield Environment(behaviour, relay, envoy, http, native, peer)


async def until_healthy(environment: Environment) -> None:
    """Wait until Envoy considers the server healthy again, in each of the guard's clusters."""
    environment.behaviour.run = respond
    methods = [METHODS[f"/sep.guard.v1.GuardService/{n}"] for n in ("GetKillSwitch", "GetBudget")]

    async def succeeds() -> bool:
        outcomes = [await over_grpc(environment.native, method, {}) for method in methods]
        return set(outcomes) == {OK}

    await eventually(succeeds)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
@pytest.mark.parametrize("method", ROUTED, ids=lambda m: m.name)
async def test_a_read_survives_a_broken_connection_and_a_write_is_sent_once(
    environment: Environment, method: Method, protocol: str
) -> None:
    if protocol == "rest" and not method.route:
        return
    await until_healthy(environment)
    arrived = environment.break_first_call()
    body = REQUESTS.get(method.name, {})
    outcome = await (
        over_rest(environment.http, method, body)
        if protocol == "rest"
        else over_grpc(environment.native, method, body)
    )
    if method.reads:
        assert (outcome, len(arrived)) == (OK, 2)
    else:
        reason = "UPSTREAM_UNAVAILABLE" if protocol == "rest" else ""
        assert (outcome, len(arrived)) == (Outcome("UNAVAILABLE", reason), 1)


@pytest.mark.parametrize(("deadline_s", "least"), [(3.0, 2.0), (30.0, 8.0)])
async def test_the_callers_deadline_is_passed_on_from_service_to_service(
    environment: Environment, deadline_s: float, least: float
) -> None:
    """The shorter of a native client's deadline and the route's ten seconds."""
    left: list[float] = []
    native: Any = environment.native

    async def call_the_gateway() -> None:
        scope = current()
        assert scope
        seconds = scope.seconds_left()
        assert seconds is not None
        left.append(seconds)
        if len(left) == 1:
            stub = gateway_pb2_grpc.GatewayServiceStub(environment.peer)
            # The caller's deadline must replace this one of a minute.
            await call(
                stub.GetAccount, gateway_pb2.GetAccountRequest(), peer="gateway", deadline_s=60
            )

    await until_healthy(environment)
    environment.behaviour.run = call_the_gateway

    async def in_time() -> bool:
        # Not if the machine stalls: the calls are slow then, or outlast their deadline.
        left.clear()
        with contextlib.suppress(grpc.aio.AioRpcError):
            await native.unary_unary("/sep.guard.v1.GuardService/GetBudget")(
                b"", timeout=deadline_s
            )
        return len(left) == 2 and min(left) > least

    await eventually(in_time)
    first, second = left
    # gRPC rounds a deadline up by as much as 0.1 s, and has a clock of its own.
    assert first <= min(deadline_s, 10.0) + 0.2
    assert second <= first + 0.2


async def test_a_cancelled_call_is_cancelled_behind_the_proxy_too(environment: Environment) -> None:
    await until_healthy(environment)
    started, ended = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    environment.behaviour.run = wait
    call = asyncio.create_task(environment.http.get("/api/risk/budget"))
    async with asyncio.timeout(30):
        await started.wait()
        call.cancel()
        await ended.wait()


async def test_a_drain_lets_every_call_in_progress_complete(tmp_path: Path) -> None:
    # In an environment of its own: the listener is closed afterwards.
    async with running_environment(tmp_path) as environment:
        await drained(environment)


async def drained(environment: Environment) -> None:
    await until_healthy(environment)
    arrived, proceed = [], asyncio.Event()

    async def wait() -> None:
        arrived.append(1)
        await proceed.wait()

    environment.behaviour.run = wait
    method = METHODS["/sep.guard.v1.GuardService/Reconcile"]
    calls = [
        asyncio.create_task(sent)
        for _ in range(10)
        for sent in (
            over_rest(environment.http, method, {}),
            over_grpc(environment.native, method, {}),
        )
    ]
    await eventually(lambda: len(arrived) == len(calls))
    draining = asyncio.create_task(drain(environment.envoy.admin, 10))
    await asyncio.sleep(0.3)
    assert not draining.done()
    proceed.set()
    assert set(await asyncio.gather(*calls)) == {OK}
    async with asyncio.timeout(30):
        await draining

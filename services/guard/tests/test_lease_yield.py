"""A guard that holds the lease and can't reach the gateway yields to one that can."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from sep.guard.v1 import guard_pb2 as pb
from sep.guard.v1 import guard_pb2_grpc
from sep_guard.app import build
from sep_kit import service
from sep_kit.clock import SystemClock
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

from .harness import Feed, settings_of
from .test_broker_contract import TOKEN, serve_gateway, serve_paper

GRACE_S = 2.0
CYCLE_S = 0.3


class Line:
    """A TCP connection to the gateway that can be cut."""

    def __init__(self, target: str) -> None:
        self._host, port = target.split(":")
        self._port = int(port)
        self._open: set[asyncio.StreamWriter] = set()
        self._cut = False

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        try:
            yield f"{host}:{port}"
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Abort what is open and everything that comes."""
        self._cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._cut = False

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        to_gateway = await asyncio.open_connection(self._host, self._port)
        both = {writer, to_gateway[1]}
        self._open |= both
        try:
            await asyncio.gather(_copy(reader, to_gateway[1]), _copy(to_gateway[0], writer))
        finally:
            self._open -= both
            for end in both:
                end.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


class Stack:
    """Paper broker, gateway, store, and a line to the gateway for the first guard."""

    def __init__(self, store: Valkey, url: str, paper: RunningBroker, gateway: str) -> None:
        self.store, self.paper, self.gateway, self._url = store, paper, gateway, url
        self.feed = Feed(store, SystemClock())
        self.line = Line(gateway)

    @asynccontextmanager
    async def guard(self, gateway: str) -> AsyncIterator[Any]:
        settings = settings_of(
            self._url,
            GATEWAY_ADDR=gateway,
            HOTBAND_PAIRS="EUR_USD,USD_JPY",
            PM_RECONCILE_SEC=str(CYCLE_S),
        )
        async with (
            running_service("guard", settings, build) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            yield guard_pb2_grpc.GuardServiceStub(channel)

    def held(self) -> bool:
        """Whether the broker has an open trade."""
        return bool(self.paper.broker.account.book.open_trades())

    async def holder(self) -> str:
        found = await reply(self.store.hget(keys.lease("guard"), "holder"))
        return found.decode() if found else ""

    async def open_a_position(self) -> None:
        async def is_held() -> bool:
            await self.feed.all_clear(EUR_USD=0.05)
            return self.held()

        await eventually(is_held)


@pytest.fixture
async def stack(
    store: Valkey, shared_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stack]:
    monkeypatch.setattr(service, "_HOLDER_GRACE_S", GRACE_S)
    monkeypatch.setattr(service, "RENEW_SECONDS", 0.3)
    async with AsyncExitStack() as resources:
        paper = await resources.enter_async_context(serve_paper(TOKEN))
        gateway = await resources.enter_async_context(serve_gateway(shared_valkey, paper))
        await eventually(lambda: store.exists(keys.BROKER_LINK))
        yield Stack(store, shared_valkey.url, paper, gateway)


async def is_true(found: Callable[[], bool]) -> bool:
    return found()


async def dry_run(guard: Any) -> str:
    """The reason why a guard can't plan; empty when it can."""
    try:
        await call(guard.Reconcile, pb.ReconcileRequest(dry_run=True), peer="guard", deadline_s=30)
    except SepError as error:
        return error.reason
    return ""


async def test_a_holder_without_the_gateway_yields_and_the_other_closes_what_is_held(
    stack: Stack,
) -> None:
    """It renews its lease all the while: without yielding, the position would stay for good."""
    async with stack.line.listening() as line, stack.guard(line) as cut_off:
        await stack.open_a_position()
        first = await stack.holder()
        async with stack.guard(stack.gateway) as other:
            await eventually(lambda: can_plan(other))
            stack.line.cut()
            await stack.feed.weights()
            await eventually(lambda: is_true(lambda: not stack.held()))
            assert await stack.holder() not in ("", first)
            assert await dry_run(cut_off)


async def test_a_holder_without_the_gateway_stays_while_none_waits_and_works_on_when_it_is_back(
    stack: Stack,
) -> None:
    async with stack.line.listening() as line, stack.guard(line) as guard:
        await stack.open_a_position()
        first, token = (
            await stack.holder(),
            await reply(stack.store.get(keys.lease_counter("guard"))),
        )
        stack.line.cut()
        await stack.feed.weights()
        await eventually(lambda: cannot_plan(guard))
        loop = asyncio.get_running_loop()
        until = loop.time() + 2 * GRACE_S
        # Past its grace it still holds the lease, since none waits.
        await eventually(lambda: is_true(lambda: loop.time() > until))
        assert await stack.holder() == first
        stack.line.mend()
        await eventually(lambda: is_true(lambda: not stack.held()))
        assert await reply(stack.store.get(keys.lease_counter("guard"))) == token


async def can_plan(guard: Any) -> bool:
    return not await dry_run(guard)


async def cannot_plan(guard: Any) -> bool:
    return bool(await dry_run(guard))

"""Over the wire: reads that come at once share an answer, and what changes something never does."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from sep_kit.clock import SystemClock
from sep_kit.grpc.response_cache import ResponseCache
from sep_kit.grpc.server import GrpcServer
from sep_stack.contract import Method

from tests.surface.every_method import Behaviour, servicers
from tests.surface.rows import METHODS, REQUESTS, request_bytes

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = 20
UNARY = [m for m in METHODS.values() if not m.streams]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[tuple[Behaviour, grpc.aio.Channel]]:
    behaviour = Behaviour()
    answers = ResponseCache(SystemClock())
    server = GrpcServer(servicers(behaviour), CollectorRegistry(), response_cache=answers)
    port = await server.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield behaviour, channel
    await server.stop(0)


@pytest.mark.parametrize("method", UNARY, ids=lambda m: m.name)
async def test_reads_that_come_at_once_share_and_writes_do_not(
    rig: tuple[Behaviour, grpc.aio.Channel], method: Method
) -> None:
    behaviour, channel = rig
    begun: list[int] = []

    async def take_a_while() -> None:
        begun.append(1)
        await asyncio.sleep(0.1)

    behaviour.does = take_a_while
    call = channel.unary_unary(method.path, None, None)
    request = request_bytes(method, REQUESTS.get(method.name, {}))
    await asyncio.gather(*(call(request, timeout=20) for _ in range(CALLS)))
    if method.access in {"open", "read"}:
        assert 1 <= len(begun) <= CALLS / 2
    else:
        assert len(begun) == CALLS

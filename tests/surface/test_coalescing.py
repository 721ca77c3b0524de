"""Simultaneous identical reads are coalesced; writes never are."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from sep_contract import Method
from sep_kit.clock import SystemClock
from sep_kit.grpc.response_cache import ResponseCache
from sep_kit.grpc.server import GrpcServer

from tests.surface.methods import METHODS, REQUESTS, request_bytes
from tests.surface.servicers import Behaviour, servicers

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = 20
UNARY = [m for m in METHODS.values() if not m.streams]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[tuple[Behaviour, grpc.aio.Channel]]:
    behaviour = Behaviour()
    answers = ResponseCache(SystemClock())
    grpc_server = GrpcServer(servicers(behaviour), CollectorRegistry(), response_cache=answers)
    port = await grpc_server.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield behaviour, channel
    await grpc_server.stop(0)


@pytest.mark.parametrize("method", UNARY, ids=lambda m: m.name)
async def test_simultaneous_reads_are_coalesced_and_writes_are_not(
    server: tuple[Behaviour, grpc.aio.Channel], method: Method
) -> None:
    behaviour, channel = server
    reads = method.access in {"open", "read"}
    started: list[int] = []

    async def run() -> None:
        started.append(1)
        await asyncio.sleep(0.1)

    behaviour.run = run
    call = channel.unary_unary(method.path, None, None)
    request = request_bytes(method, REQUESTS.get(method.name, {}))
    for _ in range(5):
        started.clear()
        await asyncio.gather(*(call(request, timeout=60) for _ in range(CALLS)))
        if not reads or len(started) <= CALLS / 2:
            break  # on a machine that stalls, the calls arrive one after the other
    if reads:
        assert 1 <= len(started) <= CALLS / 2
    else:
        assert len(started) == CALLS

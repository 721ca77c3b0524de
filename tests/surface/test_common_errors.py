"""What any call may meet: each route's documented errors that are not of its own, made for real.

Behind Envoy stands a server of the kit that holds every method of the contract, and does with all
of them the same: answers, breaks, or never ends.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from sep_kit.grpc.access import AccessPolicy, Reads
from sep_kit.grpc.keys import KeyRing
from sep_kit.grpc.server import GrpcServer
from sep_stack.contract import Method
from sep_stack.envoy.transcoding import MAX_REQUEST_BYTES

from tests.surface.every_method import Behaviour, answers, servicers
from tests.surface.proxy import impatient, running_envoy
from tests.surface.rows import (
    METHODS,
    OK,
    REQUESTS,
    Outcome,
    common_rows,
    raw_grpc,
    request_bytes,
    rest_outcome,
)
from tests.surface.world import READ, WRITE, make_keys

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

SECRET = "hunter2"
BEARER = {"authorization": f"Bearer {WRITE}"}
SERVICES = ("gateway", "evaluator", "allocator", "guard")


async def breaks() -> None:
    raise RuntimeError(SECRET)


async def never_ends() -> None:
    await asyncio.Event().wait()


@dataclass
class Doors:
    """Ways in: to the server, to it with little patience, to it for one write each, to nobody."""

    behaviour: Behaviour
    open: httpx.AsyncClient
    impatient: httpx.AsyncClient
    narrow: httpx.AsyncClient
    lonely: httpx.AsyncClient
    native: grpc.aio.Channel


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    folder, behaviour = tmp_path_factory.mktemp("doors"), Behaviour()
    ring = KeyRing(make_keys(folder / "keys"), asyncio.get_running_loop().time)
    policy = AccessPolicy(ring, Reads.KEY)
    server = GrpcServer(servicers(behaviour), CollectorRegistry(), policy)
    there = dict.fromkeys(SERVICES, f"127.0.0.1:{await server.start('127.0.0.1:0')}")
    nowhere = dict.fromkeys(SERVICES, "127.0.0.1:1")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, 0)
        envoys = (
            running_envoy(folder, there),
            running_envoy(folder, there, impatient),
            running_envoy(folder, there, write_limit=1),
            running_envoy(folder, nowhere),
        )
        ready = [await stack.enter_async_context(envoy) for envoy in envoys]
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=envoy.url, trust_env=False))
            for envoy in ready
        ]
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(ready[0].address))
        impatient_one, narrow, lonely = clients[1:]
        yield Doors(behaviour, clients[0], impatient_one, narrow, lonely, channel)


async def call(http: httpx.AsyncClient, method: Method, **how: Any) -> httpx.Response:
    how = {"headers": BEARER} | how
    if method.has_body and "content" not in how:
        how["json"] = REQUESTS.get(method.name, {})
    elif "params" not in how:
        how["params"] = REQUESTS.get(method.name, {})
    return await http.request(method.verb, method.route, **how)


async def malformed(doors: Doors, method: Method) -> httpx.Response:
    """A field that the contract does not know, or a parameter that is not UTF-8."""
    if method.has_body:
        return await call(doors.open, method, content=b'{"nonsense": 1}')
    path = f"{method.route}?{method.takes[0]}=%ff"
    return await doors.open.request(method.verb, path, headers=BEARER)


async def bad_request(doors: Doors, method: Method) -> httpx.Response:
    """What Envoy itself can't make sense of."""
    if method.has_body:
        return await call(doors.open, method, content=b"{")
    return await call(doors.open, method, params={"nonsense": "1"})


async def broken(doors: Doors, method: Method) -> httpx.Response:
    doors.behaviour.does = breaks
    answer = await call(doors.open, method)
    assert SECRET not in answer.text
    return answer


async def too_slow(doors: Doors, method: Method) -> httpx.Response:
    doors.behaviour.does = never_ends
    return await call(doors.impatient, method)


async def nobody_there(doors: Doors, method: Method) -> httpx.Response:
    return await call(doors.lonely, method)


async def without_a_key(doors: Doors, method: Method) -> httpx.Response:
    return await call(doors.open, method, headers={})


async def with_a_wrong_key(doors: Doors, method: Method) -> httpx.Response:
    return await call(doors.open, method, headers={"authorization": f"Bearer {'x' * 32}"})


async def with_a_key_for_reading(doors: Doors, method: Method) -> httpx.Response:
    return await call(doors.open, method, headers={"authorization": f"Bearer {READ}"})


async def too_often(doors: Doors, method: Method) -> httpx.Response:
    answers = [await call(doors.narrow, method) for _ in range(2)]
    return answers[-1]


async def too_large(doors: Doors, method: Method) -> httpx.Response:
    return await call(doors.open, method, content=b"{" + b" " * MAX_REQUEST_BYTES + b"}")


PROVOKED: dict[str, Callable[[Doors, Method], Awaitable[httpx.Response]]] = {
    "INVALID_ARGUMENT": malformed,
    "BAD_REQUEST": bad_request,
    "INTERNAL": broken,
    "UPSTREAM_TIMEOUT": too_slow,
    "UPSTREAM_UNAVAILABLE": nobody_there,
    "MISSING_KEY": without_a_key,
    "WRONG_KEY": with_a_wrong_key,
    "READ_KEY_ONLY": with_a_key_for_reading,
    "RATE_LIMITED": too_often,
    "REQUEST_TOO_LARGE": too_large,
}


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    list(common_rows()),
    ids=lambda v: v.name if isinstance(v, Method) else str(v),
)
async def test_a_documented_error_comes(
    doors: Doors, method: Method, status: int, reason: str
) -> None:
    doors.behaviour.does = answers
    answer = await PROVOKED[reason](doors, method)
    assert (answer.status_code, rest_outcome(answer).reason) == (status, reason), answer.text


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
async def test_a_good_call_has_a_good_answer(doors: Doors, method: Method) -> None:
    if not method.route:
        return
    doors.behaviour.does = answers
    answer = await call(doors.open, method)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
async def test_a_native_call_that_is_no_message_is_refused_and_a_fault_of_ours_withheld(
    doors: Doors, method: Method
) -> None:
    key = "i" * 32 if method.access == "internal" else WRITE
    doors.behaviour.does = answers
    garbage = await raw_grpc(doors.native, method, b"\xff\xff", key)
    assert garbage == Outcome("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    doors.behaviour.does = breaks
    request = request_bytes(method, REQUESTS.get(method.name, {}))
    assert await raw_grpc(doors.native, method, request, key) == Outcome("INTERNAL", "INTERNAL")
    doors.behaviour.does = answers
    assert await raw_grpc(doors.native, method, request, key) == OK

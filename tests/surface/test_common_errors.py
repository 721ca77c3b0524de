"""Errors that any call may get: each is provoked on every route that documents it.

Behind Envoy is a server with every method of the contract. All methods have the same behaviour:
they respond, raise, or block.
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
from sep_contract import Method
from sep_edge.envoy.transcoding import MAX_REQUEST_BYTES
from sep_kit.grpc.access import AccessPolicy
from sep_kit.grpc.keys import KeyRing
from sep_kit.grpc.limits import ALWAYS, CallLimits
from sep_kit.grpc.server import GrpcServer
from sep_kit.settings.shared.access import Reads

from tests.surface.methods import (
    METHODS,
    OK,
    REQUESTS,
    Outcome,
    common_errors,
    path_of,
    raw_grpc,
    request_bytes,
    rest_outcome,
)
from tests.surface.proxy import no_calls, running_envoy, short_timeouts
from tests.surface.running_stack import READ, WRITE, key_for, make_keys
from tests.surface.servicers import Behaviour, respond, servicers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SECRET = "hunter2"
# What a machine that stalls for seconds makes of another error.
LATE_REASONS = {"UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE"}
BEARER = {"authorization": f"Bearer {WRITE}"}
SERVICES = ("gateway", "evaluator", "allocator", "guard", "journal")


async def fail() -> None:
    raise RuntimeError(SECRET)


async def block() -> None:
    await asyncio.Event().wait()


@dataclass
class Proxies:
    """Clients of several proxies in front of the same server.

    Args:
        normal: without special settings.
        short_timeouts: calls end after 0.4 s.
        one_call: each key may call a writing method once and have one stream, and one call without
            a key is refused as such.
        without_keys: every client may write.
        no_server: with nothing behind it.
        overloaded: passes on no call.
        native: gRPC through the first proxy.
    """

    behaviour: Behaviour
    normal: httpx.AsyncClient
    short_timeouts: httpx.AsyncClient
    one_call: httpx.AsyncClient
    without_keys: httpx.AsyncClient
    no_server: httpx.AsyncClient
    overloaded: httpx.AsyncClient
    native: grpc.aio.Channel


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxies(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxies]:
    folder, behaviour = tmp_path_factory.mktemp("proxies"), Behaviour()
    ring = KeyRing(make_keys(folder / "keys"), asyncio.get_running_loop().time)
    policy, handlers = AccessPolicy(ring, Reads.KEY), servicers(behaviour)
    limits = CallLimits(1, 1, asyncio.get_running_loop().time)
    servers = [
        GrpcServer(handlers, CollectorRegistry(), policy),
        GrpcServer(handlers, CollectorRegistry(), policy, limits=limits),
        GrpcServer(handlers, CollectorRegistry(), AccessPolicy(ring, Reads.OPEN, open_writes=True)),
    ]
    normal_services, one_call_services, open_services = [
        dict.fromkeys(SERVICES, f"127.0.0.1:{await server.start('127.0.0.1:0')}")
        for server in servers
    ]
    nowhere = dict.fromkeys(SERVICES, "127.0.0.1:1")
    async with AsyncExitStack() as stack:
        for server in servers:
            stack.push_async_callback(server.stop, 0)
        envoys = (
            running_envoy(folder, normal_services),
            running_envoy(folder, normal_services, short_timeouts),
            running_envoy(folder, one_call_services, cache=False),
            running_envoy(folder, open_services),
            running_envoy(folder, nowhere),
            running_envoy(folder, normal_services, no_calls),
        )
        ready = [await stack.enter_async_context(envoy) for envoy in envoys]
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=envoy.url, trust_env=False, timeout=30)
            )
            for envoy in ready
        ]
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(ready[0].address))
        normal, short, one_call, without_keys, no_server, overloaded = clients
        yield Proxies(
            behaviour, normal, short, one_call, without_keys, no_server, overloaded, channel
        )


async def call(http: httpx.AsyncClient, method: Method, **options: Any) -> httpx.Response:
    options = {"headers": BEARER} | options
    if method.has_body:
        if not {"content", "json"} & set(options):
            options["json"] = REQUESTS.get(method.name, {})
    elif "params" not in options:
        body = REQUESTS.get(method.name, {})
        options["params"] = {n: v for n, v in body.items() if f"{{{n}}}" not in method.route}
    return await http.request(method.verb, path_of(method), **options)


async def malformed(proxies: Proxies, method: Method) -> httpx.Response:
    """With an unknown field, or a parameter that is not UTF-8."""
    if method.has_body:
        return await call(proxies.normal, method, content=b'{"nonsense": 1}')
    # Of pages the second field: the first is a number, which Envoy itself refuses.
    texts = [name for name in method.request_fields if name != "page_size"]
    path = f"{path_of(method)}?{texts[0]}=%ff"
    return await proxies.normal.request(method.verb, path, headers=BEARER)


async def bad_request(proxies: Proxies, method: Method) -> httpx.Response:
    """With JSON or a parameter that Envoy refuses."""
    if method.has_body:
        return await call(proxies.normal, method, content=b"{")
    return await call(proxies.normal, method, params={"nonsense": "1"})


async def failing(proxies: Proxies, method: Method) -> httpx.Response:
    proxies.behaviour.run = fail
    response = await call(proxies.normal, method)
    assert SECRET not in response.text
    return response


async def too_slow(proxies: Proxies, method: Method) -> httpx.Response:
    proxies.behaviour.run = block
    return await call(proxies.short_timeouts, method)


async def without_a_server(proxies: Proxies, method: Method) -> httpx.Response:
    return await call(proxies.no_server, method)


async def while_overloaded(proxies: Proxies, method: Method) -> httpx.Response:
    return await call(proxies.overloaded, method)


async def without_a_key(proxies: Proxies, method: Method) -> httpx.Response:
    return await call(proxies.normal, method, headers={})


async def with_a_wrong_key(proxies: Proxies, method: Method) -> httpx.Response:
    return await call(proxies.normal, method, headers={"authorization": f"Bearer {'x' * 32}"})


async def with_a_read_key(proxies: Proxies, method: Method) -> httpx.Response:
    return await call(proxies.normal, method, headers={"authorization": f"Bearer {READ}"})


async def too_often(proxies: Proxies, method: Method) -> httpx.Response:
    """A write with a key; a read without one. An engage is never limited, a release is."""
    options: dict[str, Any] = {}
    if not method.writes:
        options["headers"] = {}
    elif method.name == "SetKillSwitch":
        options["json"] = {"kill_switch": False, "reason": "a test"}
    elif method.unlimited_when == ALWAYS:
        options["headers"] = {}
    # The bucket may become full again between two calls, not between three.
    for _ in range(3):
        response = await call(proxies.one_call, method, **options)
        if response.status_code == 429:
            break
    return response


async def a_second_stream(proxies: Proxies, method: Method) -> httpx.Response:
    """Of two streams at the same time one blocks, and the other is refused."""
    proxies.behaviour.run = block
    both = [asyncio.ensure_future(call(proxies.one_call, method)) for _ in range(2)]
    done, blocked = await asyncio.wait(both, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    for task in blocked:
        task.cancel()
    return done.pop().result()


async def from_another_origin(proxies: Proxies, method: Method) -> httpx.Response:
    return await call(proxies.without_keys, method, headers={"origin": "https://evil.example"})


async def too_large(proxies: Proxies, method: Method) -> httpx.Response:
    return await call(proxies.normal, method, content=b"{" + b" " * MAX_REQUEST_BYTES + b"}")


PROVOKE: dict[str, Callable[[Proxies, Method], Awaitable[httpx.Response]]] = {
    "INVALID_ARGUMENT": malformed,
    "BAD_REQUEST": bad_request,
    "INTERNAL": failing,
    "UPSTREAM_TIMEOUT": too_slow,
    "UPSTREAM_UNAVAILABLE": without_a_server,
    "OVERLOADED": while_overloaded,
    "MISSING_KEY": without_a_key,
    "WRONG_KEY": with_a_wrong_key,
    "READ_KEY_ONLY": with_a_read_key,
    "FOREIGN_ORIGIN": from_another_origin,
    "RATE_LIMITED": too_often,
    "TOO_MANY_STREAMS": a_second_stream,
    "REQUEST_TOO_LARGE": too_large,
}


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    list(common_errors()),
    ids=lambda v: v.name if isinstance(v, Method) else str(v),
)
async def test_a_documented_error_is_returned(
    proxies: Proxies, method: Method, status: int, reason: str
) -> None:
    for _ in range(3):
        proxies.behaviour.run = respond
        response = await PROVOKE[reason](proxies, method)
        if rest_outcome(response).reason not in LATE_REASONS - {reason}:
            break
    assert (response.status_code, rest_outcome(response).reason) == (status, reason), response.text


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
async def test_a_valid_call_succeeds(proxies: Proxies, method: Method) -> None:
    if not method.route:
        return
    proxies.behaviour.run = respond
    response = await call(proxies.normal, method)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
async def test_a_malformed_native_call_is_refused_and_an_internal_error_hides_its_text(
    proxies: Proxies, method: Method
) -> None:
    key = key_for(method)
    proxies.behaviour.run = respond
    garbage = await raw_grpc(proxies.native, method, b"\xff\xff", key)
    assert garbage == Outcome("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    proxies.behaviour.run = fail
    request = request_bytes(method, REQUESTS.get(method.name, {}))
    assert await raw_grpc(proxies.native, method, request, key) == Outcome("INTERNAL", "INTERNAL")
    proxies.behaviour.run = respond
    assert await raw_grpc(proxies.native, method, request, key) == OK

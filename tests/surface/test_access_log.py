"""The access log has every write, failure and slow call, and the configured share of reads."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from prometheus_client import CollectorRegistry
from sep_kit.grpc.server import GrpcServer
from sep_testing.eventually import eventually

from tests.surface.methods import METHODS, OK, over_grpc, over_rest
from tests.surface.proxy import running_envoy
from tests.surface.servicers import Behaviour, servicers

READ = METHODS["/sep.guard.v1.GuardService/GetKillSwitch"]
WRITE = METHODS["/sep.guard.v1.GuardService/Reconcile"]


@dataclass(frozen=True)
class Logged:
    """A proxy and its access log."""

    http: httpx.AsyncClient
    native: grpc.aio.Channel
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
async def logged(tmp_path: Path) -> AsyncIterator[Logged]:
    server = GrpcServer(servicers(Behaviour()), CollectorRegistry())
    port = await server.start("127.0.0.1:0")
    services = dict.fromkeys(
        ("gateway", "evaluator", "allocator", "guard", "journal"), f"127.0.0.1:{port}"
    )
    log = tmp_path / "access.log"
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, 0)
        envoy = await stack.enter_async_context(
            running_envoy(tmp_path, services, log=log, logged_reads=0)
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=envoy.url, trust_env=False, timeout=30)
        )
        native = await stack.enter_async_context(grpc.aio.insecure_channel(envoy.address))
        yield Logged(http, native, log)


async def test_successful_reads_are_not_logged_and_writes_are(logged: Logged) -> None:
    for method in (READ, WRITE):
        assert await over_rest(logged.http, method, {}) == OK
        assert await over_grpc(logged.native, method, {}) == OK
    await logged.http.get("/api/ranking/active")  # a cached one
    await logged.http.get("/api/nothing")
    await eventually(lambda: logged.lines() and logged.lines()[-1]["path"] == "/api/nothing")
    reads = (READ.route, READ.path, "/api/ranking/active")
    # A read is logged if it was slow, which it is where the machine stalls.
    lines = [x for x in logged.lines() if x["path"] not in reads or x["milliseconds"] < 1000]
    assert [(x["method"], x["path"], x["status"]) for x in lines] == [
        ("POST", WRITE.route, 200),
        ("POST", WRITE.path, 200),
        ("GET", "/api/nothing", 404),
    ]


async def test_a_line_has_client_request_protocol_and_request_id(logged: Logged) -> None:
    headers = {"x-request-id": "mine", "user-agent": "test", "authorization": "Bearer secret"}
    response = await logged.http.get("/api/status?key=hidden", headers=headers)
    await eventually(logged.lines)
    (line,) = logged.lines()
    assert line["request_id"] == response.headers["x-request-id"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/status", 400)
    assert (line["client"], line["user_agent"], line["protocol"]) == (
        "127.0.0.1",
        "test",
        "HTTP/1.1",
    )
    assert line["milliseconds"] >= 0
    assert "secret" not in logged.log.read_text()
    assert "hidden" not in logged.log.read_text()

"""Malformed, ambiguous and unusual HTTP: an error in the usual shape, or a correct response.

Sent over raw sockets, since HTTP clients refuse to send most of it.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import grpc
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep_contract import Method
from sep_edge.envoy.transcoding import MAX_RESPONSE_BYTES
from sep_kit.grpc.server import MAX_REQUEST_BYTES, GrpcServer, Handler
from sep_testing.services import running_server

from tests.surface.methods import METHODS, OK, REQUESTS, Outcome, path_of, raw_grpc
from tests.surface.proxy import running_envoy
from tests.surface.servicers import Behaviour, servicers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Port:
    """A proxy's public port."""

    address: str
    native: grpc.aio.Channel


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Port]:
    folder = tmp_path_factory.mktemp("hostile")
    pages = folder / "pages"
    pages.mkdir()
    for page in ("openapi.json", "docs.html", "index.html"):
        (pages / page).write_text("{}")
    server = GrpcServer(servicers(Behaviour()), CollectorRegistry())
    address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    services = dict.fromkeys(("gateway", "evaluator", "allocator", "guard", "journal"), address)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, 0)
        envoy = await stack.enter_async_context(running_envoy(folder, services, pages=pages))
        native = await stack.enter_async_context(grpc.aio.insecure_channel(envoy.address))
        yield Port(envoy.address, native)


async def send(port: Port, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the response to these bytes."""
    host, _, number = port.address.rpartition(":")
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(host, int(number))
        try:
            writer.write(raw)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
            if " 100 " in head[0]:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            size = 0 if raw.startswith(b"HEAD") else int(headers.get("content-length", 0))
            return int(head[0].split()[1]), headers, await reader.readexactly(size)
        finally:
            writer.close()


def http(line: str, *headers: str, body: bytes = b"", sized: bool = True) -> bytes:
    lines = [f"{line} HTTP/1.1", "host: localhost", *headers]
    if body and sized:
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin1") + body


CHUNKED = "transfer-encoding: chunked"
RECONCILE = "POST /api/trade/reconcile"
DRY = b'{"dry_run": true}'
COEFFS = "/api/manifold/coeffs"

REFUSED: dict[str, tuple[bytes, int, str]] = {
    "a trailing slash": (http("GET /api/status/"), 404, "UNKNOWN_ROUTE"),
    "a trailing slash of a write": (
        http("POST /api/kill-switch/", body=b"{}"), 404, "UNKNOWN_ROUTE"),
    "a trailing slash of the stream": (http("GET /api/manifold/stream/"), 404, "UNKNOWN_ROUTE"),
    "capitals": (http("GET /API/status"), 404, "UNKNOWN_ROUTE"),
    "a matrix parameter": (http("GET /api/status;x=1"), 404, "UNKNOWN_ROUTE"),
    "an escaped slash": (http("GET /api%2Fstatus"), 400, "BAD_REQUEST"),
    "an escaped null": (http("GET /api/status%00"), 400, "BAD_REQUEST"),
    "a fragment": (http("GET /api/status#x"), 400, "BAD_REQUEST"),
    "a long path": (http("GET /" + "a" * 9000), 404, "UNKNOWN_ROUTE"),
    "a gRPC path": (http("GET /sep.ops.v1.OpsService/GetHealth"), 404, "UNKNOWN_ROUTE"),
    "a gRPC path with JSON": (
        http("POST /sep.guard.v1.GuardService/Reconcile", body=DRY), 404, "UNKNOWN_ROUTE"),
    "a spoofed path": (
        http("GET /api/nothing", "x-envoy-original-path: /api/status"), 404, "UNKNOWN_ROUTE"),
    "PUT": (http("PUT /api/kill-switch", body=b"{}"), 405, "METHOD_NOT_ALLOWED"),
    "DELETE": (http("DELETE /api/status"), 405, "METHOD_NOT_ALLOWED"),
    "TRACE": (http("TRACE /api/status"), 405, "METHOD_NOT_ALLOWED"),
    "OPTIONS that asks for nothing": (http("OPTIONS /api/status"), 405, "METHOD_NOT_ALLOWED"),
    "POST of a page": (http("POST /docs", body=b"x"), 405, "METHOD_NOT_ALLOWED"),
    "POST of the document": (http("POST /openapi.json", body=b"x"), 405, "METHOD_NOT_ALLOWED"),
    "POST of a read": (http("POST /api/status", body=b"{}"), 405, "METHOD_NOT_ALLOWED"),
    "CONNECT": (http("CONNECT sep:80"), 404, "UNKNOWN_ROUTE"),
    "a lower-case verb": (http("get /api/status"), 400, "BAD_REQUEST"),
    "an upgrade": (
        http("GET /api/status", "upgrade: websocket", "connection: Upgrade"),
        403, "UPGRADE_REFUSED"),
    "HTTP/1.0": (b"GET /api/status HTTP/1.0\r\n\r\n", 426, "UPGRADE_REQUIRED"),
    "no host": (b"GET /api/status HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST"),
    "no HTTP": (b"\x00\x01\x02\r\n\r\n", 400, "BAD_REQUEST"),
    "TLS where there is none": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400, "BAD_REQUEST"),
    "a space before the colon": (
        b"GET /api/status HTTP/1.1\r\nhost : sep\r\n\r\n", 400, "BAD_REQUEST"),
    "headers too large": (
        http("GET /api/status", "x-a: " + "a" * 40_000), 431, "HEADERS_TOO_LARGE"),
    "too many headers": (
        http("GET /api/status", *(f"x-{i}: 1" for i in range(150))), 431, "HEADERS_TOO_LARGE"),
    "an underscore in a header": (http("GET /api/status", "x_a: 1"), 400, "BAD_REQUEST"),
    "a length and chunks": (
        http(RECONCILE, CHUNKED, "content-length: 4", body=b"0\r\n\r\n", sized=False),
        400, "BAD_REQUEST"),
    "two lengths": (
        http(RECONCILE, "content-length: 4", "content-length: 5", body=b"abcd", sized=False),
        400, "BAD_REQUEST"),
    "an unknown transfer encoding": (
        http(RECONCILE, "transfer-encoding: xchunked", body=b"0\r\n\r\n", sized=False),
        501, "NOT_IMPLEMENTED"),
    "malformed chunks": (
        http(RECONCILE, CHUNKED, body=b"zz\r\n", sized=False), 400, "BAD_REQUEST"),
    "chunks too large": (
        http(RECONCILE, CHUNKED, body=b"5000\r\n" + b" " * 0x5000 + b"\r\n0\r\n\r\n", sized=False),
        413, "REQUEST_TOO_LARGE"),
    "a compressed body": (
        http(RECONCILE, "content-encoding: gzip", body=b"\x1f\x8b\x08\x00"), 400, "BAD_REQUEST"),
    "a parameter twice": (
        http(f"GET {COEFFS}?instrument=EUR_USD&instrument=USD_JPY"), 400, "INVALID_ARGUMENT"),
    "a parameter twice, once escaped": (
        http(f"GET {COEFFS}?instrument=EUR_USD&instr%75ment=USD_JPY"), 400, "INVALID_ARGUMENT"),
    "a cached read's parameter twice": (
        http("GET /api/candles?instrument=EUR_USD&limit=120&limit=120"), 400, "INVALID_ARGUMENT"),
    "a parameter that is not UTF-8": (
        http(f"GET {COEFFS}?instrument=%ff%fe"), 400, "INVALID_ARGUMENT"),
    "a parameter with raw bytes": (http(f"GET {COEFFS}?instrument=\xff"), 400, "BAD_REQUEST"),
    "an emoji": (http(f"GET {COEFFS}?instrument=%F0%9F%92%A9"), 400, "INVALID_ARGUMENT"),
    "an invalid escape": (http(f"GET {COEFFS}?instrument=EUR%ZZ"), 400, "INVALID_ARGUMENT"),
    "NaN as a number": (
        http("GET /api/candles?instrument=EUR_USD&limit=NaN"), 400, "BAD_REQUEST"),
    "a number too large": (
        http("GET /api/candles?instrument=EUR_USD&limit=99999999999999999999"),
        400, "BAD_REQUEST"),
    "a nested field": (http(f"GET {COEFFS}?instrument.x=1"), 400, "BAD_REQUEST"),
    "a query and an empty body": (
        http(f"{RECONCILE}?dry_run=true", body=b"{}"), 400, "INVALID_ARGUMENT"),
    "a query that contradicts the body": (
        http(f"{RECONCILE}?dry_run=true", body=b'{"dry_run":false}'), 400, "BAD_REQUEST"),
}  # fmt: skip
BODIES: dict[str, tuple[bytes, str]] = {
    "a key twice": (b'{"dry_run": true, "dry_run": false}', "INVALID_ARGUMENT"),
    "a key in two spellings": (b'{"dry_run": true, "dryRun": false}', "INVALID_ARGUMENT"),
    "a key in another spelling": (b'{"dryRun": true}', "INVALID_ARGUMENT"),
    "an unknown key": (b'{"dryrun": true}', "INVALID_ARGUMENT"),
    "null": (b"null", "BAD_REQUEST"),
    "a list": (b"[]", "BAD_REQUEST"),
    "a string": (b'"x"', "BAD_REQUEST"),
    "a boolean in a string": (b'{"dry_run": "true"}', "INVALID_ARGUMENT"),
    "a boolean as a number": (b'{"dry_run": 1}', "BAD_REQUEST"),
    "trailing text": (DRY + b"x", "BAD_REQUEST"),
    "two bodies": (DRY + DRY, "BAD_REQUEST"),
    "a trailing comma": (b'{"dry_run": true,}', "INVALID_ARGUMENT"),
    "single quotes": (b"{'dry_run': true}", "INVALID_ARGUMENT"),
    "no quotes": (b"{dry_run: true}", "INVALID_ARGUMENT"),
    "a comment": (b'{"dry_run": true /* really */}', "BAD_REQUEST"),
    "a byte order mark": (b"\xef\xbb\xbf" + DRY, "BAD_REQUEST"),
    "UTF-16": (DRY.decode().encode("utf-16"), "BAD_REQUEST"),
    "invalid UTF-8": (b'{"dry_run": true, "\xff": 1}', "BAD_REQUEST"),
    "deep nesting": (b'{"a":' * 2000 + b"1" + b"}" * 2000, "BAD_REQUEST"),
    "XML": (b"<a/>", "BAD_REQUEST"),
}


def error_in(body: bytes) -> tuple[str, str]:
    error = json.loads(body)
    assert set(error) == {"code", "message", "details"}
    return error["details"][0]["reason"], error["message"]


@pytest.mark.parametrize("case", REFUSED)
async def test_invalid_http_gets_an_error_in_the_usual_shape(port: Port, case: str) -> None:
    raw, status, reason = REFUSED[case]
    found, headers, body = await send(port, raw)
    assert (found, error_in(body)[0]) == (status, reason), body
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("case", BODIES)
async def test_an_invalid_body_is_refused(port: Port, case: str) -> None:
    body, reason = BODIES[case]
    for raw in (
        http(RECONCILE, body=body),
        http(RECONCILE, CHUNKED, body=chunks(body), sized=False),
    ):
        status, _, response = await send(port, raw)
        assert (status, error_in(response)[0]) == (400, reason), response


def chunks(body: bytes) -> bytes:
    return b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        http(RECONCILE, body=DRY),
        http(RECONCILE, CHUNKED, body=chunks(DRY), sized=False),
        http(RECONCILE, "expect: 100-continue", body=DRY),
        http(RECONCILE, "content-type: application/json; charset=utf-8", body=DRY),
        # Sent by curl with -d: a body is parsed as JSON whatever its content type.
        http(RECONCILE, "content-type: application/x-www-form-urlencoded", body=DRY),
        http(RECONCILE, "x-sep-body-bin: e30=", "x-sep-twice: dry_run", body=DRY),
        http(RECONCILE, body=b'{"dry\\u005frun": true}'),
        http("GET //api//status"),
        http("GET /api/../api/status"),
        http("GET /api/st%61tus"),
        http("GET /api/status?"),
        http("GET /api/oanda/pricing?instruments=EUR_USD&instruments=USD_JPY"),
        http("GET /api/status", "x-a: " + "a" * 20_000),
        http("GET /api/status", "grpc-timeout: zz"),
        http("GET /api/status", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__"),
        http("HEAD /docs"),
    ],
    ids=lambda raw: raw.split(b"\r\n")[0].decode(),
)
async def test_unusual_but_valid_http_succeeds(port: Port, raw: bytes) -> None:
    status, _, body = await send(port, raw)
    assert status == 200, body


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1",
     "a@localhost", "localhost:x"],
)  # fmt: skip
@pytest.mark.parametrize("line", ["GET /api/oanda/account", "POST /api/kill-switch", "GET /docs",
                                  "GET /api/pairs", "OPTIONS /api/status"])  # fmt: skip
async def test_a_foreign_host_name_reads_nothing(port: Port, line: str, host: str) -> None:
    """A page whose name was rebound to this machine sends that name."""
    raw = http(line).replace(b"host: localhost", f"host: {host}".encode())
    status, _, body = await send(port, raw)
    assert (status, error_in(body)[0]) in {(421, "HOST_NOT_ALLOWED"), (400, "BAD_REQUEST")}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:80"])
async def test_a_local_host_name_is_served(port: Port, host: str) -> None:
    for line in ("GET /api/status", "GET /api/pairs"):
        raw = http(line).replace(b"host: localhost", f"host: {host}".encode())
        assert (await send(port, raw))[0] == 200


@pytest.mark.parametrize("path", ["/api/status", "/api/pairs", "/api/candles?instrument=EUR_USD",
                                  "/metrics", "/openapi.json", "/health"])  # fmt: skip
async def test_head_is_get_without_a_body(port: Port, path: str) -> None:
    got, headers, body = await send(port, http(f"GET {path}"))
    status, head, _ = await send(port, http(f"HEAD {path}"))
    assert (status, head["content-type"]) == (got, headers["content-type"])
    if "content-length" in headers and path != "/metrics":
        assert int(head.get("content-length", 0)) == len(body)


GETS = [m for m in METHODS.values() if m.verb == "GET" and not m.streams]


@pytest.mark.parametrize("method", GETS, ids=lambda m: m.route)
async def test_every_route_that_is_read_has_a_head(port: Port, method: Method) -> None:
    body = REQUESTS.get(method.name, {})
    path = path_of(method, body)
    query = urlencode({n: v for n, v in body.items() if f"{{{n}}}" not in method.route})
    found = [await send(port, http(f"{verb} {path}?{query}")) for verb in ("GET", "HEAD")]
    assert [status for status, _, _ in found] == [200, 200]
    (_, got, _), (_, head, content) = found
    assert head["content-type"] == got["content-type"]
    assert content == b""


@pytest.mark.parametrize("path", ["/api/status", "/docs", "/health"])
async def test_head_over_http2_has_no_body(port: Port, path: str) -> None:
    """In frames of RFC 9113: HTTP/2 clients drop the body of a HEAD."""
    assert await over_http2(port, "GET", path) != (True, b"")
    assert await over_http2(port, "HEAD", path) == (True, b"")


async def over_http2(port: Port, verb: str, path: str) -> tuple[bool, bytes]:
    """Whether the status is 200, and the body."""
    fields = {":method": verb, ":scheme": "http", ":authority": port.address, ":path": path}
    block = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )
    host, _, number = port.address.rpartition(":")
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(host, int(number))
        try:
            writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kind=4, flags=0, stream=0))
            writer.write(frame(kind=1, flags=5, stream=1, payload=block))  # the whole request
            ok, body, ended = False, b"", False
            while not ended:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3]))
                kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
                assert kind not in {3, 7}, "the stream or the connection was aborted"
                if stream == 1 and kind == 1:
                    # 0x88 is ":status: 200"; updates of the table's size may stand before it.
                    # Trailers are headers too.
                    ok = ok or payload.lstrip(bytes(range(0x20, 0x40))).startswith(b"\x88")
                elif stream == 1 and kind == 0:
                    body += payload
                ended = stream == 1 and kind in {0, 1} and bool(flags & 1)
            return ok, body
        finally:
            writer.close()


def frame(*, kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3) + bytes([kind, flags])
    return head + stream.to_bytes(4) + payload


async def test_head_of_the_stream_ends(port: Port) -> None:
    status, headers, _ = await send(port, http("HEAD /api/manifold/stream"))
    assert (status, headers["content-type"]) == (200, "text/event-stream")


@pytest.mark.parametrize("kind", ["application/grpc-web", "application/grpc-web+proto",
                                  "application/grpc-web-text", "application/json"])  # fmt: skip
async def test_grpc_web_gets_an_error_in_the_usual_shape(port: Port, kind: str) -> None:
    for path in ("/sep.guard.v1.GuardService/GetKillSwitch", "/sep.nothing.v1.Nothing/Get"):
        raw = http(f"POST {path}", f"content-type: {kind}", body=b"\0" * 5)
        status, headers, body = await send(port, raw)
        assert (status, headers["content-type"]) == (404, "application/json")
        assert error_in(body)[0] == "UNKNOWN_ROUTE"


async def test_invalid_native_calls_end_in_a_status(port: Port) -> None:
    method = METHODS["/sep.guard.v1.GuardService/Reconcile"]
    invalid = Outcome("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert await raw_grpc(port.native, method, b"\xff\xff\xff") == invalid
    huge = await raw_grpc(port.native, method, b"\x12" + b"\xff" * MAX_REQUEST_BYTES)
    assert huge.code == "RESOURCE_EXHAUSTED"
    opened: Any = port.native
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await opened.unary_unary("/sep.guard.v1.GuardService/Nothing")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert await raw_grpc(port.native, method, b"") == OK


async def test_an_unknown_field_over_grpc_is_ignored(port: Port) -> None:
    """A newer client may send fields that an older stack does not know."""
    method = METHODS["/sep.guard.v1.GuardService/Reconcile"]
    assert await raw_grpc(port.native, method, b"\x08\x01\xf8\x07\x01") == OK


class Oversized(gateway_pb2_grpc.GatewayServiceServicer):
    """Returns more than the largest response that the proxy passes on."""

    async def ListCandles(self, request: Any, context: Any) -> gateway_pb2.ListCandlesResponse:
        return gateway_pb2.ListCandlesResponse(granularity="x" * (MAX_RESPONSE_BYTES + 1))


async def test_a_response_that_is_too_large_is_an_error(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    add = gateway_pb2_grpc.add_GatewayServiceServicer_to_server
    handler = Handler("sep.gateway.v1.GatewayService", Oversized(), add)  # type: ignore[abstract]
    folder = tmp_path_factory.mktemp("oversized")
    async with running_server(handler) as running:
        services = dict.fromkeys(
            ("gateway", "evaluator", "allocator", "guard", "journal"), running.address
        )
        async with (
            running_envoy(folder, services) as envoy,
            grpc.aio.insecure_channel(envoy.address) as native,
        ):
            raw = http("GET /api/candles?instrument=EUR_USD")
            status, _, body = await send(Port(envoy.address, native), raw)
    assert (status, error_in(body)[0]) == (500, "INTERNAL"), body

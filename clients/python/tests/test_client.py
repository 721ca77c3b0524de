"""Both clients against a real HTTP server: requests, responses, errors, retries, streams."""

import asyncio
import inspect
import json
import runpy
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sep_client import (
    AsyncClient,
    Client,
    NoAnswerError,
    calls,
    journal_calls,
    parameter_calls,
)
from sep_client.call import Call
from sep_client.decoding import decode
from sep_client.errors import (
    ApiError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    PreconditionError,
    RateLimitedError,
    SepError,
    StoreUnavailableError,
    UnauthenticatedError,
    UnavailableError,
    UnknownInstrumentError,
)
from sep_client.models import ActionKind, GetManifoldCoeffsResponse, Price, ReconcileResponse
from sep_client.requests import Wanted
from sep_contract import read_contract

GENERATE = Path(__file__).parents[1] / "generate.py"
SWITCH = {
    "kill_switch": True,
    "reason": "lunch",
    "actor": "alice",
    "ts_ms": 1.7e12,
    "durable": True,
}


@dataclass
class FakeStack:
    """Returns prepared responses in turn, and repeats the last one; status 0 hangs up."""

    url: str = ""
    responses: list[tuple[int, bytes]] = field(default_factory=list)
    requests: list[tuple[str, str, bytes, str]] = field(default_factory=list)

    def prepare(self, *responses: tuple[int, Any]) -> None:
        self.responses = [
            (status, body if isinstance(body, bytes) else json.dumps(body).encode())
            for status, body in responses
        ]


@pytest.fixture
def stack() -> Iterator[FakeStack]:
    fake = FakeStack()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            key = self.headers.get("authorization", "")
            fake.requests.append((self.command, self.path, body, key))
            status, text = fake.responses[0] if len(fake.responses) == 1 else fake.responses.pop(0)
            if status == 0:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.send_header("x-request-id", "r1")
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = respond

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sep(stack: FakeStack) -> Iterator[Client]:
    with Client(stack.url, key="k" * 30 + "\n") as client:
        yield client


def error(reason: str, **metadata: str) -> dict[str, Any]:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "sep",
        "metadata": metadata,
    }
    return {"code": 1, "message": "refused", "details": [info]}


def test_committed_models_match_the_contract() -> None:
    generator = runpy.run_path(str(GENERATE))
    assert generator["MODELS"].read_text() == generator["models"]()


METHODS = {(m.verb, m.route): m for m in read_contract().methods.values() if m.route}
OF_SERVICES = {"actor", "min_transaction_id"}
ARGUMENTS: dict[str, Any] = {
    "instrument": "EUR_USD", "instruments": ["EUR_USD"], "granularity": "M1", "limit": 1,
    "history": 1,
    "since": 1, "until": 2, "count": 1, "dry_run": True, "engaged": True, "reason": "lunch",
    "locked": True, "until_ms": 1.0, "include_manual": True, "flatten_id": "0" * 32,
    "acknowledge_breaker": False,
    "page_size": 1, "page_token": "1-1", "type": "ORDER_FILL", "only_open": True,
    "group_by": "hour", "kind": "ENTRY", "decision_id": "d1", "last_event_id": "7",
    "file_format": "csv",
    "wanted": [Wanted(instrument="EUR_USD", values={"c_min": 0.6}, judged=True)],
    "run": "run@0", "forced_by": "alice", "change_id": "c1",
    "drain_id": "0" * 32, "buffer_pct": 1.0, "min_units": Decimal(1),
}  # fmt: skip


CALLS: dict[str, Callable[..., Call[Any]]] = {
    name: make_call
    for module in (calls, journal_calls, parameter_calls)
    for name, make_call in inspect.getmembers(module, inspect.isfunction)
    if make_call.__module__ == module.__name__ and not name.startswith("_")
}


def all_calls() -> dict[str, Call[Any]]:
    """Every call of the client with all of its parameters."""
    found = {}
    for name, make_call in CALLS.items():
        parameters = inspect.signature(make_call).parameters
        found[name] = make_call(**{name: ARGUMENTS[name] for name in parameters})
    return found


def test_the_client_calls_every_route_with_all_of_its_fields() -> None:
    """All but ``actor``, whom the key names, and the id by which services see their own writes."""
    by_route = {("GET" if c.reads else "POST", c.path): c for c in all_calls().values()}
    assert by_route.keys() == METHODS.keys()
    for route, call in by_route.items():
        method = METHODS[route]
        assert {*call.query, *(call.body or ())} == {*method.request_fields} - OF_SERVICES
        expected = "str" if method.response_body else method.response.rpartition(".")[2]
        expected = "bytes" if method.sends_a_file else expected
        assert call.response_type.__name__ == expected


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_has_a_method_for_each_call_with_its_parameters(kind: type) -> None:
    client = kind()
    # A stream has no single response: each client has its own method for it.
    for name in all_calls().keys() - {"events", "manifolds"}:
        expected = inspect.signature(CALLS[name]).parameters.keys()
        method = getattr(client, name)
        assert expected <= inspect.signature(method).parameters.keys()
        assert method.__doc__
        assert getattr(kind, name).__doc__


def test_decimals_stay_exact_and_an_empty_one_is_none() -> None:
    price = decode(
        Price,
        {
            "instrument": "EUR_USD",
            "time": "",
            "ts_ms": 1,
            "bid": "1.10000000000000000001",
            "ask": "",
            "tradeable": True,
        },
    )
    assert price.bid == Decimal("1.10000000000000000001")
    assert price.ask is None


def test_fields_named_like_keywords_and_unknown_fields() -> None:
    coeffs = decode(
        GetManifoldCoeffsResponse,
        {
            "instrument": "EUR_USD",
            "ts_ms": 1,
            "sigma_eff": 0.1,
            "lambda": 0.2,
            "price": "1.1",
            "history": [],
            "new": [1],
        },
    )
    assert coeffs.lambda_ == 0.2
    assert coeffs.metrics is None


def test_an_unknown_enum_value_is_unspecified() -> None:
    action = dict.fromkeys(
        ("instrument", "order_state", "client_order_id", "decision_id"), ""
    ) | dict.fromkeys(("current_units", "target_units", "ordered_units", "projected_margin"), "0")
    body = {"cycle_id": "c", "dry_run": True, "ts_ms": 1.0}
    body["actions"] = [{**action, "kind": "ACTION_KIND_NEW", "reasons": []}]
    assert decode(ReconcileResponse, body).actions[0].kind is ActionKind.UNSPECIFIED


def test_a_write_carries_the_key_and_its_body(stack: FakeStack, sep: Client) -> None:
    stack.prepare((200, SWITCH))
    assert sep.set_kill_switch(engaged=True, reason="lunch").actor == "alice"
    ((verb, path, body, key),) = stack.requests
    assert (verb, path, key) == ("POST", "/api/kill-switch", "Bearer " + "k" * 30)
    assert json.loads(body) == {"kill_switch": True, "reason": "lunch"}


def test_parameters_that_are_none_are_not_sent(stack: FakeStack, sep: Client) -> None:
    stack.prepare((200, {"instrument": "EUR_USD", "granularity": "M1", "candles": []}))
    sep.candles("EUR_USD", limit=5, since="2014-05-01T00:00:00Z")
    assert stack.requests[0][1] == (
        "/api/candles?instrument=EUR_USD&limit=5&from=2014-05-01T00%3A00%3A00Z"
    )


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "INVALID_ARGUMENT", BadRequestError),
        (400, "READ_ONLY", PreconditionError),
        (401, "WRONG_KEY", UnauthenticatedError),
        (403, "READ_KEY_ONLY", ForbiddenError),
        (404, "UNKNOWN_INSTRUMENT", UnknownInstrumentError),
        (404, "UNKNOWN_ROUTE", NotFoundError),
        (429, "RATE_LIMITED", RateLimitedError),
        (500, "INTERNAL", ApiError),
        (503, "STORE_UNAVAILABLE", StoreUnavailableError),
        (503, "SOMETHING_NEW", UnavailableError),
        (504, "UPSTREAM_TIMEOUT", UnavailableError),
    ],
)
def test_each_reason_is_an_exception_of_its_own(
    stack: FakeStack, status: int, reason: str, kind: type[ApiError]
) -> None:
    stack.prepare((status, error(reason, about="x")))
    with Client(stack.url, retries=0) as sep, pytest.raises(ApiError) as caught:
        sep.status()
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert (caught.value.metadata, caught.value.request_id) == ({"about": "x"}, "r1")


@pytest.mark.parametrize("first", [(0, b""), (503, error("PEER_UNAVAILABLE"))])
def test_a_read_is_retried(stack: FakeStack, sep: Client, first: tuple[int, Any]) -> None:
    stack.prepare(first, (200, SWITCH))
    assert sep.kill_switch().kill_switch is True
    assert len(stack.requests) == 2


@pytest.mark.parametrize("first", [(0, b""), (503, error("PEER_UNAVAILABLE"))])
def test_a_write_is_not_retried(stack: FakeStack, sep: Client, first: tuple[int, Any]) -> None:
    stack.prepare(first, (200, SWITCH))
    with pytest.raises(SepError):
        sep.set_kill_switch(engaged=True, reason="")
    assert len(stack.requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"kill_switch": true}'])
def test_a_response_that_is_not_of_this_api_is_an_error(
    stack: FakeStack, sep: Client, body: bytes
) -> None:
    stack.prepare((200, body))
    with pytest.raises(NoAnswerError):
        sep.kill_switch()


def test_health_returns_what_is_down_instead_of_raising(stack: FakeStack, sep: Client) -> None:
    body = error("NOT_SERVING")
    parts = [{"name": "guard", "state": "PART_STATE_UNREACHABLE"}]
    body["details"].append({"@type": "x/GetHealthResponse", "healthy": False, "parts": parts})
    stack.prepare((503, body))
    health = sep.health()
    assert not health.healthy
    assert health.parts[0].name == "guard"


def event(price: str) -> str:
    manifold = {"instrument": "EUR_USD", "ts_ms": 1, "price": price}
    return f"data: {json.dumps({'manifold': manifold})}\n\n"


HEARTBEAT = 'data: {"heartbeat":{"ts_ms":1}}\n\n'
BROKEN = 'data: {"error":{"reason":"STORE_UNAVAILABLE","message":"unavailable"}}\n\n'


def test_a_stream_skips_heartbeats_and_reconnects_after_an_error(
    stack: FakeStack, sep: Client
) -> None:
    stack.prepare((200, (event("1.1") + HEARTBEAT + BROKEN).encode()), (200, event("1.2").encode()))
    manifolds = sep.manifolds("EUR_USD")
    assert [next(manifolds).price for _ in range(2)] == [Decimal("1.1"), Decimal("1.2")]
    manifolds.close()  # type: ignore[attr-defined]


def test_a_stream_that_is_refused_raises_at_once(stack: FakeStack, sep: Client) -> None:
    stack.prepare((404, error("UNKNOWN_INSTRUMENT")))
    with pytest.raises(UnknownInstrumentError):
        next(sep.manifolds("XXX_YYY"))


def test_a_file_comes_in_pieces_and_an_error_in_place_of_it_is_raised(
    stack: FakeStack, sep: Client
) -> None:
    stack.prepare((200, b"id,units\r\n" * 50_000))
    assert b"".join(sep.export("trades", since=5)) == b"id,units\r\n" * 50_000
    assert stack.requests[-1][1] == "/api/journal/export?kind=trades&format=csv&from=5"
    stack.prepare((503, error("JOURNAL_UNAVAILABLE")))
    with pytest.raises(UnavailableError):
        list(sep.export())
    stack.prepare((0, b""))
    with pytest.raises(NoAnswerError):
        list(sep.export())


@pytest.fixture
async def asep(stack: FakeStack) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(stack.url, key="k" * 30) as client:
        yield client


async def test_the_asynchronous_client_does_the_same(stack: FakeStack, asep: AsyncClient) -> None:
    stack.prepare((503, error("PEER_UNAVAILABLE")), (200, SWITCH))
    assert (await asep.kill_switch()).reason == "lunch"
    stack.prepare((503, error("STORE_UNAVAILABLE")))
    with pytest.raises(StoreUnavailableError):
        await asep.set_kill_switch(engaged=True, reason="")
    stack.prepare((200, (event("1.1") + BROKEN).encode()), (200, event("1.2").encode()))
    prices = []
    async with asyncio.timeout(30):
        async for manifold in asep.manifolds():
            prices.append(manifold.price)
            if len(prices) == 2:
                break
    assert prices == [Decimal("1.1"), Decimal("1.2")]


def happened(number: int) -> str:
    values = {
        "id": str(number), "ts_ms": 1, "kind": "lock", "instrument": "", "reasons": [],
        "data": "{}",
    }  # fmt: skip
    return f"id: {number}\ndata: {json.dumps({'event': values})}\n\n"


def test_events_are_continued_after_the_last_one(stack: FakeStack, sep: Client) -> None:
    failed = 'data: {"error":{"reason":"JOURNAL_UNAVAILABLE","message":"away"}}\n\n'
    stack.prepare(
        (200, (happened(8) + failed).encode()), (503, error("JOURNAL_UNAVAILABLE")),
        (200, happened(9).encode()),
    )  # fmt: skip
    events = sep.events("7")
    assert [next(events).id for _ in range(2)] == ["8", "9"]
    events.close()  # type: ignore[attr-defined]
    asked = [path for _, path, _, _ in stack.requests]
    assert asked == [f"/api/events?last_event_id={i}" for i in (7, 8, 8)]


async def test_the_asynchronous_client_continues_events_too(
    stack: FakeStack, asep: AsyncClient
) -> None:
    stack.prepare((200, happened(1).encode()), (200, happened(2).encode()))
    found = []
    async with asyncio.timeout(30):
        async for event in asep.events("0"):
            found.append(event.id)
            if len(found) == 2:
                break
    assert found == ["1", "2"]


async def test_the_asynchronous_client_gets_files_too(stack: FakeStack, asep: AsyncClient) -> None:
    stack.prepare((200, b"PK"))
    assert b"".join([piece async for piece in asep.export("decisions", "xlsx")]) == b"PK"
    assert stack.requests[-1][1] == "/api/journal/export?kind=decisions&format=xlsx"
    stack.prepare((503, error("JOURNAL_UNAVAILABLE")))
    with pytest.raises(UnavailableError):
        await anext(asep.export())

"""The clients against a real HTTP server of the test's own: what is sent, what comes back."""

import asyncio
import importlib.util
import inspect
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sep_client import AsyncClient, Client, NoAnswerError, calls
from sep_client.calls import Call
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
from sep_protos import DESCRIPTOR_SET
from sep_stack.contract import methods_of, read_contract

GENERATE = Path(__file__).parents[1] / "generate.py"
SWITCH = {"kill_switch": True, "reason": "lunch", "actor": "alice", "ts_ms": 1.7e12}


@dataclass
class Stack:
    """Answers with what it is told, in turn; the last answer is repeated."""

    url: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    seen: list[tuple[str, str, bytes, str]] = field(default_factory=list)

    def will(self, *answers: tuple[int, Any]) -> None:
        self.answers = [
            (status, body if isinstance(body, bytes) else json.dumps(body).encode())
            for status, body in answers
        ]


@pytest.fixture
def stack() -> Iterator[Stack]:
    told = Stack()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            key = self.headers.get("authorization", "")
            told.seen.append((self.command, self.path, body, key))
            status, text = told.answers[0] if len(told.answers) == 1 else told.answers.pop(0)
            if status == 0:  # hangs up
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.send_header("x-request-id", "r1")
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sep(stack: Stack) -> Iterator[Client]:
    with Client(stack.url, key="k" * 30 + "\n") as client:
        yield client


def error(reason: str, **metadata: str) -> dict[str, Any]:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "sep",
        "metadata": metadata,
    }
    return {"code": 1, "message": "no", "details": [info]}


def test_models_are_what_the_contract_says() -> None:
    """Made with ``python clients/python/generate.py``."""
    spec = importlib.util.spec_from_file_location("generate", GENERATE)
    assert spec
    assert spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.MODELS.read_text() == generate.models()


METHODS = {(m.verb, m.route): m for m in methods_of(read_contract(DESCRIPTOR_SET)) if m.route}
ARGUMENTS: dict[str, Any] = {
    "instrument": "EUR_USD", "instruments": ["EUR_USD"], "granularity": "M1", "limit": 1,
    "since": 1, "until": 2, "count": 1, "dry_run": True, "engaged": True, "reason": "lunch",
    "drain_id": "0" * 32, "buffer_pct": 1.0, "min_units": Decimal(1),
}  # fmt: skip


def described() -> dict[str, Call[Any]]:
    """Every call of the client with all of its parameters."""
    found = {}
    for name, describe in inspect.getmembers(calls, inspect.isfunction):
        if describe.__module__ == calls.__name__ and not name.startswith("_"):
            wanted = inspect.signature(describe).parameters
            found[name] = describe(**{parameter: ARGUMENTS[parameter] for parameter in wanted})
    return found


def test_the_client_calls_every_route_with_all_that_it_takes() -> None:
    """Who sets the kill switch is told by the key, so that alone is not asked for."""
    by_route = {("GET" if c.reads else "POST", c.path): c for c in described().values()}
    assert by_route.keys() == METHODS.keys()
    for route, call in by_route.items():
        method = METHODS[route]
        assert {*call.query, *(call.body or ())} == {*method.takes} - {"actor"}
        answer = "str" if method.response_body else method.response.rpartition(".")[2]
        assert call.answer.__name__ == answer


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_has_a_method_for_each_call_with_its_parameters(kind: type) -> None:
    client = kind()
    # The stream has no answer to wait for: each client goes through it in its own way.
    for name in described().keys() - {"manifolds"}:
        wanted = inspect.signature(getattr(calls, name)).parameters.keys()
        method = getattr(client, name)
        assert wanted <= inspect.signature(method).parameters.keys()
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


def test_fields_named_as_keywords_and_fields_not_known_yet() -> None:
    coeffs = decode(
        GetManifoldCoeffsResponse,
        {
            "instrument": "EUR_USD",
            "ts_ms": 1,
            "sigma_eff": 0.1,
            "lambda": 0.2,
            "price": "1.1",
            "new": [1],
        },
    )
    assert coeffs.lambda_ == 0.2
    assert coeffs.metrics is None


def test_an_enum_value_not_known_yet_is_unspecified() -> None:
    action = dict.fromkeys(
        ("instrument", "order_state", "client_order_id", "decision_id"), ""
    ) | dict.fromkeys(("current_units", "target_units", "ordered_units", "projected_margin"), "0")
    body = {"cycle_id": "c", "dry_run": True, "ts_ms": 1.0}
    body["actions"] = [{**action, "kind": "ACTION_KIND_NEW", "reasons": []}]
    assert decode(ReconcileResponse, body).actions[0].kind is ActionKind.UNSPECIFIED


def test_a_write_carries_the_key_and_its_body(stack: Stack, sep: Client) -> None:
    stack.will((200, SWITCH))
    assert sep.set_kill_switch(engaged=True, reason="lunch").actor == "alice"
    ((verb, path, body, key),) = stack.seen
    assert (verb, path, key) == ("POST", "/api/kill-switch", "Bearer " + "k" * 30)
    assert json.loads(body) == {"kill_switch": True, "reason": "lunch"}


def test_parameters_that_are_not_given_are_not_sent(stack: Stack, sep: Client) -> None:
    stack.will((200, {"instrument": "EUR_USD", "granularity": "M1", "candles": []}))
    sep.candles("EUR_USD", limit=5, since="2014-05-01T00:00:00Z")
    assert stack.seen[0][1] == (
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
    stack: Stack, status: int, reason: str, kind: type[ApiError]
) -> None:
    stack.will((status, error(reason, about="x")))
    with Client(stack.url, retries=0) as sep, pytest.raises(ApiError) as caught:
        sep.status()
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert (caught.value.metadata, caught.value.request_id) == ({"about": "x"}, "r1")


@pytest.mark.parametrize("first", [(0, b""), (503, error("PEER_UNAVAILABLE"))])
def test_a_read_is_tried_again(stack: Stack, sep: Client, first: tuple[int, Any]) -> None:
    stack.will(first, (200, SWITCH))
    assert sep.kill_switch().kill_switch is True
    assert len(stack.seen) == 2


@pytest.mark.parametrize("first", [(0, b""), (503, error("PEER_UNAVAILABLE"))])
def test_a_write_never_is(stack: Stack, sep: Client, first: tuple[int, Any]) -> None:
    stack.will(first, (200, SWITCH))
    with pytest.raises(SepError):
        sep.set_kill_switch(engaged=True, reason="")
    assert len(stack.seen) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"kill_switch": true}'])
def test_what_is_no_answer_of_this_api_is_an_error(stack: Stack, sep: Client, body: bytes) -> None:
    stack.will((200, body))
    with pytest.raises(NoAnswerError):
        sep.kill_switch()


def test_health_tells_what_is_down_instead_of_raising(stack: Stack, sep: Client) -> None:
    body = error("NOT_SERVING")
    parts = [{"name": "guard", "state": "PART_STATE_UNREACHABLE"}]
    body["details"].append({"@type": "x/GetHealthResponse", "healthy": False, "parts": parts})
    stack.will((503, body))
    health = sep.health()
    assert not health.healthy
    assert health.parts[0].name == "guard"


def event(price: str) -> str:
    manifold = {"instrument": "EUR_USD", "ts_ms": 1, "price": price}
    return f"data: {json.dumps({'manifold': manifold})}\n\n"


BEAT = 'data: {"heartbeat":{"ts_ms":1}}\n\n'
BROKEN = 'data: {"error":{"reason":"STORE_UNAVAILABLE","message":"away"}}\n\n'


def test_a_stream_skips_heartbeats_and_comes_back_after_an_error(stack: Stack, sep: Client) -> None:
    stack.will((200, (event("1.1") + BEAT + BROKEN).encode()), (200, event("1.2").encode()))
    manifolds = sep.manifolds("EUR_USD")
    assert [next(manifolds).price for _ in range(2)] == [Decimal("1.1"), Decimal("1.2")]
    manifolds.close()  # type: ignore[attr-defined]


def test_a_stream_that_may_not_be_read_ends_at_once(stack: Stack, sep: Client) -> None:
    stack.will((404, error("UNKNOWN_INSTRUMENT")))
    with pytest.raises(UnknownInstrumentError):
        next(sep.manifolds("XXX_YYY"))


@pytest.fixture
async def asep(stack: Stack) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(stack.url, key="k" * 30) as client:
        yield client


async def test_the_asynchronous_client_does_the_same(stack: Stack, asep: AsyncClient) -> None:
    stack.will((503, error("PEER_UNAVAILABLE")), (200, SWITCH))
    assert (await asep.kill_switch()).reason == "lunch"
    stack.will((503, error("STORE_UNAVAILABLE")))
    with pytest.raises(StoreUnavailableError):
        await asep.set_kill_switch(engaged=True, reason="")
    stack.will((200, (event("1.1") + BROKEN).encode()), (200, event("1.2").encode()))
    prices = []
    async with asyncio.timeout(10):
        async for manifold in asep.manifolds():
            prices.append(manifold.price)
            if len(prices) == 2:
                break
    assert prices == [Decimal("1.1"), Decimal("1.2")]

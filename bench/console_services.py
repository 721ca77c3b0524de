"""All services of a stack in one process, with canned answers, for measuring the console.

``python -m bench.console_services PORT INSTRUMENTS RATE`` answers every call at once, sends
each instrument's live manifold at that rate, and one decision a second as an event. The figures of
the console and of Envoy are therefore without what the services cost.
"""

import asyncio
import itertools
import math
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import json_format, symbol_database
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from sep_contract import Method, read_contract
from sep_kit.clock import SystemClock, now_ms

from tests.console import canned, canned_answers

Json = dict[str, Any]
_CLOCK = SystemClock()


def names(count: int) -> tuple[str, ...]:
    """Names of so many instruments, the eight of the demo first."""
    made = (f"{a}_{b}" for a, b in itertools.permutations(("CHF", "DKK", "HUF", "MXN", "NOK",
            "PLN", "SEK", "SGD", "TRY", "ZAR"), 2))  # fmt: skip
    return (*canned_answers.PAIRS, *made)[:count]


# Its stubs are generic; the class itself is not.
class _Canned(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    def __init__(self, instruments: tuple[str, ...], rate: float) -> None:
        self._methods = {m.path: m for m in read_contract().methods.values() if m.route}
        self._instruments = instruments
        self._rate = rate
        canned_answers.PAIRS = instruments  # type: ignore[assignment]
        canned_answers.NOW_MS = now_ms(_CLOCK)
        self._answers = canned_answers.answers()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = self._methods.get(handler_call_details.method)
        if method is None:
            return None
        request, answer = _message(method.request), _message(method.response)
        if not method.streams:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, answer), request.FromString, answer.SerializeToString
            )
        events = self._happened if method.route == "/api/events" else self._manifolds
        return grpc.unary_stream_rpc_method_handler(
            _stream(events, answer), request.FromString, answer.SerializeToString
        )

    def _unary(
        self, method: Method, answer: type[Message]
    ) -> Callable[[Message, Any], Awaitable[Message]]:
        async def respond(request: Message, context: Any) -> Message:
            found = self._answers.get(f"{method.verb} {method.route}")
            if found is None:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not canned")
            query = json_format.MessageToDict(request, preserving_proto_field_name=True)
            content: Json = found(query) if callable(found) else dict(found or {})
            if method.route == "/api/status":
                content = {**content, "ts_ms": now_ms(_CLOCK)}
            return json_format.ParseDict(content, answer())

        return respond

    async def _manifolds(self) -> AsyncIterator[Json]:
        for number in itertools.count():
            began = time.monotonic()
            now = now_ms(_CLOCK)
            wave = 0.5 + 0.3 * math.sin(now / 20_000)
            metrics = {"coherence": wave, "stability": 1 - wave, "entropy": 0.5, "rupture": 0.2}
            for name in self._instruments:
                yield {"manifold": {
                    "instrument": name, "ts_ms": now, "metrics": metrics,
                    "price": f"1.0{8000 + number % 100}", "coeffs": {"sigma_eff": 0.0001},
                }}  # fmt: skip
            await asyncio.sleep(max(0.0, 1 / self._rate - (time.monotonic() - began)))

    async def _happened(self) -> AsyncIterator[Json]:
        yield {"heartbeat": {"ts_ms": now_ms(_CLOCK)}}
        for number in itertools.count(1):
            await asyncio.sleep(1)
            event = {"id": str(number), "kind": "decision", "data": "{}"}
            yield {"event": {**event, "ts_ms": now_ms(_CLOCK), "instrument": "EUR_USD"}}


def _stream(
    events: Callable[[], AsyncIterator[Json]], answer: type[Message]
) -> Callable[[Message, Any], AsyncIterator[Message]]:
    async def respond(_: Message, __: Any) -> AsyncIterator[Message]:
        async for content in events():
            yield json_format.ParseDict(content, answer())

    return respond


def _message(name: str) -> type[Message]:
    return symbol_database.Default().GetSymbol(name)


async def serve(port: int, instruments: int, rate: float) -> None:
    """Serve until the process is ended."""
    canned.import_messages()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Canned(names(instruments), rate),))
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    serving = health_pb2.HealthCheckResponse.SERVING
    for name in ("", *(service.name for service in read_contract().services)):
        await health.set(name, serving)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    _port, _instruments, _rate = sys.argv[1:]
    asyncio.run(serve(int(_port), int(_instruments), float(_rate)))

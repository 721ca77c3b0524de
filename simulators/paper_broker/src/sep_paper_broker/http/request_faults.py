"""Faults that hit a request as a whole, played out."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sep_paper_broker.faults.registry import Fault, FaultKind
from sep_paper_broker.http.connections import Connections
from sep_paper_broker.http.errors import ApiError

_MESSAGES = {
    429: "Too many requests.",
    500: "The server was unable to process the request.",
    503: "The server is unavailable.",
}


async def play(
    fault: Fault,
    app: ASGIApp,
    scope: Scope,
    channel: tuple[Receive, Send],
    connections: Connections,
) -> None:
    """Answer a request the way a fault wants it."""
    receive, send = channel
    match fault.kind:
        case FaultKind.LATENCY:
            await asyncio.sleep(fault.seconds)
            await app(scope, receive, send)
        case FaultKind.STATUS:
            message = _MESSAGES.get(fault.status, "The request could not be processed.")
            await ApiError(fault.status, message).answer()(scope, receive, send)
        case FaultKind.RESET_BEFORE:
            connections.reset(scope)
        case FaultKind.RESET_AFTER:
            await app(scope, receive, _swallow)
            connections.reset(scope)
        case _:
            # A half-open socket: the request was taken, and no answer ever comes.
            while (await receive())["type"] != "http.disconnect":
                pass


async def _swallow(message: Message) -> None:
    """An answer that never leaves."""

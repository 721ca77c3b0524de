"""Faults of a whole request: delays, error statuses, resets, hangs."""

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


async def apply_request_fault(
    fault: Fault,
    app: ASGIApp,
    scope: Scope,
    channel: tuple[Receive, Send],
    connections: Connections,
) -> None:
    """Handle a request under a fault."""
    receive, send = channel
    match fault.kind:
        case FaultKind.LATENCY:
            await asyncio.sleep(fault.seconds)
            await app(scope, receive, send)
        case FaultKind.STATUS:
            message = _MESSAGES.get(fault.status, "The request could not be processed.")
            await ApiError(fault.status, message).response()(scope, receive, send)
        case FaultKind.RESET_BEFORE:
            connections.reset(scope)
        case FaultKind.RESET_AFTER:
            await app(scope, receive, _discard)
            connections.reset(scope)
        case _:
            # Read the request and send no response until the client disconnects.
            while (await receive())["type"] != "http.disconnect":
                pass


async def _discard(message: Message) -> None:
    """Discard a message of the response."""

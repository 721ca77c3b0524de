"""Faults of a whole request: delays, error statuses, resets, hangs."""

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sep_paper_broker.faults.corruption import corrupt_members
from sep_paper_broker.faults.kinds import Fault, FaultKind
from sep_paper_broker.http.connections import Connections
from sep_paper_broker.http.errors import ApiError

_MESSAGES = {
    401: "Insufficient authorization to perform request.",
    403: "The client is not permitted to access the specified resource.",
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


async def send_with_odd_members(
    faults: tuple[Fault, ...], app: ASGIApp, scope: Scope, channel: tuple[Receive, Send]
) -> None:
    """Send the response of the application with odd members in its lists."""
    receive, send = channel
    start: Message = {}
    body = bytearray()

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, collect)
    changed = corrupt_members(bytes(body), faults)
    MutableHeaders(scope=start)["content-length"] = str(len(changed))
    await send(start)
    await send({"type": "http.response.body", "body": changed})


async def _discard(message: Message) -> None:
    """Discard a message of the response."""

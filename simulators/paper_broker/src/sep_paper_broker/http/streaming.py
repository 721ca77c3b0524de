"""Responses that stream until the client or the broker closes them, with stream faults."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

from sep_paper_broker.faults.kinds import FaultKind
from sep_paper_broker.http.context import RouteContext

Lines = AsyncIterator[list[bytes]]

_FOREVER_S = 1e9


def streaming_response(context: RouteContext, request: Request, lines: Lines) -> StreamingResponse:
    """A streaming response.

    Args:
        lines: batches of lines to send, one per poll; a batch may be empty.
    """
    chunks = _chunks(context, request, lines)
    return StreamingResponse(chunks, media_type="application/octet-stream")


async def _chunks(context: RouteContext, request: Request, lines: Lines) -> AsyncIterator[bytes]:
    async for batch in lines:
        match context.faults.take_stream_fault(request.url.path):
            case FaultKind.SILENT_STREAM:
                # The lines are lost.
                continue
            case FaultKind.CUT_STREAM:
                context.connections.reset(request.scope)
                return
            case FaultKind.HALF_OPEN_STREAM:
                # Send nothing more and leave the connection open.
                await context.broker.pause(_FOREVER_S)
                return
        if batch:
            yield b"".join(line + b"\n" for line in batch)

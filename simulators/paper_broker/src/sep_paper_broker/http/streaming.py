"""A stream that goes on until it is cut, and what faults do to it on the way."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

from sep_paper_broker.faults.registry import FaultKind
from sep_paper_broker.http.context import RouteContext

Lines = AsyncIterator[list[bytes]]

_FOREVER_S = 1e9


def streaming_response(context: RouteContext, request: Request, lines: Lines) -> StreamingResponse:
    """The answer to a request for a stream.

    Args:
        lines: what there is to send, each time the stream looks; often nothing.
    """
    chunks = _chunks(context, request, lines)
    return StreamingResponse(chunks, media_type="application/octet-stream")


async def _chunks(context: RouteContext, request: Request, lines: Lines) -> AsyncIterator[bytes]:
    async for some in lines:
        match context.faults.take_stream_fault(request.url.path):
            case FaultKind.SILENT_STREAM:
                # What it would have said is lost.
                continue
            case FaultKind.CUT_STREAM:
                context.connections.reset(request.scope)
                return
            case FaultKind.HALF_OPEN_STREAM:
                # The other end is gone, and nobody says so.
                await context.broker.pause(_FOREVER_S)
                return
        if some:
            yield b"".join(line + b"\n" for line in some)

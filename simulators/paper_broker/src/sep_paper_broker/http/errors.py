"""Refusals, and how they look on the wire."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sep_paper_broker.http.responses import JsonResponse


class ApiError(Exception):
    """A request that gets an error answer.

    Args:
        status: HTTP status.
        message: for people.
        code: the broker's stable code, where it has one.
        more: further fields of the answer, such as a reject transaction.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.more = dict(more or {})

    def answer(self) -> Response:
        """The answer: ``errorMessage``, ``errorCode`` where there is one, and the rest."""
        body = {"errorMessage": self.message, **self.more}
        if self.code is not None:
            body["errorCode"] = self.code
        return JsonResponse(body, self.status)


def invalid(name: str, detail: str = "") -> ApiError:
    """The refusal of a malformed parameter or field."""
    return ApiError(400, f"Invalid value specified for '{name}'{'. ' if detail else ''}{detail}")


async def handle_api_error(_: Request, error: Exception) -> Response:
    """Starlette's handler for ``ApiError``."""
    if not isinstance(error, ApiError):
        raise error
    return error.answer()


async def handle_http_error(_: Request, error: Exception) -> Response:
    """Starlette's handler for an unknown path (404) or a wrong method (405)."""
    status = getattr(error, "status_code", 500)
    message = {
        404: "The specified resource does not exist.",
        405: "The specified method is not allowed for this resource.",
    }.get(status, "The request could not be processed.")
    return ApiError(status, message).answer()


async def handle_unexpected_error(_: Request, __: Exception) -> Response:
    """Starlette's handler for anything else; its text stays inside."""
    return ApiError(500, "The server was unable to process the request.").answer()

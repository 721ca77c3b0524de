"""API errors and their responses."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sep_paper_broker.http.responses import JsonResponse


class ApiError(Exception):
    """A request failed with an error response.

    Args:
        status: HTTP status.
        message: text for people.
        code: the broker's error code, if there is one.
        more: further fields of the response, such as a reject transaction.
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

    def response(self) -> Response:
        """The response with ``errorMessage``, ``errorCode`` if there is one, and further fields."""
        body = {"errorMessage": self.message, **self.more}
        if self.code is not None:
            body["errorCode"] = self.code
        return JsonResponse(body, self.status)


def invalid(name: str, detail: str = "") -> ApiError:
    """The error of a malformed parameter or field."""
    return ApiError(400, f"Invalid value specified for '{name}'{'. ' if detail else ''}{detail}")


async def handle_api_error(_: Request, error: Exception) -> Response:
    """Exception handler for ``ApiError``."""
    if not isinstance(error, ApiError):
        raise error
    return error.response()


async def handle_http_error(_: Request, error: Exception) -> Response:
    """Exception handler for an unknown path (404) or a wrong method (405)."""
    status = getattr(error, "status_code", 500)
    message = {
        404: "The specified resource does not exist.",
        405: "The specified method is not allowed for this resource.",
    }.get(status, "The request could not be processed.")
    return ApiError(status, message).response()


async def handle_unexpected_error(_: Request, __: Exception) -> Response:
    """Exception handler for any other error; its text is withheld."""
    return ApiError(500, "The server was unable to process the request.").response()

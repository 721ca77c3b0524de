"""The exceptions, by the stable reason of the error.

::

    SepError
    ├── NoAnswerError             no response, or one that is not of this API
    └── ApiError                  any reason that is not listed here
        ├── BadRequestError       INVALID_ARGUMENT, BAD_REQUEST, REQUEST_TOO_LARGE
        ├── PreconditionError     READ_ONLY, LIVE_TRADING_DISABLED, KILL_SWITCH_RELEASED
        ├── UnauthenticatedError  MISSING_KEY, WRONG_KEY
        ├── ForbiddenError        READ_KEY_ONLY, INTERNAL_ONLY
        ├── NotFoundError         UNKNOWN_ROUTE, NOT_FOUND
        │   └── UnknownInstrumentError
        ├── RateLimitedError      RATE_LIMITED
        └── UnavailableError      every other 503 and 504
            ├── NotServingError
            ├── NotTheWriterError
            ├── StoreUnavailableError
            └── BrokerUnavailableError
"""

from collections.abc import Mapping, Sequence
from typing import Any


class SepError(Exception):
    """Base of all errors of this client."""


class NoAnswerError(SepError):
    """No response, or one that is not of this API."""


class ApiError(SepError):
    """An error response of the stack.

    Args:
        status: HTTP status.
        reason: stable reason code.
        metadata: facts about the error, such as the instrument.
        details: further details of the error, as JSON objects.
        request_id: id of the call in the stack's logs.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        metadata: Mapping[str, str],
        details: Sequence[Mapping[str, Any]],
        request_id: str,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.metadata = metadata
        self.details = details
        self.request_id = request_id


class BadRequestError(ApiError):
    """The request is invalid in every state of the stack."""


class PreconditionError(ApiError):
    """The state of the stack does not allow the call."""


class UnauthenticatedError(ApiError):
    """A key is missing or wrong."""


class ForbiddenError(ApiError):
    """The key does not allow this call."""


class NotFoundError(ApiError):
    """The call names something that does not exist."""


class UnknownInstrumentError(NotFoundError):
    """The instrument is not one of the stack's."""


class RateLimitedError(ApiError):
    """Too many calls; retry in a few seconds."""


class UnavailableError(ApiError):
    """A dependency is unavailable; the same call may succeed later."""


class NotServingError(UnavailableError):
    """A part of the stack does not serve."""


class NotTheWriterError(UnavailableError):
    """This replica does not hold the writer lease."""


class StoreUnavailableError(UnavailableError):
    """The store does not respond."""


class BrokerUnavailableError(UnavailableError):
    """The broker does not respond."""


_BY_REASON: Mapping[str, type[ApiError]] = {
    "READ_ONLY": PreconditionError,
    "LIVE_TRADING_DISABLED": PreconditionError,
    "KILL_SWITCH_RELEASED": PreconditionError,
    "UNKNOWN_INSTRUMENT": UnknownInstrumentError,
    "RATE_LIMITED": RateLimitedError,
    "NOT_SERVING": NotServingError,
    "NOT_THE_WRITER": NotTheWriterError,
    "STORE_UNAVAILABLE": StoreUnavailableError,
    "BROKER_UNAVAILABLE": BrokerUnavailableError,
}
_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequestError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    405: NotFoundError,
    413: BadRequestError,
    429: RateLimitedError,
    503: UnavailableError,
    504: UnavailableError,
}


def error_of(status: int, body: Any, request_id: str) -> SepError:
    """The exception for an error response, by its reason, else by its status."""
    try:
        info = body["details"][0]
        reason = str(info["reason"])
        kind = _BY_REASON.get(reason) or _BY_STATUS.get(status, ApiError)
        return kind(
            status,
            reason,
            str(body["message"]),
            dict(info.get("metadata", {})),
            tuple(body["details"][1:]),
            request_id,
        )
    except (TypeError, KeyError, IndexError):
        return NoAnswerError(f"status {status} without an error of this API")

"""Errors of a request to the broker.

::

    BrokerUnavailableError (sep_kit)
    ├── NotSentError                the broker did not receive the request
    │   └── CircuitOpenError        it was not sent, because the broker failed recently
    ├── NoResponseError             it may have been executed; no valid response came back
    └── BrokerRefusedError (ports)  the broker responded with 4xx
        ├── RefusedError            with status and body
        │   └── AccessDeniedError   401 or 403, or there is no such account
        └── BrokerAccessError (ports), a base of AccessDeniedError
"""

from typing import Any

from sep_kit.errors import BrokerUnavailableError

from sep_gateway.ports import BrokerAccessError, BrokerRefusedError


class NotSentError(BrokerUnavailableError):
    """The request was not sent: there was no connection."""


class CircuitOpenError(NotSentError):
    """The circuit is open: the broker failed recently, and the next probe is not due yet."""


class NoResponseError(BrokerUnavailableError):
    """The request may have been executed: timeout, broken connection, 5xx, invalid body.

    ``words`` are the broker's own, empty if it sent none.
    """

    def __init__(
        self, message: str, retry_after_s: float | None = None, *, words: str = ""
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.words = words


class RefusedError(BrokerRefusedError):
    """The broker responded with 4xx and did not execute the request.

    ``error_code`` is the broker's ``errorCode``, empty if absent; ``body`` the whole response;
    ``words`` the broker's own.
    """

    def __init__(
        self,
        message: str,
        status: int,
        body: dict[str, Any],
        retry_after_s: float | None = None,
        *,
        words: str = "",
    ) -> None:
        super().__init__(message, status=str(status))
        self.status = status
        self.error_code = str(body.get("errorCode", ""))
        self.body = body
        self.retry_after_s = retry_after_s
        self.words = words


class AccessDeniedError(RefusedError, BrokerAccessError):
    """401 or 403: the token does not give access; or there is no such account."""

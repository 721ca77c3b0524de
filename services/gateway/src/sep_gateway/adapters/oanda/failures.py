"""How a request to the broker can fail.

::

    BrokerUnavailableError (sep_kit)
    ├── NotSentError        the broker certainly did not get the request
    │   └── CircuitOpenError    nor was it tried: the broker has been dead lately
    ├── NoAnswerError       it may have; nothing legible came back
    └── RefusedError        it answered with an error of its own
"""

from typing import Any

from sep_kit.errors import BrokerUnavailableError


class NotSentError(BrokerUnavailableError):
    """The request never left: there was no connection."""


class CircuitOpenError(NotSentError):
    """The broker has been dead lately, and the next try is not due yet."""


class NoAnswerError(BrokerUnavailableError):
    """The request may have been carried out: timeout, broken connection, 5xx, illegible."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedError(BrokerUnavailableError):
    """The broker answered 4xx and did not carry the request out.

    ``error_code`` is the broker's own, empty where it gave none; ``body`` its whole answer.
    """

    def __init__(
        self, message: str, status: int, body: dict[str, Any], retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, status=str(status))
        self.status = status
        self.error_code = str(body.get("errorCode", ""))
        self.body = body
        self.retry_after_s = retry_after_s

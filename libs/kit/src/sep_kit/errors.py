"""The error tree. Each class has a gRPC code and a stable reason that clients may rely on.

::

    SepError
    ├── InvalidArgumentError      INVALID_ARGUMENT     INVALID_ARGUMENT
    ├── UnauthenticatedError      UNAUTHENTICATED      MISSING_KEY
    │   └── WrongKeyError                              WRONG_KEY
    ├── PermissionDeniedError     PERMISSION_DENIED    READ_KEY_ONLY
    │   ├── InternalOnlyError                          INTERNAL_ONLY
    │   ├── CallerNotAllowedError                      CALLER_NOT_ALLOWED
    │   └── ForeignOriginError                         FOREIGN_ORIGIN
    ├── RateLimitedError          RESOURCE_EXHAUSTED   RATE_LIMITED
    │   └── TooManyStreamsError                        TOO_MANY_STREAMS
    ├── NotFoundError             NOT_FOUND            NOT_FOUND
    │   └── UnknownInstrumentError                     UNKNOWN_INSTRUMENT
    ├── PreconditionError         FAILED_PRECONDITION  PRECONDITION_FAILED
    │   ├── ReadOnlyError                              READ_ONLY
    │   ├── LiveTradingDisabledError                   LIVE_TRADING_DISABLED
    │   ├── KillSwitchEngagedError                     KILL_SWITCH
    │   ├── StaleTokenError                            STALE_TOKEN
    │   ├── OrderTooOldError                           ORDER_TOO_OLD
    │   ├── AccountKindError                           ACCOUNT_KIND
    │   └── ForeignTradeError                          FOREIGN_TRADE
    ├── UnavailableError          UNAVAILABLE          UNAVAILABLE
    │   ├── StoreUnavailableError                      STORE_UNAVAILABLE
    │   ├── BrokerUnavailableError                     BROKER_UNAVAILABLE
    │   ├── JournalUnavailableError                    JOURNAL_UNAVAILABLE
    │   ├── StaleViewError                             VIEW_STALE
    │   ├── PeerUnavailableError                       PEER_UNAVAILABLE
    │   ├── NotTheWriterError                          NOT_THE_WRITER
    │   ├── NotReadyError                              NOT_READY
    │   └── NotServingError                            NOT_SERVING
    ├── TooSlowError              DEADLINE_EXCEEDED    UPSTREAM_TIMEOUT
    └── CorruptRecordError        DATA_LOSS            CORRUPT_RECORD

A failed call to another service raises ``RemoteError`` with the code and reason of that service,
so an error crosses any number of services unchanged.
"""

from collections.abc import Sequence
from typing import ClassVar

import grpc
from google.protobuf.message import Message


class SepError(Exception):
    """Base of all errors that are returned to callers.

    Args:
        message: for people; says what was wrong and what is allowed.
        metadata: for programs; returned to the caller.
    """

    code: grpc.StatusCode = grpc.StatusCode.INTERNAL
    reason: str = "INTERNAL"
    details: Sequence[Message] = ()

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InvalidArgumentError(SepError):
    """The request is invalid, whatever the state of the system."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason: str = "INVALID_ARGUMENT"


class UnauthenticatedError(SepError):
    """The call needs a key and carries none."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason: str = "MISSING_KEY"


class WrongKeyError(UnauthenticatedError):
    """The call carries an unknown key."""

    reason = "WRONG_KEY"


class PermissionDeniedError(SepError):
    """The key only reads, and the method writes."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason: str = "READ_KEY_ONLY"


class InternalOnlyError(PermissionDeniedError):
    """Only services of the stack may call the method."""

    reason = "INTERNAL_ONLY"


class CallerNotAllowedError(PermissionDeniedError):
    """The caller is not one of the services that may call the method."""

    reason = "CALLER_NOT_ALLOWED"


class ForeignOriginError(PermissionDeniedError):
    """A web page of another origin sent the call, and no key is needed here."""

    reason = "FOREIGN_ORIGIN"


class RateLimitedError(SepError):
    """The caller made too many calls; the same call succeeds later."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: str = "RATE_LIMITED"


class TooManyStreamsError(RateLimitedError):
    """The caller has too many streams open."""

    reason = "TOO_MANY_STREAMS"


class NotFoundError(SepError):
    """The named resource does not exist."""

    code = grpc.StatusCode.NOT_FOUND
    reason: str = "NOT_FOUND"


class UnknownInstrumentError(NotFoundError):
    """The instrument is not one of the configured ones."""

    reason = "UNKNOWN_INSTRUMENT"

    def __init__(self, instrument: str, known: Sequence[str]) -> None:
        super().__init__(
            f"instrument {instrument!r} is unknown; known are {', '.join(sorted(known))}",
            instrument=instrument,
        )


class PreconditionError(SepError):
    """The request is valid, but the state of the system forbids it."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason: str = "PRECONDITION_FAILED"


class ReadOnlyError(PreconditionError):
    """READ_ONLY=1 refuses every order."""

    reason = "READ_ONLY"


class LiveTradingDisabledError(PreconditionError):
    """A live account needs LIVE_TRADING_ENABLED=1 as well."""

    reason = "LIVE_TRADING_DISABLED"


class KillSwitchEngagedError(PreconditionError):
    """The kill switch refuses every order that could open a position."""

    reason = "KILL_SWITCH"


class StaleTokenError(PreconditionError):
    """The order comes from a writer that another one has replaced."""

    reason = "STALE_TOKEN"


class OrderTooOldError(PreconditionError):
    """The entry was decided too long ago."""

    reason = "ORDER_TOO_OLD"


class AccountKindError(PreconditionError):
    """The stack can't trade an account of this kind."""

    reason = "ACCOUNT_KIND"


class ForeignTradeError(PreconditionError):
    """The trade was not opened by this stack."""

    reason = "FOREIGN_TRADE"


class UnavailableError(SepError):
    """A dependency of the request is unavailable; a retry may succeed."""

    code = grpc.StatusCode.UNAVAILABLE
    reason: str = "UNAVAILABLE"


class StoreUnavailableError(UnavailableError):
    """Valkey does not answer."""

    reason = "STORE_UNAVAILABLE"


class BrokerUnavailableError(UnavailableError):
    """The broker does not answer, or answers with a server error."""

    reason = "BROKER_UNAVAILABLE"


class JournalUnavailableError(UnavailableError):
    """The journal's database does not answer."""

    reason = "JOURNAL_UNAVAILABLE"


class StaleViewError(UnavailableError):
    """The broker's view of the account does not include a transaction that is known."""

    reason = "VIEW_STALE"


class PeerUnavailableError(UnavailableError):
    """Another service does not answer."""

    reason = "PEER_UNAVAILABLE"


class NotTheWriterError(UnavailableError):
    """This replica does not hold the writer lease."""

    reason = "NOT_THE_WRITER"


class NotReadyError(UnavailableError):
    """The requested data does not exist yet."""

    reason = "NOT_READY"


class NotServingError(UnavailableError):
    """A part of the stack is not serving."""

    reason = "NOT_SERVING"


class TooSlowError(SepError):
    """The call did not finish before its deadline; the proxy returns the same reason."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    reason = "UPSTREAM_TIMEOUT"


class CorruptRecordError(SepError):
    """A stored record does not match its schema, and is not used."""

    code = grpc.StatusCode.DATA_LOSS
    reason = "CORRUPT_RECORD"


class RemoteError(SepError):
    """An error returned by another service, with that service's code and reason."""

    domain: ClassVar[str] = "sep"

    def __init__(
        self, code: grpc.StatusCode, reason: str, message: str, metadata: dict[str, str]
    ) -> None:
        super().__init__(message, **metadata)
        self.code = code
        self.reason = reason

"""What belongs to the call that is being answered: its id, its deadline, who called."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass

import structlog

from sep_kit.grpc.keys import Caller

REQUEST_ID = "x-request-id"
_LONGEST_ID = 100


@dataclass(frozen=True, slots=True)
class CallScope:
    """One call.

    Args:
        request_id: the same in every service that the call reaches, and in their logs.
        ends_at: when the caller stops waiting, by the event loop's clock; None for never.
        caller: whose key it carried.
    """

    request_id: str
    ends_at: float | None = None
    caller: Caller | None = None

    def seconds_left(self) -> float | None:
        """How long the caller still waits; None for ever."""
        if self.ends_at is None:
            return None
        return max(0.0, self.ends_at - asyncio.get_running_loop().time())


_current: ContextVar[CallScope | None] = ContextVar("sep_call", default=None)


def enter(scope: CallScope) -> None:
    """Make this the call of the current task and of those it starts."""
    _current.set(scope)
    structlog.contextvars.bind_contextvars(request_id=scope.request_id)


def current() -> CallScope | None:
    """The call that is being answered; None in a loop's own work."""
    return _current.get()


def caller_name() -> str:
    """Name of the caller's key; empty without one."""
    scope = _current.get()
    return scope.caller.name if scope and scope.caller else ""


def clean_request_id(given: str | None) -> str:
    """The id that a caller gave, if it may stand in a log line; else an empty one."""
    if given and len(given) <= _LONGEST_ID and given.isascii() and given.isprintable():
        return given
    return ""

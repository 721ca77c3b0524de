"""Context of the call being handled: its id, its deadline and its caller."""

import asyncio
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sep_kit.grpc.keys import Caller
from sep_kit.logging import add_to_log

REQUEST_ID = "x-request-id"
FORWARDED_FOR = "x-forwarded-for"
_MAX_ID_LENGTH = 100
_NO_DEADLINE_S = 86_400.0
"""gRPC reports a call without a deadline as one with years left."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """One call.

    Args:
        request_id: the same in every service that the call reaches, and in their logs.
        deadline: when the caller stops waiting, on the event loop's clock; None for never.
        caller: owner of the API key that the call carried.
        address: address of the client, as the proxy saw it.
    """

    request_id: str
    deadline: float | None = None
    caller: Caller | None = None
    address: str = ""

    @property
    def client(self) -> str:
        """The owner of its limits: the caller's key, or the client's address without one."""
        return f"the key {self.caller.name!r}" if self.caller else self.address

    @property
    def caller_name(self) -> str:
        """Name of the caller's key; empty without one."""
        return self.caller.name if self.caller else ""

    def seconds_left(self) -> float | None:
        """Seconds until the deadline, at least 0; None without a deadline."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - asyncio.get_running_loop().time())


_current: ContextVar[CallContext | None] = ContextVar("sep_call", default=None)


def call_context(
    metadata: Mapping[str, Any], time_remaining: float | None, peer: str = ""
) -> CallContext:
    """The context of an incoming call, with a new request id unless it carries a valid one."""
    now = asyncio.get_running_loop().time()
    endless = time_remaining is None or time_remaining > _NO_DEADLINE_S
    return CallContext(
        clean_request_id(metadata.get(REQUEST_ID)) or secrets.token_hex(16),
        None if endless or time_remaining is None else now + time_remaining,
        address=_client_address(metadata.get(FORWARDED_FOR, ""), peer),
    )


def _client_address(forwarded: str, peer: str) -> str:
    """The last address that the proxy added, else gRPC's ``ipv4:ADDRESS:PORT`` without the port."""
    return forwarded.rpartition(",")[2].strip() or peer.rpartition(":")[0].partition(":")[2]


def enter(call: CallContext) -> None:
    """Make this the context of the current task and of tasks that it starts."""
    _current.set(call)
    add_to_log(request_id=call.request_id)


def current() -> CallContext | None:
    """The context of the call being handled; None outside of calls, such as in a loop."""
    return _current.get()


def caller_name() -> str:
    """Name of the current caller's key; empty without one."""
    call = _current.get()
    return call.caller_name if call else ""


def clean_request_id(given: str | None) -> str:
    """The id that a caller sent if it is safe to log, else an empty string."""
    if given and len(given) <= _MAX_ID_LENGTH and given.isascii() and given.isprintable():
        return given
    return ""

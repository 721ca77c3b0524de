"""Services and methods: access, cache age, timeout, declared errors and REST route."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_TIMEOUT_S = 10
"""Seconds that a unary call may take unless its rule sets ``timeout_seconds``."""


class Access(StrEnum):
    """Who may call a method."""

    OPEN = "open"
    """Everyone."""
    READ = "read"
    """Everyone, or holders of any key where API_READS=key."""
    WRITE = "write"
    """Holders of a write key."""
    INTERNAL = "internal"
    """Only the services of the stack."""


COMMON_ERRORS: Mapping[str, Sequence[str]] = {
    "INVALID_ARGUMENT": ("INVALID_ARGUMENT",),
    "UNAUTHENTICATED": ("MISSING_KEY", "WRONG_KEY"),
    "PERMISSION_DENIED": (
        "READ_KEY_ONLY",
        "INTERNAL_ONLY",
        "CALLER_NOT_ALLOWED",
        "FOREIGN_ORIGIN",
    ),
    "RESOURCE_EXHAUSTED": ("RATE_LIMITED", "TOO_MANY_STREAMS"),
    "DEADLINE_EXCEEDED": ("UPSTREAM_TIMEOUT",),
    "INTERNAL": ("INTERNAL",),
}
"""Reasons by gRPC code that any method may return, so that methods don't declare them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method of a service.

    Args:
        service: full name of its service, such as ``sep.guard.v1.GuardService``.
        request: full name of the request message.
        response: full name of the response message.
        streams: whether the server streams responses.
        access: who may call it.
        max_age_s: seconds that a response may be cached; 0 for a response that must be fresh.
        timeout_s: seconds that a call may take; None for a stream, which has no end.
        control_plane: whether operators need it to see or stop the stack.
        unlimited_when: when the limit on writes does not count a call: ``always``, the name of a
            boolean field for calls that set it, or empty for never.
        callers: names of the services that may call an internal method; empty for all of them.
        no_side_effects: whether it declares protobuf's ``NO_SIDE_EFFECTS``.
        expensive: whether the proxy limits how often a client address may call it.
        errors: declared reasons by the name of their gRPC code, beside ``COMMON_ERRORS``.
        verb: ``GET`` or ``POST``; empty without a REST route.
        route: REST path such as ``/api/pairs``; empty without one.
        has_body: whether REST sends the request as a JSON body.
        request_fields: names of the request's fields.
        response_body: the field that is the whole REST response; empty for all of it.
        comment: the comment above the method, as written.
        in_contract: False for a method that the contract does not contain.
    """

    service: str
    name: str
    request: str = ""
    response: str = ""
    streams: bool = False
    access: Access = Access.WRITE
    max_age_s: int = 0
    timeout_s: int | None = DEFAULT_TIMEOUT_S
    control_plane: bool = False
    unlimited_when: str = ""
    callers: tuple[str, ...] = ()
    no_side_effects: bool = False
    expensive: bool = False
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)
    verb: str = ""
    route: str = ""
    has_body: bool = False
    request_fields: tuple[str, ...] = ()
    response_body: str = ""
    comment: str = ""
    in_contract: bool = True

    @property
    def sends_a_file(self) -> bool:
        """Whether its stream is a file in pieces, and not events."""
        return self.streams and bool(self.response_body)

    @property
    def path(self) -> str:
        """Its gRPC path, such as ``/sep.guard.v1.GuardService/Reconcile``."""
        return f"/{self.service}/{self.name}"

    @property
    def operation(self) -> str:
        """Service and method in one word, such as ``GuardService_Reconcile``."""
        return f"{self.service.rpartition('.')[2]}_{self.name}"

    @property
    def reads(self) -> bool:
        """Whether it changes nothing: safe to retry and to share between callers."""
        return self.access in (Access.OPEN, Access.READ)

    @property
    def audited(self) -> bool:
        """Whether a call of it belongs in the log: it changes something, or may."""
        return not (self.reads or self.no_side_effects)

    @property
    def writes(self) -> bool:
        """Whether it changes something and clients may call it."""
        return self.access is Access.WRITE

    def documents(self, code: str, reason: str) -> bool:
        """Whether callers can expect this error, by gRPC code name and reason.

        Always true for a method that is not in the contract.
        """
        return (
            not self.in_contract
            or reason in self.errors.get(code, ())
            or reason in COMMON_ERRORS.get(code, ())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One gRPC service of the contract.

    Args:
        name: full name, such as ``sep.guard.v1.GuardService``.
        area: second part of its package, such as ``guard`` or ``ops``.
        methods: in the order of the proto file.
        comment: the comment above the service, as written.
    """

    name: str
    area: str
    methods: tuple[Method, ...]
    comment: str

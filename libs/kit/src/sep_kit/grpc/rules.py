"""What the contract says beside each method: who may call it and how old its answers may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import grpc
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from sep.allocator.v1 import allocator_pb2
from sep.api.v1 import rules_pb2
from sep.evaluator.v1 import evaluator_pb2
from sep.gateway.v1 import gateway_pb2
from sep.guard.v1 import guard_pb2
from sep.ops.v1 import ops_pb2

from sep_kit.errors import (
    InternalOnlyError,
    InvalidArgumentError,
    PermissionDeniedError,
    SepError,
    TooSlowError,
    UnauthenticatedError,
    WrongKeyError,
)

_FILES = (allocator_pb2, evaluator_pb2, gateway_pb2, guard_pb2, ops_pb2)


class Access(Enum):
    """Who may call a method."""

    OPEN = "open"
    READ = "read"
    WRITE = "write"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of one method.

    Args:
        max_age_s: seconds that an answer may be old; 0 for one that must be fresh.
        takes_body: whether REST sends it a JSON body.
        errors: code and reason of the errors of its own; None where nobody has said.
    """

    access: Access
    max_age_s: int = 0
    takes_body: bool = False
    errors: frozenset[tuple[int, str]] | None = None

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, and many may be told the same."""
        return self.access in (Access.OPEN, Access.READ)

    def documents(self, code: grpc.StatusCode, reason: str) -> bool:
        """Whether a client of the method can know of this error."""
        told = (code.value[0], reason)
        return self.errors is None or told in self.errors or told in _EVERYWHERE


# What any call may meet before a handler sees it, and what stands for a fault of ours.
_EVERYWHERE = frozenset(
    (kind.code.value[0], kind.reason)
    for kind in (
        InvalidArgumentError,
        UnauthenticatedError,
        WrongKeyError,
        PermissionDeniedError,
        InternalOnlyError,
        TooSlowError,
        SepError,
    )
)

UNKNOWN = Rule(Access.WRITE)
"""For a method that the contract says nothing about."""

_ACCESS = {
    rules_pb2.ACCESS_OPEN: Access.OPEN,
    rules_pb2.ACCESS_READ: Access.READ,
    rules_pb2.ACCESS_INTERNAL: Access.INTERNAL,
}


def contract_services() -> tuple[str, ...]:
    """Full names of the contract's services."""
    return tuple(
        service.full_name
        for file in _FILES
        for service in file.DESCRIPTOR.services_by_name.values()
    )


def contract_rules() -> Mapping[str, Rule]:
    """The rule of each method by its path, such as ``/sep.guard.v1.GuardService/Reconcile``."""
    return {
        f"/{service.full_name}/{method.name}": _rule(method)
        for file in _FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def _rule(method: MethodDescriptor) -> Rule:
    options = method.GetOptions()
    rule = options.Extensions[rules_pb2.rule]
    return Rule(
        # What the contract does not open stays shut.
        _ACCESS.get(rule.access, Access.WRITE),
        rule.max_age_seconds,
        bool(options.Extensions[annotations_pb2.http].body),
        frozenset((error.code, reason) for error in rule.errors for reason in error.reasons),
    )

"""What the contract says beside each method: who may call it and how old its answers may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from sep.allocator.v1 import allocator_pb2
from sep.api.v1 import rules_pb2
from sep.evaluator.v1 import evaluator_pb2
from sep.gateway.v1 import gateway_pb2
from sep.guard.v1 import guard_pb2
from sep.ops.v1 import ops_pb2

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
        request: the class of its requests.
    """

    access: Access
    max_age_s: int = 0
    takes_body: bool = False
    request: Any = None


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
        f"/{service.full_name}/{method.name}": _rule(file, method)
        for file in _FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def _rule(file: Any, method: MethodDescriptor) -> Rule:
    options = method.GetOptions()
    rule = options.Extensions[rules_pb2.rule]
    return Rule(
        # What the contract does not open stays shut.
        _ACCESS.get(rule.access, Access.WRITE),
        rule.max_age_seconds,
        bool(options.Extensions[annotations_pb2.http].body),
        getattr(file, method.input_type.name),
    )

"""The contract as typed data: methods with their rules, messages with their constraints.

The only reader of the options and comments in ``protos/``. Services, the Envoy generator, the
OpenAPI document and the client generator all use it.
"""

from sep_contract.messages import Constraints, Enum, EnumValue, Field, FieldKind, Message
from sep_contract.methods import COMMON_ERRORS, DEFAULT_TIMEOUT_S, Access, Method, Service
from sep_contract.reader import Contract, read_contract

__all__ = [
    "COMMON_ERRORS",
    "DEFAULT_TIMEOUT_S",
    "Access",
    "Constraints",
    "Contract",
    "Enum",
    "EnumValue",
    "Field",
    "FieldKind",
    "Message",
    "Method",
    "Service",
    "read_contract",
]

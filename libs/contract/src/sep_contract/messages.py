"""Messages and enums with their comments and validation constraints."""

from dataclasses import dataclass
from enum import StrEnum


class FieldKind(StrEnum):
    """Type of a field's value; the value is the proto keyword."""

    DOUBLE = "double"
    FLOAT = "float"
    INT64 = "int64"
    UINT64 = "uint64"
    INT32 = "int32"
    FIXED64 = "fixed64"
    FIXED32 = "fixed32"
    BOOL = "bool"
    STRING = "string"
    GROUP = "group"
    MESSAGE = "message"
    BYTES = "bytes"
    UINT32 = "uint32"
    ENUM = "enum"
    SFIXED32 = "sfixed32"
    SFIXED64 = "sfixed64"
    SINT32 = "sint32"
    SINT64 = "sint64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Validation constraints (``buf.validate``) of a field; None where it has no such constraint.

    Args:
        required: whether a request must set the field.
        pattern: regular expression of a string, or of each string of a list.
        min_len: shortest string, or shortest string in a list.
        max_len: longest string, or longest string in a list.
        gte: lowest number.
        lte: highest number.
        max_items: most entries of a list.
    """

    required: bool = False
    pattern: str | None = None
    min_len: int | None = None
    max_len: int | None = None
    gte: float | None = None
    lte: float | None = None
    max_items: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a message.

    Args:
        kind: type of its value, of a list its entries' type, of a map its values' type.
        type_name: full name of the message or enum; empty for scalars.
        repeated: whether it is a list; False for a map.
        is_map: whether it is a map with string keys.
        has_presence: whether it can be absent: ``optional``, part of a oneof, or a message.
        decimal: whether the string is a decimal number.
        comment: the comment above the field, on one line.
    """

    name: str
    kind: FieldKind
    type_name: str
    repeated: bool
    is_map: bool
    has_presence: bool
    decimal: bool
    constraints: Constraints
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; ``name`` is its full name."""

    name: str
    fields: tuple[Field, ...]
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumValue:
    """One value of an enum."""

    name: str
    number: int
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enum:
    """One enum; ``name`` is its full name."""

    name: str
    values: tuple[EnumValue, ...]
    comment: str

"""Messages of the contract as JSON schemas, in the form that the transcoder reads and writes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sep_contract import Constraints, Contract, Enum, Field, FieldKind

Json = dict[str, Any]

_DECIMAL = r"^(-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)?$"
_INT32: Json = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
_SCALARS: Mapping[FieldKind, Json] = {
    FieldKind.DOUBLE: {"type": "number"},
    FieldKind.UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldKind.SINT32: _INT32,
    FieldKind.INT32: _INT32,
    FieldKind.BOOL: {"type": "boolean"},
    FieldKind.STRING: {"type": "string"},
}


def short_name(full_name: str) -> str:
    """A message's or enum's name without its package: its name in the document."""
    return full_name.rpartition(".")[2]


def reference(full_name: str) -> Json:
    """A reference to the schema of a message or enum."""
    return {"$ref": f"#/components/schemas/{short_name(full_name)}"}


def field_schema(field: Field) -> Json:
    """The schema of a field's value, without its description."""
    if field.is_map:
        return {"type": "object", "additionalProperties": _value(field)}
    value = _value(field) | _text_limits(field.constraints)
    if field.repeated:
        schema: Json = {"type": "array", "items": value}
        if field.constraints.max_items is not None:
            schema["maxItems"] = field.constraints.max_items
        return schema
    for limit, key in ((field.constraints.lte, "maximum"), (field.constraints.gte, "minimum")):
        if limit is not None:
            value[key] = limit
    return value


def is_required(field: Field) -> bool:
    """Whether a request must set the field: it is required, or its default value is refused."""
    if field.constraints.required:
        return True
    can_be_absent = field.has_presence or field.repeated or field.is_map
    return not can_be_absent and _refuses_empty_text(field.constraints)


def body_schema(contract: Contract, message: str) -> Json:
    """A request message as a JSON body; unknown fields are refused."""
    fields = contract.messages[message].fields
    schema: Json = {
        "type": "object",
        "additionalProperties": False,
        "properties": _properties(fields),
    }
    if required := [field.name for field in fields if is_required(field)]:
        schema["required"] = required
    return schema


def component_schemas(
    contract: Contract, responses: Iterable[str], requests: Iterable[str]
) -> Json:
    """Schemas of responses, and of everything that responses and requests refer to, by short name.

    The requests themselves stand in their operations.
    """
    found: Json = {}
    pending = [name for request in requests for name in _referred(contract, request)]
    while pending:
        name = pending.pop()
        if short_name(name) not in found and name not in contract.enums:
            comment = contract.messages[name].comment
            found[short_name(name)] = body_schema(contract, name) | {"description": comment}
            pending += _referred(contract, name)
    pending = list(responses)
    while pending:
        name = pending.pop()
        if short_name(name) in found:
            continue
        if name in contract.enums:
            found[short_name(name)] = _enum_schema(contract.enums[name])
        else:
            found[short_name(name)] = _message_schema(contract, name)
            pending += _referred(contract, name)
    return dict(sorted(found.items()))


def _message_schema(contract: Contract, name: str) -> Json:
    message = contract.messages[name]
    return {
        "type": "object",
        "description": message.comment,
        "required": [field.name for field in message.fields if not field.has_presence],
        "properties": _properties(message.fields),
    }


def _enum_schema(enum: Enum) -> Json:
    values = [f"{value.name}: {value.comment}" for value in enum.values]
    return {
        "type": "string",
        "description": " ".join([enum.comment, *values]),
        "enum": [value.name for value in enum.values],
    }


def _properties(fields: Iterable[Field]) -> Json:
    return {field.name: field_schema(field) | {"description": field.comment} for field in fields}


def _referred(contract: Contract, name: str) -> Iterator[str]:
    for field in contract.messages[name].fields:
        if field.type_name in contract.messages or field.type_name in contract.enums:
            yield field.type_name


def _value(field: Field) -> Json:
    if field.type_name:
        return reference(field.type_name)
    if field.decimal:
        return {"type": "string", "format": "decimal", "pattern": _DECIMAL}
    return dict(_SCALARS[field.kind])


def _text_limits(constraints: Constraints) -> Json:
    limits = {
        "pattern": constraints.pattern,
        "minLength": constraints.min_len,
        "maxLength": constraints.max_len,
    }
    return {key: limit for key, limit in limits.items() if limit is not None}


def _refuses_empty_text(constraints: Constraints) -> bool:
    refused = constraints.pattern is not None and not re.search(constraints.pattern, "")
    return refused or bool(constraints.min_len)

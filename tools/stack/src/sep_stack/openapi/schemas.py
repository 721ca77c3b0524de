"""Messages of the contract as JSON schemas, the way the transcoder prints them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2
from sep.api.v1 import rules_pb2

Json = dict[str, Any]
_Field = descriptor_pb2.FieldDescriptorProto

_DECIMAL = r"^(-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)?$"
_NUMBERS: Mapping[int, Json] = {
    _Field.TYPE_DOUBLE: {"type": "number"},
    _Field.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    _Field.TYPE_SINT32: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    _Field.TYPE_INT32: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    _Field.TYPE_BOOL: {"type": "boolean"},
}


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field of a message.

    Args:
        always: whether every answer has it.
        needed: whether a request must have it.
    """

    name: str
    schema: Json
    comment: str
    always: bool
    needed: bool


class Schemas:
    """Schemas of all messages and enums of the contract."""

    def __init__(self, contract: descriptor_pb2.FileDescriptorSet) -> None:
        self._messages: dict[str, tuple[descriptor_pb2.DescriptorProto, dict[Any, str], Any]] = {}
        self._enums: dict[str, tuple[descriptor_pb2.EnumDescriptorProto, dict[Any, str], Any]] = {}
        for file in contract.file:
            comments = {
                tuple(x.path): x.leading_comments.strip() for x in file.source_code_info.location
            }
            for i, message in enumerate(file.message_type):
                self._messages[f"{file.package}.{message.name}"] = (message, comments, (4, i))
            for i, enum in enumerate(file.enum_type):
                self._enums[f"{file.package}.{enum.name}"] = (enum, comments, (5, i))

    def fields(self, message: str) -> Iterator[FieldInfo]:
        """The fields of a message."""
        descriptor, comments, at = self._messages[message]
        maps = {n.name: n for n in descriptor.nested_type if n.options.map_entry}
        for i, field in enumerate(descriptor.field):
            repeated = field.label == _Field.LABEL_REPEATED
            rules = field.options.Extensions[validate_pb2.field]
            entry = maps.get(field.type_name.rpartition(".")[2]) if repeated else None
            if entry is not None:
                schema: Json = {"type": "object", "additionalProperties": self._one(entry.field[1])}
            elif repeated:
                items = self._one(field) | _text_rules(rules.repeated.items.string)
                schema = {"type": "array", "items": items}
                if rules.repeated.HasField("max_items"):
                    schema["maxItems"] = rules.repeated.max_items
            else:
                schema = self._one(field) | _text_rules(rules.string)
                bounds: tuple[Any, ...] = (rules.uint32, rules.double)
                for numbers in bounds:
                    for rule, key in (("lte", "maximum"), ("gte", "minimum")):
                        if numbers.HasField(rule):
                            schema[key] = getattr(numbers, rule)
            absent = field.type == _Field.TYPE_MESSAGE or field.HasField("oneof_index")
            yield FieldInfo(
                field.name,
                schema,
                " ".join(comments.get((*at, 2, i), "").split()),
                always=repeated or not absent,
                needed=rules.required or (not absent and not repeated and _refuses_empty(rules)),
            )

    def components(self, roots: list[str]) -> Json:
        """Schemas of these messages and of all that they consist of, by their short names."""
        found: Json = {}
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            short = name.rpartition(".")[2]
            if short in found:
                continue
            found[short] = self._enum(name) if name in self._enums else self._message(name)
            if name in self._messages:
                waiting += self._parts(name)
        return dict(sorted(found.items()))

    def body(self, message: str) -> Json:
        """A request as a JSON body: what it does not know is refused."""
        fields = list(self.fields(message))
        schema: Json = {
            "type": "object",
            "additionalProperties": False,
            "properties": {f.name: f.schema | {"description": f.comment} for f in fields},
        }
        if needed := [f.name for f in fields if f.needed]:
            schema["required"] = needed
        return schema

    def _message(self, name: str) -> Json:
        fields = list(self.fields(name))
        _, comments, at = self._messages[name]
        return {
            "type": "object",
            "description": " ".join(comments.get(at, "").split()),
            "required": [f.name for f in fields if f.always],
            "properties": {f.name: f.schema | {"description": f.comment} for f in fields},
        }

    def _enum(self, name: str) -> Json:
        enum, comments, at = self._enums[name]
        told = [f"{v.name}: {comments.get((*at, 2, i), '')}" for i, v in enumerate(enum.value)]
        return {
            "type": "string",
            "description": " ".join([comments.get(at, ""), *told]),
            "enum": [value.name for value in enum.value],
        }

    def _parts(self, name: str) -> Iterator[str]:
        message = self._messages[name][0]
        for field in (*message.field, *(f for n in message.nested_type for f in n.field)):
            part = field.type_name.removeprefix(".")
            if part in self._messages or part in self._enums:
                yield part

    def _one(self, field: descriptor_pb2.FieldDescriptorProto) -> Json:
        if field.type in (_Field.TYPE_MESSAGE, _Field.TYPE_ENUM):
            return {"$ref": f"#/components/schemas/{field.type_name.rpartition('.')[2]}"}
        if field.type == _Field.TYPE_STRING:
            if field.options.Extensions[rules_pb2.decimal]:
                return {"type": "string", "format": "decimal", "pattern": _DECIMAL}
            return {"type": "string"}
        return dict(_NUMBERS[field.type])


def _text_rules(rules: Any) -> Json:
    schema: Json = {}
    for rule, key in (("pattern", "pattern"), ("min_len", "minLength"), ("max_len", "maxLength")):
        if rules.HasField(rule):
            schema[key] = getattr(rules, rule)
    return schema


def _refuses_empty(rules: Any) -> bool:
    text = rules.string
    return bool(
        (text.HasField("pattern") and not re.search(text.pattern, ""))
        or (text.HasField("min_len") and text.min_len)
    )

"""Reads the contract from the descriptor set that protoc made of ``protos/``."""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from buf.validate import validate_pb2
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.rpc import code_pb2
from sep.api.v1 import rules_pb2
from sep_protos import DESCRIPTOR_SET

from sep_contract.messages import Constraints, Enum, EnumValue, Field, FieldKind, Message
from sep_contract.methods import DEFAULT_TIMEOUT_S, Access, Method, Service

# Field numbers of FileDescriptorProto and its parts, which make up the paths of comments.
_MESSAGES, _ENUMS, _SERVICES, _MEMBERS = 4, 5, 6, 2
_ACCESS = {
    rules_pb2.ACCESS_OPEN: Access.OPEN,
    rules_pb2.ACCESS_READ: Access.READ,
    rules_pb2.ACCESS_INTERNAL: Access.INTERNAL,
}
_FieldProto = descriptor_pb2.FieldDescriptorProto


class Contract:
    """The whole contract, read from a descriptor set.

    Services need the methods alone; messages and enums, which describe ten times as much, are read
    when they are first asked for.

    Attributes:
        services: the stack's own services, in the order of their files.
        methods: the methods of all services by gRPC path.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        files = _files(path)
        fields = {
            f"{file.package}.{message.name}": tuple(field.name for field in message.field)
            for file in files
            for message in file.message_type
        }
        self.services = tuple(s for file in files for s in _services(file, fields))
        self.methods: Mapping[str, Method] = {
            m.path: m for service in self.services for m in service.methods
        }

    @cached_property
    def messages(self) -> Mapping[str, Message]:
        """Messages of the stack's own packages by full name."""
        return {m.name: m for file in _files(self._path) for m in _messages(file)}

    @cached_property
    def enums(self) -> Mapping[str, Enum]:
        """Enums of the stack's own packages by full name."""
        return {e.name: e for file in _files(self._path) for e in _enums(file)}

    def method(self, path: str) -> Method:
        """The method with this gRPC path; one that is not in the contract needs a write key."""
        found = self.methods.get(path)
        if found is None:
            service, _, name = path.lstrip("/").partition("/")
            found = Method(service=service, name=name, in_contract=False)
        return found


# Cached: a process that starts several servers reads it once.
@cache
def read_contract(path: Path = DESCRIPTOR_SET) -> Contract:
    """Read a descriptor set with source information.

    Raises:
        OSError: the file can't be read.
        google.protobuf.message.DecodeError: it is not a descriptor set.
    """
    return Contract(path)


def _files(path: Path) -> list[descriptor_pb2.FileDescriptorProto]:
    every = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file
    return [file for file in every if file.package.startswith("sep.")]


def _comments(file: descriptor_pb2.FileDescriptorProto, kind: int) -> dict[tuple[int, ...], str]:
    """By path: the comments of one kind of declaration and of its members."""
    return {
        tuple(location.path): location.leading_comments
        for location in file.source_code_info.location
        if location.leading_comments and location.path[0] == kind
    }


def _one_line(comment: str) -> str:
    return " ".join(comment.split())


def _services(
    file: descriptor_pb2.FileDescriptorProto, fields: Mapping[str, tuple[str, ...]]
) -> Iterator[Service]:
    comments = _comments(file, _SERVICES)
    for s, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield Service(
            name=name,
            area=file.package.split(".")[1],
            methods=tuple(
                _method(name, m, fields, comments.get((_SERVICES, s, _MEMBERS, i), ""))
                for i, m in enumerate(service.method)
            ),
            comment=comments.get((_SERVICES, s), ""),
        )


def _method(
    service: str,
    method: descriptor_pb2.MethodDescriptorProto,
    fields: Mapping[str, tuple[str, ...]],
    comment: str,
) -> Method:
    rule = method.options.Extensions[rules_pb2.rule]
    http = method.options.Extensions[annotations_pb2.http]
    verb = http.WhichOneof("pattern") or ""
    errors: dict[str, list[str]] = {}
    for error in rule.errors:
        errors.setdefault(code_pb2.Code.Name(error.code), []).extend(error.reasons)
    request = method.input_type.removeprefix(".")
    return Method(
        service=service,
        name=method.name,
        request=request,
        response=method.output_type.removeprefix("."),
        streams=method.server_streaming,
        access=_ACCESS.get(rule.access, Access.WRITE),
        max_age_s=rule.max_age_seconds,
        timeout_s=None if method.server_streaming else rule.timeout_seconds or DEFAULT_TIMEOUT_S,
        control_plane=rule.control_plane,
        unlimited_when=rule.unlimited_when,
        callers=tuple(rule.callers),
        no_side_effects=method.options.idempotency_level
        == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS,
        expensive=rule.expensive,
        errors=errors,
        verb=verb.upper(),
        route=getattr(http, verb) if verb else "",
        has_body=bool(http.body),
        request_fields=fields[request],
        response_body=http.response_body,
        comment=comment,
    )


def _messages(file: descriptor_pb2.FileDescriptorProto) -> Iterator[Message]:
    comments = _comments(file, _MESSAGES)
    for i, message in enumerate(file.message_type):
        maps = {
            f".{file.package}.{message.name}.{n.name}": n.field[1]
            for n in message.nested_type
            if n.options.map_entry
        }
        yield Message(
            name=f"{file.package}.{message.name}",
            fields=tuple(
                _field(
                    field,
                    maps.get(field.type_name),
                    _one_line(comments.get((_MESSAGES, i, _MEMBERS, f), "")),
                )
                for f, field in enumerate(message.field)
            ),
            comment=_one_line(comments.get((_MESSAGES, i), "")),
        )


def _field(field: _FieldProto, map_value: _FieldProto | None, comment: str) -> Field:
    value = field if map_value is None else map_value
    return Field(
        name=field.name,
        kind=FieldKind(_FieldProto.Type.Name(value.type).removeprefix("TYPE_").lower()),
        type_name=value.type_name.removeprefix("."),
        repeated=field.label == _FieldProto.LABEL_REPEATED and map_value is None,
        is_map=map_value is not None,
        has_presence=field.label != _FieldProto.LABEL_REPEATED
        and (field.type == _FieldProto.TYPE_MESSAGE or field.HasField("oneof_index")),
        decimal=field.options.Extensions[rules_pb2.decimal],
        constraints=_constraints(field.options.Extensions[validate_pb2.field]),
        comment=comment,
    )


def _constraints(rules: Any) -> Constraints:
    texts = (rules.string, rules.repeated.items.string)
    numbers = (rules.uint32, rules.double)
    return Constraints(
        required=rules.required,
        pattern=_first(texts, "pattern"),
        min_len=_first(texts, "min_len"),
        max_len=_first(texts, "max_len"),
        gte=_first(numbers, "gte"),
        lte=_first(numbers, "lte"),
        max_items=_first((rules.repeated,), "max_items"),
    )


def _first(rules: tuple[Any, ...], name: str) -> Any:
    return next((getattr(r, name) for r in rules if r.HasField(name)), None)


def _enums(file: descriptor_pb2.FileDescriptorProto) -> Iterator[Enum]:
    comments = _comments(file, _ENUMS)
    for i, enum in enumerate(file.enum_type):
        yield Enum(
            name=f"{file.package}.{enum.name}",
            values=tuple(
                EnumValue(
                    name=value.name,
                    number=value.number,
                    comment=_one_line(comments.get((_ENUMS, i, _MEMBERS, v), "")),
                )
                for v, value in enumerate(enum.value)
            ),
            comment=_one_line(comments.get((_ENUMS, i), "")),
        )

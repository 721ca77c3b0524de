"""The contract as data: every method, its rule, its REST route, from the descriptor set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.rpc import code_pb2
from sep.api.v1 import rules_pb2


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the contract.

    Args:
        access: ``open``, ``read``, ``write`` or ``internal``.
        errors: reasons of its own, by the name of their gRPC code.
        verb: GET or POST; empty without a REST route.
        takes: names of its request's fields.
        response_body: the field that is the whole REST answer; empty for all of it.
    """

    service: str
    name: str
    request: str
    response: str
    streams: bool
    access: str
    max_age_s: int
    errors: Mapping[str, Sequence[str]]
    verb: str
    route: str
    has_body: bool
    takes: Sequence[str]
    response_body: str
    comment: str

    @property
    def path(self) -> str:
        """Its gRPC path."""
        return f"/{self.service}/{self.name}"

    @property
    def operation(self) -> str:
        """Service and method in one word, such as ``GuardService_Reconcile``."""
        return f"{self.service.rpartition('.')[2]}_{self.name}"

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, and so may be sent twice."""
        return self.access in {"open", "read"}

    @property
    def writes(self) -> bool:
        """Whether it changes something and clients may call it."""
        return self.access == "write"


def read_contract(path: Path) -> descriptor_pb2.FileDescriptorSet:
    """The descriptor set in a file."""
    return descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())


def methods_of(contract: descriptor_pb2.FileDescriptorSet) -> tuple[Method, ...]:
    """Every method of the stack's own services."""
    found = []
    fields = {
        f"{file.package}.{message.name}": [field.name for field in message.field]
        for file in contract.file
        for message in file.message_type
    }
    for file in contract.file:
        if not file.package.startswith("sep."):
            continue
        comments = {tuple(x.path): x.leading_comments for x in file.source_code_info.location}
        for s, service in enumerate(file.service):
            found += [
                _method(f"{file.package}.{service.name}", m, fields, comments.get((6, s, 2, i), ""))
                for i, m in enumerate(service.method)
            ]
    return tuple(found)


def _method(
    service: str,
    m: descriptor_pb2.MethodDescriptorProto,
    fields: Mapping[str, Sequence[str]],
    comment: str,
) -> Method:
    rule = m.options.Extensions[rules_pb2.rule]
    http = m.options.Extensions[annotations_pb2.http]
    verb, route = ("GET", http.get) if http.get else ("POST", http.post) if http.post else ("", "")
    errors: dict[str, list[str]] = {}
    for error in rule.errors:
        errors.setdefault(code_pb2.Code.Name(error.code), []).extend(error.reasons)
    access = rules_pb2.Access.Name(rule.access).removeprefix("ACCESS_").lower()
    return Method(
        service,
        m.name,
        m.input_type.removeprefix("."),
        m.output_type.removeprefix("."),
        m.server_streaming,
        "write" if access == "unspecified" else access,
        rule.max_age_seconds,
        errors,
        verb,
        route,
        bool(http.body),
        fields[m.input_type.removeprefix(".")],
        http.response_body,
        comment,
    )

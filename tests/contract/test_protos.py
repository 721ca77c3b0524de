"""The contract: routes, naming, comments and field types."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from protovalidate._gen.buf.validate import validate_pb
from sep_kit.grpc.server import OPS_SERVICE
from sep_protos import DESCRIPTOR_SET

CONTRACT = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes())
OWN = [file for file in CONTRACT.file if file.name.startswith("sep/")]

ROUTES = {
    "GET /health",
    "GET /api/status",
    "GET /api/settings",
    "GET /api/pairs",
    "GET /api/ranking/active",
    "GET /api/risk/allocation-status",
    "GET /api/risk/budget",
    "POST /api/trade/reconcile",
    "GET /api/kill-switch",
    "POST /api/kill-switch",
    "GET /api/manifold/coeffs",
    "GET /api/coherence/status",
    "GET /api/candles",
    "POST /api/candles/fetch",
    "GET /api/oanda/account",
    "GET /api/oanda/positions",
    "GET /api/oanda/open-trades",
    "GET /api/oanda/instruments",
    "GET /api/oanda/pricing",
    "GET /api/trade/readiness",
    "GET /api/manifold/stream",
    "GET /metrics",
    "GET /api/journal/transactions",
    "GET /api/journal/trades",
    "GET /api/journal/performance",
    "GET /api/journal/costs",
    "GET /api/journal/divergence",
    "GET /api/journal/export",
    "GET /api/decisions",
    "GET /api/events",
    "GET /api/decisions/{id}",
}


def methods() -> Iterator[tuple[descriptor_pb2.FileDescriptorProto, str, Any]]:
    for file in OWN:
        for service in file.service:
            for method in service.method:
                yield file, service.name, method


def routes() -> dict[str, Any]:
    """Method by verb and path."""
    found: dict[str, Any] = {}
    for _, _, method in methods():
        if not method.options.HasExtension(annotations_pb2.http):
            continue
        main = method.options.Extensions[annotations_pb2.http]
        for rule in (main, *main.additional_bindings):
            verb = rule.WhichOneof("pattern")
            route = f"{verb.upper()} {getattr(rule, verb)}"
            assert route not in found, f"{route} is bound twice"
            found[route] = (method, rule)
    return found


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_a_documented_route_exists_with_its_verb(route: str) -> None:
    assert route in routes()


def test_only_posts_carry_a_body() -> None:
    for route, (_, rule) in routes().items():
        assert bool(rule.body) is route.startswith("POST"), route


def test_what_reads_is_a_get_and_what_changes_is_a_post() -> None:
    for route, (method, _) in routes().items():
        reads = method.name.startswith(("Get", "List", "Stream"))
        assert reads is route.startswith("GET"), f"{method.name} is bound to {route}"


def test_path_package_and_import_match() -> None:
    for file in OWN:
        folder = file.name.rpartition("/")[0]
        assert file.package == folder.replace("/", ".")
        import_module(f"{file.package}.{file.name.rpartition('/')[2].removesuffix('.proto')}_pb2")


def test_every_rpc_has_its_own_request_and_response() -> None:
    used = []
    for file, _, method in methods():
        own = f".{file.package}.{method.name}"
        assert (method.input_type, method.output_type) == (f"{own}Request", f"{own}Response")
        used += [method.input_type, method.output_type]
    assert len(used) == len(set(used))


def test_services_end_in_service() -> None:
    names = {f"{file.package}.{s.name}" for file in OWN for s in file.service}
    assert all(name.endswith("Service") for name in names)
    assert OPS_SERVICE in names


def test_enums_begin_with_unspecified() -> None:
    for file in OWN:
        for enum in file.enum_type:
            assert enum.value[0].number == 0
            assert enum.value[0].name.endswith("_UNSPECIFIED")


def elements(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """Source path and name of every element that needs a comment."""
    for s, service in enumerate(file.service):
        yield (6, s), service.name
        for m, method in enumerate(service.method):
            yield (6, s, 2, m), f"{service.name}.{method.name}"
    for i, message in enumerate(file.message_type):
        yield from _message((4, i), message)
    for i, enum in enumerate(file.enum_type):
        yield from _enum((5, i), enum)


def _message(
    path: tuple[int, ...], message: descriptor_pb2.DescriptorProto
) -> Iterator[tuple[tuple[int, ...], str]]:
    if message.options.map_entry:
        return
    yield path, message.name
    for f, field in enumerate(message.field):
        yield (*path, 2, f), f"{message.name}.{field.name}"
    for n, nested in enumerate(message.nested_type):
        yield from _message((*path, 3, n), nested)
    for e, enum in enumerate(message.enum_type):
        yield from _enum((*path, 4, e), enum)


def _enum(
    path: tuple[int, ...], enum: descriptor_pb2.EnumDescriptorProto
) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, enum.name
    for v, value in enumerate(enum.value):
        yield (*path, 2, v), f"{enum.name}.{value.name}"


@pytest.mark.parametrize("file", OWN, ids=lambda f: f.name)
def test_every_element_has_a_comment(file: descriptor_pb2.FileDescriptorProto) -> None:
    commented = {
        tuple(location.path)
        for location in file.source_code_info.location
        if (location.leading_comments or location.trailing_comments).strip()
    }
    assert [name for path, name in elements(file) if path not in commented] == []


def test_no_field_is_a_64_bit_integer() -> None:
    """The transcoder prints them as strings, so numbers for REST clients are doubles."""
    kinds = {descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{n}")
             for n in ("INT64", "UINT64", "SINT64", "FIXED64", "SFIXED64")}  # fmt: skip
    assert [
        f"{message.name}.{field.name}"
        for file in OWN
        for message in file.message_type
        for field in message.field
        if field.type in kinds
    ] == []


def test_the_constraints_are_compiled_from_the_validators_own_definition() -> None:
    """It comes from a private module of protovalidate, which an upgrade may move or change."""
    shipped = descriptor_pb2.FileDescriptorProto()
    shipped.ParseFromString(validate_pb._DESC.proto.to_binary())
    (ours,) = [f for f in CONTRACT.file if f.name == "buf/validate/validate.proto"]
    for file in (shipped, ours):
        file.ClearField("source_code_info")
    assert shipped == ours
    generated = descriptor_pb2.FileDescriptorProto()
    import_module("buf.validate.validate_pb2").DESCRIPTOR.CopyToProto(generated)
    assert {m.name for m in generated.message_type} == {m.name for m in shipped.message_type}

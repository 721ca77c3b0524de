"""The OpenAPI 3.1 document of the REST surface."""

from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor_pb2

from sep_stack.contract import Method, methods_of
from sep_stack.openapi.errors import ERROR_SCHEMAS, error_responses
from sep_stack.openapi.schemas import Schemas

Json = dict[str, Any]

_DESCRIPTION = """\
Metrics, gates, weights and orders of the SEP trading stack, over REST and over gRPC on one port.

Names ending in `_ms` are milliseconds since the epoch. Prices, units and cash are decimals as
strings: keep them out of floating point. An optional field that is unset is absent. Fields may be
added; unknown parameters and body fields are refused.

Whatever changes something needs a write key: `authorization: Bearer KEY`. Every error has one
shape, and a stable `reason` in its first detail. Every answer carries `x-request-id`, which stands
in the logs of every service that the call reached.
"""
_SHAPES = {"StreamManifolds": "text/event-stream", "GetMetrics": "text/plain"}


def openapi_document(contract: descriptor_pb2.FileDescriptorSet, version: str) -> Json:
    """The document: every route, its parameters, its good answer and each error."""
    methods = [m for m in methods_of(contract) if m.route and m.access != "internal"]
    schemas = Schemas(contract)
    paths: Json = {}
    for method in sorted(methods, key=lambda m: (m.route, m.verb)):
        paths.setdefault(method.route, {})[method.verb.lower()] = _operation(method, schemas)
    answers = [m.response for m in methods if not m.response_body]
    return {
        "openapi": "3.1.0",
        "info": {"title": "SEP", "version": version, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in sorted({_tag(m) for m in methods})],
        "paths": paths,
        "components": {
            "schemas": {**ERROR_SCHEMAS, **schemas.components(answers)},
            "headers": {
                "RequestId": {
                    "description": "Id of the call, the same in every log.",
                    "schema": {"type": "string"},
                }
            },
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of the folder API_KEYS_DIR.",
                }
            },
        },
    }


def native_methods(contract: descriptor_pb2.FileDescriptorSet) -> Sequence[Method]:
    """What clients may call over gRPC alone."""
    return [m for m in methods_of(contract) if not m.route and m.access != "internal"]


def _operation(method: Method, schemas: Schemas) -> Json:
    summary, _, rest = " ".join(method.comment.split()).partition(". ")
    operation: Json = {
        "operationId": method.operation,
        "tags": [_tag(method)],
        "summary": summary.rstrip("."),
        "description": rest or summary,
        "x-grpc": method.path,
        "security": [{"key": []}] if method.writes else [{}, {"key": []}],
        "responses": {"200": _good_answer(method), **error_responses(method)},
    }
    if method.max_age_s:
        operation["x-max-age-seconds"] = method.max_age_s
    if method.has_body:
        content = {"application/json": {"schema": schemas.body(method.request)}}
        needed = any(f.needed for f in schemas.fields(method.request))
        operation["requestBody"] = {"required": needed, "content": content}
    else:
        operation["parameters"] = [
            {
                "name": field.name,
                "in": "query",
                "required": field.needed,
                "description": field.comment,
                "schema": field.schema,
                **({"explode": True} if field.schema["type"] == "array" else {}),
            }
            for field in schemas.fields(method.request)
        ]
    return operation


def _good_answer(method: Method) -> Json:
    shape = _SHAPES.get(method.name, "application/json")
    if shape == "text/plain":
        schema: Json = {"type": "string"}
    else:
        schema = {"$ref": f"#/components/schemas/{method.response.rpartition('.')[2]}"}
    words = "One `data:` line of this JSON an event." if method.streams else "The answer."
    return {
        "description": words,
        "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
        "content": {shape: {"schema": {"type": "string"} if method.streams else schema}},
        **({"x-event": schema} if method.streams else {}),
    }


def _tag(method: Method) -> str:
    return method.service.split(".")[1]

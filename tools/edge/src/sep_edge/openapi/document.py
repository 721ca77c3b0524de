"""The OpenAPI 3.1 document of the REST API."""

from typing import Any

from sep_contract import Access, Contract, Method

from sep_edge.openapi.errors import ERROR_SCHEMAS, error_responses
from sep_edge.openapi.schemas import (
    body_schema,
    component_schemas,
    field_schema,
    is_required,
    reference,
)

Json = dict[str, Any]

_DESCRIPTION = """\
Metrics, gates, weights and orders of the SEP trading stack, over REST and gRPC on one port.

Names ending in `_ms` are milliseconds since the epoch. Prices, units and cash are decimals as
strings: keep them out of floating point. An unset optional field is absent. Fields may be added;
unknown parameters and body fields are refused.

Calls that change something need a write key: `authorization: Bearer KEY`. Every error has the same
shape, with a stable `reason` in its first detail. Every response carries `x-request-id`, which is
in the logs of every service that the call reached.
"""
_CONTENT_TYPES = {
    "StreamEvents": "text/event-stream",
    "StreamManifolds": "text/event-stream",
    "GetMetrics": "text/plain",
    "StreamExport": "application/octet-stream",
}


def openapi_document(contract: Contract, version: str) -> Json:
    """The document: every route with its parameters, response and errors."""
    methods = [m for m in contract.methods.values() if m.route and m.access is not Access.INTERNAL]
    paths: Json = {}
    for method in sorted(methods, key=lambda m: (m.route, m.verb)):
        paths.setdefault(method.route, {})[method.verb.lower()] = _operation(method, contract)
    responses = [m.response for m in methods if not m.response_body]
    requests = [m.request for m in methods if m.has_body]
    return {
        "openapi": "3.1.0",
        "info": {"title": "SEP", "version": version, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in sorted({_tag(m) for m in methods})],
        "paths": paths,
        "components": {
            "schemas": {**ERROR_SCHEMAS, **component_schemas(contract, responses, requests)},
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
                    "description": "A key from the folder API_KEYS_DIR.",
                }
            },
        },
    }


def native_methods(contract: Contract) -> list[Method]:
    """Methods that clients may call over gRPC only."""
    return [m for m in contract.methods.values() if not m.route and m.access is not Access.INTERNAL]


def _operation(method: Method, contract: Contract) -> Json:
    summary, _, rest = " ".join(method.comment.split()).partition(". ")
    operation: Json = {
        "operationId": method.operation,
        "tags": [_tag(method)],
        "summary": summary.rstrip("."),
        **({"description": rest} if rest else {}),
        "x-grpc": method.path,
        "security": [{"key": []}] if method.writes else [{}, {"key": []}],
        "responses": {"200": _success(method), **error_responses(method)},
    }
    if method.max_age_s:
        operation["x-max-age-seconds"] = method.max_age_s
    fields = contract.messages[method.request].fields
    if method.has_body:
        content = {"application/json": {"schema": body_schema(contract, method.request)}}
        operation["requestBody"] = {
            "required": any(map(is_required, fields)),
            "content": content,
        }
    else:
        operation["parameters"] = [
            {
                "name": field.name,
                "in": "path" if f"{{{field.name}}}" in method.route else "query",
                "required": is_required(field) or f"{{{field.name}}}" in method.route,
                "description": field.comment,
                "schema": field_schema(field),
                **({"explode": True} if field.repeated else {}),
            }
            for field in fields
        ]
    return operation


def _success(method: Method) -> Json:
    content_type = _CONTENT_TYPES.get(method.name, "application/json")
    text: Json = {"type": "string"}
    if method.sends_a_file:
        return {
            "description": "The file: `text/csv`, or the type of an Excel workbook.",
            "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
            "content": {content_type: {"schema": {"type": "string", "format": "binary"}}},
        }
    schema = text if content_type == "text/plain" else reference(method.response)
    description = "One `data:` line of this JSON per event." if method.streams else "The response."
    return {
        "description": description,
        "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
        "content": {content_type: {"schema": text if method.streams else schema}},
        **({"x-event": schema} if method.streams else {}),
    }


def _tag(method: Method) -> str:
    return method.service.split(".")[1]

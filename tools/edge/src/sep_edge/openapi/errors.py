"""Error responses of each operation, by HTTP status."""

from collections.abc import Mapping
from typing import Any

from sep_contract import Access, Method

Json = dict[str, Any]

HTTP_STATUS: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNKNOWN": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""HTTP status that the transcoder makes of each gRPC code."""

STATUS_MEANING: Mapping[int, str] = {
    400: "The request is invalid, or the state of the stack does not allow it.",
    401: "A key is missing or wrong.",
    403: "The key does not allow this call.",
    404: "The request names something that does not exist.",
    409: "Another request came first.",
    413: "The request body is too large.",
    429: "Too many calls; retry in a few seconds.",
    500: "Internal error; the service's log has the cause.",
    501: "Not implemented.",
    503: "A dependency is unavailable; the same call may succeed later.",
    504: "The call took too long.",
}


def reasons_of(method: Method) -> dict[int, list[str]]:
    """Every reason with which a call of the method may fail, by HTTP status."""
    found: dict[int, list[str]] = {
        400: ["INVALID_ARGUMENT", "BAD_REQUEST"] if method.request_fields else ["BAD_REQUEST"],
        500: ["INTERNAL"],
        503: ["UPSTREAM_UNAVAILABLE", "OVERLOADED"],
    }
    if not method.streams:
        found[504] = ["UPSTREAM_TIMEOUT"]
    if method.access in {Access.READ, Access.WRITE}:
        found[401] = ["WRONG_KEY", "MISSING_KEY"]
    if method.access is Access.WRITE:
        found[403] = ["READ_KEY_ONLY", "FOREIGN_ORIGIN"]
    if method.expensive or method.access in {Access.READ, Access.WRITE}:
        found[429] = ["RATE_LIMITED"]
    if method.streams:
        found[429].append("TOO_MANY_STREAMS")
    if method.has_body:
        found[413] = ["REQUEST_TOO_LARGE"]
    for code, reasons in method.errors.items():
        known = found.setdefault(HTTP_STATUS[code], [])
        known += [reason for reason in reasons if reason not in known]
    return dict(sorted(found.items()))


def error_responses(method: Method) -> Json:
    """The error responses of an operation."""
    return {
        str(status): {
            "description": f"{STATUS_MEANING[status]} Reasons: {', '.join(reasons)}.",
            "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            "x-reasons": reasons,
        }
        for status, reasons in reasons_of(method).items()
    }


ERROR_SCHEMAS: Json = {
    "Error": {
        "type": "object",
        "description": "The shape of every error.",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {"type": "integer", "description": "The gRPC code."},
            "message": {"type": "string", "description": "For people."},
            "details": {
                "type": "array",
                "minItems": 1,
                "description": "The first is an ErrorInfo; others may follow.",
                "prefixItems": [{"$ref": "#/components/schemas/ErrorInfo"}],
                "items": {"type": "object"},
            },
        },
    },
    "ErrorInfo": {
        "type": "object",
        "description": "The cause, for programs.",
        "required": ["@type", "reason", "domain"],
        "properties": {
            "@type": {"type": "string", "const": "type.googleapis.com/google.rpc.ErrorInfo"},
            "reason": {"type": "string", "description": "Stable reason code."},
            "domain": {"type": "string", "const": "sep"},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
}

"""The answers that are errors: which a method has, by HTTP status."""

from collections.abc import Mapping
from typing import Any

from sep_stack.contract import Method

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
"""What the transcoder makes of gRPC codes."""

_WORDS = {
    400: "The call can't be right, or the state of the stack forbids it.",
    401: "A key is needed, or the one given is wrong.",
    403: "The key is right, and not for this.",
    404: "What the call names does not exist.",
    409: "Something else came first.",
    413: "The body is too large.",
    429: "Too many calls; try again in a few seconds.",
    500: "A fault of ours; the service's log tells which.",
    501: "Not implemented.",
    503: "Something that is needed is away; the same call may pass later.",
    504: "It took too long.",
}


def reasons_of(method: Method) -> dict[int, list[str]]:
    """Every reason that a call of the method may fail for, by HTTP status."""
    found: dict[int, list[str]] = {
        400: ["INVALID_ARGUMENT", "BAD_REQUEST"] if method.takes else ["BAD_REQUEST"],
        500: ["INTERNAL"],
        503: ["UPSTREAM_UNAVAILABLE"],
    }
    if not method.streams:
        found[504] = ["UPSTREAM_TIMEOUT"]
    if method.access in {"read", "write"}:
        found[401] = ["WRONG_KEY", "MISSING_KEY"]
    if method.access == "write":
        found[403] = ["READ_KEY_ONLY"]
        found[429] = ["RATE_LIMITED"]
    if method.has_body:
        found[413] = ["REQUEST_TOO_LARGE"]
    for code, reasons in method.errors.items():
        known = found.setdefault(HTTP_STATUS[code], [])
        known += [reason for reason in reasons if reason not in known]
    return dict(sorted(found.items()))


def error_responses(method: Method) -> Json:
    """The responses of an operation that are errors."""
    return {
        str(status): {
            "description": f"{_WORDS[status]} Reasons: {', '.join(reasons)}.",
            "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            "x-reasons": reasons,
        }
        for status, reasons in reasons_of(method).items()
    }


ERROR_SCHEMAS: Json = {
    "Error": {
        "type": "object",
        "description": "What every error looks like, whoever makes it.",
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
            "reason": {"type": "string", "description": "Stable; look at this."},
            "domain": {"type": "string", "const": "sep"},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
}

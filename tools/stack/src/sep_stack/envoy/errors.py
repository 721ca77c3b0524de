"""Envoy's own errors in the shape that services' errors have after transcoding."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _OwnError:
    """What Envoy answers itself, by HTTP status."""

    status: int
    grpc_code: int
    reason: str
    message: str


# Envoy's own words tell which parameter or which byte of the body was wrong.
_ITS_WORDS = "%LOCAL_REPLY_BODY% (%RESPONSE_CODE_DETAILS%)"

OWN_ERRORS = (
    _OwnError(400, 3, "BAD_REQUEST", _ITS_WORDS),
    _OwnError(403, 7, "UPGRADE_REFUSED", "connections can't be upgraded here"),
    _OwnError(404, 5, "UNKNOWN_ROUTE", "no such route"),
    _OwnError(405, 12, "METHOD_NOT_ALLOWED", "this route does not take this method"),
    _OwnError(408, 4, "REQUEST_TIMEOUT", "the request took too long to arrive"),
    _OwnError(413, 8, "REQUEST_TOO_LARGE", "the request body is too large"),
    _OwnError(426, 12, "UPGRADE_REQUIRED", "HTTP/1.1 or HTTP/2 is needed"),
    _OwnError(429, 8, "RATE_LIMITED", "too many requests"),
    _OwnError(431, 8, "HEADERS_TOO_LARGE", "the request headers are too large"),
    _OwnError(500, 13, "INTERNAL", "internal error"),
    _OwnError(501, 12, "NOT_IMPLEMENTED", "only the transfer encoding `chunked` is understood"),
    _OwnError(502, 14, "UPSTREAM_PROTOCOL_ERROR", "the service behind this route answered garbage"),
    _OwnError(503, 14, "UPSTREAM_UNAVAILABLE", "the service behind this route does not answer"),
    _OwnError(504, 4, "UPSTREAM_TIMEOUT", "the service behind this route took too long"),
)


def local_reply_config() -> Json:
    """Mappers that turn each of Envoy's own errors into JSON, native gRPC calls excepted."""
    return {"mappers": [_mapper(error) for error in OWN_ERRORS]}


def _mapper(error: _OwnError) -> Json:
    return {
        "filter": {
            "and_filter": {
                "filters": [
                    {
                        "status_code_filter": {
                            "comparison": {
                                "op": "EQ",
                                "value": {
                                    "default_value": error.status,
                                    "runtime_key": "sep.own_error",
                                },
                            }
                        }
                    },
                    _FROM_REST,
                ]
            }
        },
        "body_format_override": {
            "json_format": {
                "code": error.grpc_code,
                "message": error.message,
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": error.reason,
                        "domain": "sep",
                    }
                ],
            }
        },
    }


# A transcoded call looks like gRPC by now, save that it keeps its first path in a header.
_FROM_REST: Json = {
    "or_filter": {
        "filters": [
            {"header_filter": {"header": {"name": "x-envoy-original-path", "present_match": True}}},
            {
                "header_filter": {
                    "header": {
                        "name": "content-type",
                        "string_match": {"prefix": "application/grpc"},
                        "treat_missing_header_as_empty": True,
                        "invert_match": True,
                    }
                }
            },
        ]
    }
}

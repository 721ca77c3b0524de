"""Envoy's own errors, in the JSON shape that services' errors have after transcoding."""

from dataclasses import dataclass

from sep_edge.envoy.filters import Json


@dataclass(frozen=True, slots=True)
class ProxyError:
    """An error that Envoy itself returns, by HTTP status and, where set, Envoy's response flag."""

    status: int
    grpc_code: int
    reason: str
    message: str
    flag: str = ""


# Envoy's own text names the parameter or the byte of the body that was wrong.
_ENVOY_TEXT = "%LOCAL_REPLY_BODY% (%RESPONSE_CODE_DETAILS%)"

PROXY_ERRORS = (
    ProxyError(400, 3, "BAD_REQUEST", _ENVOY_TEXT),
    ProxyError(403, 7, "UPGRADE_REFUSED", "connections can't be upgraded here"),
    ProxyError(404, 5, "UNKNOWN_ROUTE", "no such route"),
    ProxyError(405, 12, "METHOD_NOT_ALLOWED", "this route does not allow this HTTP method"),
    ProxyError(408, 4, "REQUEST_TIMEOUT", "the request took too long to arrive"),
    ProxyError(413, 8, "REQUEST_TOO_LARGE", "the request body is too large"),
    ProxyError(
        421, 7, "HOST_NOT_ALLOWED", "this host name is not served here: add it to ALLOWED_HOSTS"
    ),
    ProxyError(426, 12, "UPGRADE_REQUIRED", "HTTP/1.1 or HTTP/2 is needed"),
    ProxyError(429, 8, "RATE_LIMITED", "too many requests"),
    ProxyError(431, 8, "HEADERS_TOO_LARGE", "the request headers are too large"),
    ProxyError(500, 13, "INTERNAL", "internal error"),
    ProxyError(501, 12, "NOT_IMPLEMENTED", "the only supported transfer encoding is `chunked`"),
    ProxyError(502, 14, "UPSTREAM_PROTOCOL_ERROR", "the service sent an invalid response"),
    # The circuit breaker of a cluster: the call was not passed on, so nothing was carried out.
    ProxyError(503, 14, "OVERLOADED", "too many calls are in progress: try again", flag="UO"),
    ProxyError(503, 14, "UPSTREAM_UNAVAILABLE", "the service behind this route does not respond"),
    ProxyError(504, 4, "UPSTREAM_TIMEOUT", "the service behind this route took too long"),
)

# A transcoded call looks like gRPC by now, except that a header holds its original path.
_FROM_REST: Json = {
    "or_filter": {
        "filters": [
            {"header_filter": {"header": {"name": "x-envoy-original-path", "present_match": True}}},
            {
                "header_filter": {
                    "header": {
                        "name": "content-type",
                        # Not gRPC-Web, which no method is served over.
                        "string_match": {"safe_regex": {"regex": r"application/grpc(\+.*)?"}},
                        "treat_missing_header_as_empty": True,
                        "invert_match": True,
                    }
                }
            },
        ]
    }
}


def local_reply_config() -> Json:
    """Mappers that give each of Envoy's own errors its JSON body, except on native gRPC calls.

    The first that matches counts.
    """
    return {"mappers": [_mapper(error) for error in PROXY_ERRORS]}


def _mapper(error: ProxyError) -> Json:
    has_status = {
        "status_code_filter": {
            "comparison": {
                "op": "EQ",
                "value": {"default_value": error.status, "runtime_key": "sep.own_error"},
            }
        }
    }
    filters = [has_status, _FROM_REST]
    if error.flag:
        filters.append({"response_flag_filter": {"flags": [error.flag]}})
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.reason,
        "domain": "sep",
    }
    return {
        "filter": {"and_filter": {"filters": filters}},
        "body_format_override": {
            "json_format": {
                "code": error.grpc_code,
                "message": error.message,
                "details": [detail],
            }
        },
    }

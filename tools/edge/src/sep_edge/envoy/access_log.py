"""The access log: one JSON line for each write, failure and slow call, and some of the reads."""

from collections.abc import Sequence

from sep_contract import Method

from sep_edge.envoy.filters import Json, header_equals, typed
from sep_edge.envoy.settings import PROBE_USER_AGENT

_SLOW_MS = 1000


def access_log(logged_reads: int, methods: Sequence[Method]) -> Json:
    """The access log.

    Args:
        logged_reads: percentage of successful reads that are logged.
        methods: the methods of the contract.
    """
    sampled = {
        "runtime_key": "access_log.reads",
        "percent_sampled": {"numerator": logged_reads, "denominator": "HUNDRED"},
        "use_independent_randomness": True,
    }
    # By now a REST call has its gRPC path and the HTTP method POST.
    writes = [header_equals(":path", m.path) for m in methods if not m.reads]
    logged = {
        "filters": [
            *({"header_filter": {"header": write}} for write in writes),
            _at_least("status_code_filter", 400),
            _at_least("duration_filter", _SLOW_MS),
            {"runtime_filter": sampled},
        ]
    }
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": {"and_filter": {"filters": [_no_probe(methods), {"or_filter": logged}]}},
        "typed_config": typed(
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            log_format={
                "json_format": {
                    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
                    "request_id": "%REQ(X-REQUEST-ID)%",
                    "method": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
                    # Without the query, which may hold a key that was sent in the wrong place.
                    "path": "%PATH(NQ:ORIG_OR_PATH)%",
                    "protocol": "%PROTOCOL%",
                    "status": "%RESPONSE_CODE%",
                    "grpc_status": "%GRPC_STATUS(SNAKE_STRING)%",
                    "milliseconds": "%DURATION%",
                    "sent": "%BYTES_SENT%",
                    "received": "%BYTES_RECEIVED%",
                    "flags": "%RESPONSE_FLAGS%",
                    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
                    "user_agent": "%REQ(USER-AGENT)%",
                },
                "omit_empty_values": True,
            },
        ),
    }


def _no_probe(methods: Sequence[Method]) -> Json:
    """Everything but a probe: one header alone hides no call from the log."""
    paths = [method.path for method in methods if method.route == "/health"]
    probe = [
        header_equals("user-agent", PROBE_USER_AGENT),
        *(header_equals(":path", p) for p in paths),
    ]
    return {
        "or_filter": {
            "filters": [{"header_filter": {"header": h | {"invert_match": True}}} for h in probe]
        }
    }


def _at_least(filter_name: str, value: int) -> Json:
    threshold = {"default_value": value, "runtime_key": "access_log"}
    return {filter_name: {"comparison": {"op": "GE", "value": threshold}}}

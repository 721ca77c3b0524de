"""The access log: one JSON line a call, of those that somebody will look for."""

from collections.abc import Sequence

from sep_stack.contract import Method
from sep_stack.envoy.wire import Json, exactly, typed


def access_log(logged_reads: int, methods: Sequence[Method]) -> Json:
    """One JSON line a call: each that writes, fails or is slow, and some of the rest.

    Args:
        logged_reads: of a hundred reads that went well, how many it tells.
    """

    def compared(kind: str, op: str, value: int) -> Json:
        comparison = {"op": op, "value": {"default_value": value, "runtime_key": "access_log"}}
        return {kind: {"comparison": comparison}}

    sampled = {
        "runtime_key": "access_log.reads",
        "percent_sampled": {"numerator": logged_reads, "denominator": "HUNDRED"},
        "use_independent_randomness": True,
    }
    # By now a REST call has its gRPC path, and says POST whatever it was.
    writes = [exactly(":path", m.path) for m in methods if not m.reads]
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": {
            "or_filter": {
                "filters": [
                    *({"header_filter": {"header": write}} for write in writes),
                    compared("status_code_filter", "GE", 400),
                    compared("duration_filter", "GE", 1000),
                    {"runtime_filter": sampled},
                ]
            }
        },
        "typed_config": typed(
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            log_format={
                "json_format": {
                    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
                    "request_id": "%REQ(X-REQUEST-ID)%",
                    "method": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
                    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
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

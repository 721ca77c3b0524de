"""Filters that turn REST/JSON calls into gRPC calls.

The transcoder rewrites a REST call to its gRPC path and routes it again, so that one route for each
gRPC method serves both kinds of client.
"""

from pathlib import Path

from sep_contract import Contract

from sep_edge.envoy.filters import Json, header_mutation, http_filter, lua_filter, set_header, typed
from sep_edge.envoy.lua import lua_source

MAX_REQUEST_BYTES = 16 * 1024
"""Largest REST body. The largest useful one, a fetch of 100 instruments, is 2 kB."""
MAX_RESPONSE_BYTES = 32 * 1024 * 1024
"""Largest REST response. 5,000 candles are about 0.8 MiB of JSON."""

TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
BUFFER = "envoy.filters.http.buffer"
BUFFER_TYPE = "envoy.extensions.filters.http.buffer.v3.Buffer"
PREPARE_REQUEST = "envoy.filters.http.lua"


def transcoding_filters(descriptor_set: Path, contract: Contract) -> list[Json]:
    """The transcoder and the filters around it; disabled ones are enabled by REST routes."""
    return [
        # Disabled by default because native streams must not be buffered.
        http_filter(BUFFER, BUFFER_TYPE, disabled=True, max_request_bytes=MAX_REQUEST_BYTES),
        lua_filter(PREPARE_REQUEST, lua_source("prepare_request")),
        # Sees REST responses after the transcoder.
        header_mutation(
            disabled=True,
            response=[
                *({"remove": name} for name in ("grpc-status", "grpc-message")),
                {"append": set_header("x-content-type-options", "nosniff")},
                {"append": set_header("cache-control", "no-store", "ADD_IF_ABSENT")},
            ],
        ),
        {"name": TRANSCODER, "typed_config": transcoder(descriptor_set, contract)},
        # Sees responses before the transcoder.
        header_mutation(response=[{"remove": "grpc-accept-encoding"}]),
    ]


def transcoder(descriptor_set: Path, contract: Contract) -> Json:
    """Configuration of the transcoder.

    One serves all routes: each that a route has of its own takes Envoy 2 MB (measured).
    """
    return typed(
        "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(descriptor_set),
        services=[service.name for service in contract.services],
        convert_grpc_status=True,
        print_options={
            "preserve_proto_field_names": True,
            "always_print_primitive_fields": True,
            # Concerns streams of messages alone: not a file, which is sent in pieces as it is.
            "stream_sse_style_delimited": True,
        },
        request_validation_options={
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        # By default it leaves %3A as it is. The routes let no other escape pass.
        url_unescape_spec="ALL_CHARACTERS_EXCEPT_SLASH",
        max_response_body_size=MAX_RESPONSE_BYTES,
    )

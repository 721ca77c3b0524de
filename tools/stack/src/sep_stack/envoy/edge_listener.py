"""The edge: the one public listener. TLS, access log, limits, CORS, compression, cache.

It transcodes as well, save for reads that it keeps: cache and transcoder don't work on one and the
same call, so these go to the transcoding listener of the same Envoy, over a Unix domain socket.
"""

from collections.abc import Sequence

from sep_stack.contract import Method
from sep_stack.envoy.access_log import access_log
from sep_stack.envoy.edge import (
    CACHE,
    CLUSTER,
    LIMIT,
    LIMIT_TYPE,
    LUA_TYPE,
    ONE_NAME,
    ONE_NAME_SOURCE,
    Edge,
)
from sep_stack.envoy.edge_routes import MAX_PAGE_BYTES, edge_routes
from sep_stack.envoy.errors import local_reply_config
from sep_stack.envoy.transcoding import transcoding_filters
from sep_stack.envoy.wire import (
    HEADER_MUTATION_TYPE,
    ROUTER,
    Endpoint,
    Json,
    endpoint,
    header,
    http2_options,
    http_filter,
    listener,
    typed,
)


def edge_listener(edge: Edge, methods: Sequence[Method]) -> Json:
    """The public listener."""
    manager: Json = {
        "stat_prefix": "public",
        "codec_type": "AUTO",
        "server_name": "sep",
        "use_remote_address": True,
        "always_set_request_id_in_response": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "request_headers_timeout": "10s",
        "max_request_headers_kb": 32,
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
        "local_reply_config": local_reply_config(),
        "access_log": [access_log(edge.logged_reads, methods)],
        "http_filters": _filters(edge),
        "route_config": {
            "name": "public",
            "max_direct_response_body_size_bytes": MAX_PAGE_BYTES,
            "virtual_hosts": [
                {
                    "name": "sep",
                    "domains": ["*"],
                    "routes": edge_routes(edge, methods),
                    "typed_per_filter_config": _cors(edge.cors_origins),
                }
            ],
        },
    }
    return listener(edge.listen, manager, edge.tls)


def inner_cluster(inner: Endpoint) -> Json:
    """The way from the edge to the transcoding listener."""
    return {
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": endpoint(inner)}}]}],
        },
        "typed_extension_protocol_options": http2_options(),
        # Nothing but ourselves is behind it, and many streams are open for days.
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": 64, "max_requests": 10_000, "max_pending_requests": 4096}
            ]
        },
    }


def _filters(edge: Edge) -> list[Json]:
    filters = [
        # Seen last: what the services say nothing about is not kept.
        http_filter(
            "sep.no_store",
            HEADER_MUTATION_TYPE,
            mutations={
                "response_mutations": [
                    {"append": header("cache-control", "no-store", "ADD_IF_ABSENT")}
                ]
            },
        ),
        http_filter("envoy.filters.http.cors", "envoy.extensions.filters.http.cors.v3.Cors"),
        # Without a bucket of its own it limits nothing: the routes of writes have theirs.
        http_filter(LIMIT, LIMIT_TYPE, stat_prefix="limit"),
        http_filter(
            "envoy.filters.http.compressor",
            "envoy.extensions.filters.http.compressor.v3.Compressor",
            response_direction_config={
                "common_config": {
                    "min_content_length": 1024,
                    # Not text/event-stream: an event must not wait for a full block.
                    "content_type": ["application/json", "text/plain", "text/html"],
                }
            },
            compressor_library={
                "name": "gzip",
                "typed_config": typed(
                    "envoy.extensions.compression.gzip.compressor.v3.Gzip",
                    compression_level="BEST_SPEED",
                ),
            },
        ),
    ]
    if edge.cache:
        filters += [
            # Switched on by the routes of what is kept.
            http_filter(
                ONE_NAME,
                LUA_TYPE,
                disabled=True,
                default_source_code={"inline_string": ONE_NAME_SOURCE},
            ),
            http_filter(
                CACHE,
                "envoy.extensions.filters.http.cache.v3.CacheConfig",
                typed_config=typed(
                    "envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig"
                ),
                # A reload button must not be a way past it.
                ignore_request_cache_control_header=True,
            ),
        ]
    return [*filters, *transcoding_filters(edge.descriptor_set), ROUTER]


def _cors(origins: Sequence[str]) -> Json:
    if not origins:
        return {}
    return {
        "envoy.filters.http.cors": typed(
            "envoy.extensions.filters.http.cors.v3.CorsPolicy",
            allow_origin_string_match=[{"exact": origin} for origin in origins],
            allow_methods="GET, POST",
            allow_headers="authorization, content-type, x-request-id",
            expose_headers="x-request-id",
            max_age="600",
        )
    }

"""Envoy's listeners: a public one, the operator's, and one behind them that only transcodes.

One port can't tell the operator's connection from another before it has accepted it. The operator's
listener is therefore a second address, which only this machine reaches: its connections count
towards no limit, and shortage of memory refuses none of them.

Envoy's cache and transcoder don't work on the same call. Cached reads therefore go from the public
listener through the cache to the transcoding listener; all other calls are transcoded at once.
"""

from collections.abc import Sequence

from sep_contract import Contract

from sep_edge.address import Address
from sep_edge.envoy.access_log import access_log
from sep_edge.envoy.endpoints import Endpoint, Tls, address_json, server_tls
from sep_edge.envoy.errors import local_reply_config
from sep_edge.envoy.filters import (
    HEADER_MUTATION_TYPE,
    ROUTER,
    Json,
    http_filter,
    lua_filter,
    set_header,
    typed,
)
from sep_edge.envoy.lua import lua_source
from sep_edge.envoy.overload import (
    BUFFER_BYTES,
    IDLE_TIMEOUT,
    REQUEST_TIMEOUT,
    STREAM_IDLE_TIMEOUT,
    http2_options,
)
from sep_edge.envoy.pages import MAX_PAGE_BYTES
from sep_edge.envoy.public_routes import public_routes
from sep_edge.envoy.rate_limit import RATE_LIMIT, RATE_LIMIT_TYPE
from sep_edge.envoy.response_cache import CACHE, REWRITE_HOST
from sep_edge.envoy.rest_routes import rest_routes
from sep_edge.envoy.service_routes import service_routes
from sep_edge.envoy.settings import EdgeSettings
from sep_edge.envoy.transcoding import transcoding_filters

_COMPRESSED = ("application/json", "text/plain", "text/html")


def public_listener(settings: EdgeSettings, contract: Contract) -> Json:
    """The public listener: TLS, access log, limits, CORS, compression, cache, transcoding."""
    return _listener(settings.listen, _manager("public", settings, contract), settings.tls)


def operator_listener(address: Endpoint, settings: EdgeSettings, contract: Contract) -> Json:
    """The same API on an address with connections of its own."""
    return _listener(address, _manager("operator", settings, contract)) | {
        "ignore_global_conn_limit": True,
        "bypass_overload_manager": True,
    }


def _manager(name: str, settings: EdgeSettings, contract: Contract) -> Json:
    """The connection manager of the public API."""
    return {
        "stat_prefix": name,
        "codec_type": "AUTO",
        "server_name": "sep",
        "use_remote_address": True,
        "always_set_request_id_in_response": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "request_headers_timeout": REQUEST_TIMEOUT,
        "request_timeout": REQUEST_TIMEOUT,
        "stream_idle_timeout": STREAM_IDLE_TIMEOUT,
        "max_request_headers_kb": 32,
        "common_http_protocol_options": {
            "idle_timeout": IDLE_TIMEOUT,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": http2_options(),
        "local_reply_config": local_reply_config(),
        "access_log": [access_log(settings.logged_reads, list(contract.methods.values()))],
        "http_filters": _public_filters(settings, contract),
        "route_config": {
            "name": "public",
            "max_direct_response_body_size_bytes": MAX_PAGE_BYTES,
            "virtual_hosts": [
                {
                    "name": "sep",
                    "domains": ["*"],
                    "routes": public_routes(settings, contract, operator=name == "operator"),
                    "typed_per_filter_config": _cors(settings.cors_origins),
                }
            ],
        },
    }


def transcoding_listener(settings: EdgeSettings, contract: Contract) -> Json:
    """The listener behind the cache."""
    manager: Json = {
        "stat_prefix": "transcoding",
        "codec_type": "AUTO",
        # The public listener has set the client address and the request id.
        "use_remote_address": False,
        "generate_request_id": False,
        "local_reply_config": local_reply_config(),
        "http_filters": [*transcoding_filters(settings.descriptor_set, contract), ROUTER],
        "route_config": {
            "name": "services",
            "virtual_hosts": [
                {
                    "name": "sep",
                    "domains": ["*"],
                    "routes": [
                        *rest_routes(contract),
                        *service_routes(contract),
                    ],
                }
            ],
        },
    }
    return _listener(settings.transcoding, manager)


def _listener(endpoint: Endpoint, manager: Json, tls: Tls | None = None) -> Json:
    """A listener with one HTTP connection manager."""
    chain: Json = {
        "filters": [
            {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": typed(
                    "envoy.extensions.filters.network.http_connection_manager.v3"
                    ".HttpConnectionManager",
                    **manager,
                ),
            }
        ]
    }
    if tls:
        chain["transport_socket"] = server_tls(tls)
        chain["transport_socket_connect_timeout"] = REQUEST_TIMEOUT
    config: Json = {
        "name": manager["stat_prefix"],
        "address": address_json(endpoint),
        "filter_chains": [chain],
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        # Without it idle connections and their reset could fill the queue of new ones.
        "tcp_backlog_size": 4096,
    }
    if isinstance(endpoint, Address):
        # Otherwise two Envoys on one port would share it without an error.
        config["enable_reuse_port"] = False
    return config


def _public_filters(settings: EdgeSettings, contract: Contract) -> list[Json]:
    filters = [
        # The first filter sees responses last: no-store unless the service set a cache-control.
        http_filter(
            "sep.no_store",
            HEADER_MUTATION_TYPE,
            mutations={
                "response_mutations": [
                    {"append": set_header("cache-control", "no-store", "ADD_IF_ABSENT")}
                ]
            },
        ),
        http_filter("envoy.filters.http.cors", "envoy.extensions.filters.http.cors.v3.Cors"),
        # It has no bucket of its own and so limits nothing; expensive routes have buckets.
        http_filter(RATE_LIMIT, RATE_LIMIT_TYPE, stat_prefix="limit"),
        http_filter(
            "envoy.filters.http.compressor",
            "envoy.extensions.filters.http.compressor.v3.Compressor",
            response_direction_config={
                "common_config": {
                    "min_content_length": 1024,
                    # Not text/event-stream: an event must not wait for a full block.
                    "content_type_matcher": [{"prefix": kind} for kind in _COMPRESSED],
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
    if settings.cache:
        filters += [
            lua_filter(REWRITE_HOST, lua_source("rewrite_host")),
            http_filter(
                CACHE,
                "envoy.extensions.filters.http.cache.v3.CacheConfig",
                typed_config=typed(
                    "envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig"
                ),
                # A browser's reload must not bypass the cache.
                ignore_request_cache_control_header=True,
            ),
        ]
    return [*filters, *transcoding_filters(settings.descriptor_set, contract), ROUTER]


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

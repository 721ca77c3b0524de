"""The edge: the one public listener. TLS, access log, limits, CORS, compression, cache.

It transcodes as well, save for reads that it keeps: cache and transcoder don't work on one and the
same call, so these go to the transcoding listener of the same Envoy, over a Unix domain socket.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sep_stack.address import Address
from sep_stack.contract import Method
from sep_stack.envoy_errors import local_reply_config
from sep_stack.envoy_transcoding import (
    TRANSCODER,
    rest_routes,
    service_routes,
    transcoding_filters,
)
from sep_stack.envoy_wire import (
    HEADER_MUTATION_TYPE,
    NO_TIMEOUT,
    ROUTER,
    Endpoint,
    Json,
    Tls,
    endpoint,
    header,
    http2_options,
    http_filter,
    listener,
    typed,
)

CLUSTER = "transcoding"

WRITE_LIMIT = 20
"""Calls of each writing method that one client address may make in ten seconds."""

_OFF = typed("envoy.config.route.v3.FilterConfig", disabled=True)
_CACHE = "envoy.filters.http.cache"
_LIMIT = "envoy.filters.http.local_ratelimit"
_LIMIT_TYPE = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_MAX_PAGE_BYTES = 4 * 1024 * 1024
# What is kept must be bounded, since nothing is ever thrown out: these queries alone, and they
# have good answers for instruments that exist alone.
_KEPT_QUERIES = r"(\?instrument=[A-Z0-9_]+(&limit=120)?)?"
# The cache files an answer under the name that the client has for this machine, too. Clients can
# make up any number of names, and must not fill the memory with them.
_ONE_NAME = 'function envoy_on_request(handle) handle:headers():replace(":authority", "sep") end'
_LUA = "sep.one_name"
_LUA_TYPE = "envoy.extensions.filters.http.lua.v3.Lua"
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Edge:
    """What differs between one edge and the next.

    Args:
        inner: where the transcoding listener is.
        descriptor_set: the contract, where Envoy finds it.
        pages: folder of ``openapi.json`` and ``docs.html``; none without it.
        cache: whether answers that may be a second old are kept here.
        logged_reads: of a hundred reads that went well, how many the access log tells.
        write_limit: calls of each writing method that one client may make in ten seconds.
    """

    listen: Address
    inner: Endpoint
    descriptor_set: Path
    tls: Tls | None = None
    pages: Path | None = None
    cors_origins: tuple[str, ...] = ()
    cache: bool = True
    logged_reads: int = 1
    write_limit: int = WRITE_LIMIT


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
        "access_log": [_access_log(edge.logged_reads, methods)],
        "http_filters": _filters(edge),
        "route_config": {
            "name": "public",
            "max_direct_response_body_size_bytes": _MAX_PAGE_BYTES,
            "virtual_hosts": [
                {
                    "name": "sep",
                    "domains": ["*"],
                    "routes": _routes(edge, methods),
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
        http_filter(_LIMIT, _LIMIT_TYPE, stat_prefix="limit"),
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
                _LUA,
                _LUA_TYPE,
                disabled=True,
                default_source_code={"inline_string": _ONE_NAME},
            ),
            http_filter(
                _CACHE,
                "envoy.extensions.filters.http.cache.v3.CacheConfig",
                typed_config=typed(
                    "envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig"
                ),
                # A reload button must not be a way past it.
                ignore_request_cache_control_header=True,
            ),
        ]
    return [*filters, *transcoding_filters(edge.descriptor_set), ROUTER]


def _routes(edge: Edge, methods: Sequence[Method]) -> list[Json]:
    routes = [*_preflight(edge), *_pages(edge)]
    routes += _kept_routes(edge, methods)
    routes += _service_routes(edge, methods)
    return [*routes, *_nowhere(edge)]


def _nowhere(edge: Edge) -> Iterable[Json]:
    """The transcoder would find a path that no route knows, such as one with a slash at its end."""
    answer = {"direct_response": {"status": 404}, **_plain(edge)}
    for origin in edge.cors_origins:
        # The CORS filter leaves direct responses alone; a browser could not read this one.
        named = [header("access-control-allow-origin", origin), header("vary", "origin")]
        match = {"prefix": "/", "headers": [_exactly("origin", origin)]}
        yield {"match": match, "response_headers_to_add": named, **answer}
    yield {"match": {"prefix": "/"}, **answer}


def _preflight(edge: Edge) -> Iterable[Json]:
    """What browsers ask before a call: the CORS filter answers, if a route is there."""
    if edge.cors_origins:
        asked = {"name": "access-control-request-method", "present_match": True}
        match = {"prefix": "/", "headers": [_exactly(":method", "OPTIONS"), asked]}
        yield {"match": match, "route": {"cluster": CLUSTER}, **_plain(edge)}


def _kept_routes(edge: Edge, methods: Sequence[Method]) -> Iterable[Json]:
    """The reads that may be a second old; everything else passes the cache by."""
    for method in methods:
        if edge.cache and method.max_age_s and method.verb == "GET":
            whole = {"safe_regex": {"regex": re.escape(method.route) + _KEPT_QUERIES}}
            yield {
                "match": {
                    "path": method.route,
                    # Here the header is the path with its query.
                    "headers": [
                        {"name": ":path", "string_match": whole},
                        _exactly(":method", "GET"),
                    ],
                },
                "route": {"cluster": CLUSTER, "timeout": NO_TIMEOUT},
                "typed_per_filter_config": {
                    _LUA: typed(_LUA_TYPE + "PerRoute", source_code={"inline_string": _ONE_NAME}),
                    TRANSCODER: _OFF,
                },
            }


def _pages(edge: Edge) -> Iterable[Json]:
    if edge.pages is None:
        return
    for path, file, kind in (
        ("/openapi.json", "openapi.json", "application/json"),
        ("/docs", "docs.html", "text/html; charset=utf-8"),
    ):
        read = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
        yield {
            "match": {"path": path, "headers": [read]},
            "direct_response": {"status": 200, "body": {"filename": str(edge.pages / file)}},
            "response_headers_to_add": [
                header("content-type", kind),
                header("cache-control", "no-cache"),
                header("content-security-policy", _PAGE_POLICY),
            ],
            **_plain(edge),
        }
        yield _wrong_verb(edge, path, ("GET", "HEAD"))


def _service_routes(edge: Edge, methods: Sequence[Method]) -> Iterable[Json]:
    """REST and gRPC paths of the services: limits on writes, 405 for what a path does not take."""
    rest = rest_routes(methods, edge.descriptor_set)
    native = service_routes(methods)
    for method in methods:
        if method.writes:
            limit = {_LIMIT: _limit(edge.write_limit)}
            if method.route:
                yield _narrowed(edge, _of(rest, method.route), method.route, method.verb, limit)
            yield _narrowed(edge, _of(native, method.path), method.path, "POST", limit)
    verbs: dict[str, list[str]] = {}
    for method in methods:
        if method.route:
            verbs.setdefault(method.route, []).append(method.verb)
    for path, allowed in verbs.items():
        for verb in allowed:
            yield _narrowed(edge, _of(rest, path), path, verb, {})
        yield _wrong_verb(edge, path, allowed)
    for route in native:
        yield _uncached(edge, route)


def _wrong_verb(edge: Edge, path: str, allowed: Sequence[str]) -> Json:
    return {
        "match": {"path": path},
        "direct_response": {"status": 405},
        "response_headers_to_add": [header("allow", ", ".join(sorted(allowed)))],
        **_plain(edge),
    }


def _of(routes: Sequence[Json], path: str) -> Json:
    """The route that a path takes."""
    return next(
        r
        for r in routes
        if r["match"].get("path") == path or path.startswith(r["match"].get("prefix", "?"))
    )


def _narrowed(edge: Edge, route: Json, path: str, verb: str, more: Json) -> Json:
    config = route.get("typed_per_filter_config", {}) | more
    match = {"path": path, "headers": [_exactly(":method", verb)]}
    return _uncached(edge, route | {"match": match, "typed_per_filter_config": config})


def _uncached(edge: Edge, route: Json) -> Json:
    if not edge.cache:
        return route
    config = route.get("typed_per_filter_config", {})
    return route | {"typed_per_filter_config": config | {_CACHE: _OFF}}


def _plain(edge: Edge) -> Json:
    """For routes that are neither kept nor transcoded."""
    config = {TRANSCODER: _OFF} | ({_CACHE: _OFF} if edge.cache else {})
    return {"typed_per_filter_config": config}


def _limit(calls: int) -> Json:
    everything = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    bucket = {"max_tokens": calls, "tokens_per_fill": calls, "fill_interval": "10s"}
    return typed(
        _LIMIT_TYPE,
        stat_prefix="limit",
        filter_enabled=everything | {"runtime_key": "limit.enabled"},
        filter_enforced=everything | {"runtime_key": "limit.enforced"},
        # An entry without a value: a bucket for each address that comes, the last thousand.
        descriptors=[{"entries": [{"key": "remote_address"}], "token_bucket": bucket}],
        max_dynamic_descriptors=1000,
        always_consume_default_token_bucket=False,
        token_bucket=bucket | {"max_tokens": 50 * calls, "tokens_per_fill": 50 * calls},
        rate_limits=[{"actions": [{"remote_address": {}}]}],
        rate_limited_as_resource_exhausted=True,
    )


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


def _access_log(logged_reads: int, methods: Sequence[Method]) -> Json:
    """One JSON line a call: each that writes, fails or is slow, and some of the rest."""

    def compared(kind: str, op: str, value: int) -> Json:
        comparison = {"op": op, "value": {"default_value": value, "runtime_key": "access_log"}}
        return {kind: {"comparison": comparison}}

    sampled = {
        "runtime_key": "access_log.reads",
        "percent_sampled": {"numerator": logged_reads, "denominator": "HUNDRED"},
        "use_independent_randomness": True,
    }
    # By now a REST call has its gRPC path, and says POST whatever it was.
    writes = [_exactly(":path", m.path) for m in methods if not m.reads]
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


def _exactly(header: str, value: str) -> Json:
    return {"name": header, "string_match": {"exact": value}}

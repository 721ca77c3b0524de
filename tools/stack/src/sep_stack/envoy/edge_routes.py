"""Where the edge sends a call: pages, kept reads, services, and nowhere; limits on what writes."""

import re
from collections.abc import Iterable, Sequence

from sep_stack.contract import Method
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
from sep_stack.envoy.transcoding import TRANSCODER, rest_routes, service_routes
from sep_stack.envoy.wire import NO_TIMEOUT, Json, exactly, header, typed

MAX_PAGE_BYTES = 4 * 1024 * 1024
_OFF = typed("envoy.config.route.v3.FilterConfig", disabled=True)
# What is kept must be bounded, since nothing is ever thrown out: these queries alone, and they
# have good answers for instruments that exist alone.
_KEPT_QUERIES = r"(\?instrument=[A-Z0-9_]+(&limit=120)?)?"
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def edge_routes(edge: Edge, methods: Sequence[Method]) -> list[Json]:
    """Every route of the public listener, the first that fits counts."""
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
        match = {"prefix": "/", "headers": [exactly("origin", origin)]}
        yield {"match": match, "response_headers_to_add": named, **answer}
    yield {"match": {"prefix": "/"}, **answer}


def _preflight(edge: Edge) -> Iterable[Json]:
    """What browsers ask before a call: the CORS filter answers, if a route is there."""
    if edge.cors_origins:
        asked = {"name": "access-control-request-method", "present_match": True}
        match = {"prefix": "/", "headers": [exactly(":method", "OPTIONS"), asked]}
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
                        exactly(":method", "GET"),
                    ],
                },
                "route": {"cluster": CLUSTER, "timeout": NO_TIMEOUT},
                "typed_per_filter_config": {
                    ONE_NAME: typed(
                        LUA_TYPE + "PerRoute", source_code={"inline_string": ONE_NAME_SOURCE}
                    ),
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
            limit = {LIMIT: _limit(edge.write_limit)}
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
    match = {"path": path, "headers": [exactly(":method", verb)]}
    return _uncached(edge, route | {"match": match, "typed_per_filter_config": config})


def _uncached(edge: Edge, route: Json) -> Json:
    if not edge.cache:
        return route
    config = route.get("typed_per_filter_config", {})
    return route | {"typed_per_filter_config": config | {CACHE: _OFF}}


def _plain(edge: Edge) -> Json:
    """For routes that are neither kept nor transcoded."""
    config = {TRANSCODER: _OFF} | ({CACHE: _OFF} if edge.cache else {})
    return {"typed_per_filter_config": config}


def _limit(calls: int) -> Json:
    everything = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    bucket = {"max_tokens": calls, "tokens_per_fill": calls, "fill_interval": "10s"}
    return typed(
        LIMIT_TYPE,
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

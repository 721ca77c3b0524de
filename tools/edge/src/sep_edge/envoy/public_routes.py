"""Routes of the public listener: pages, cached reads, services, and errors for all other paths."""

from collections.abc import Iterable, Sequence

from sep_contract import Contract, Method

from sep_edge.envoy.clusters import TRANSCODING_CLUSTER
from sep_edge.envoy.filters import DISABLED, Json, header_equals, set_header
from sep_edge.envoy.hosts import other_hosts
from sep_edge.envoy.pages import pages
from sep_edge.envoy.paths import path_match
from sep_edge.envoy.rate_limit import RATE_LIMIT, read_limit
from sep_edge.envoy.response_cache import CACHE, cached_routes
from sep_edge.envoy.rest_routes import rest_routes
from sep_edge.envoy.service_routes import service_routes
from sep_edge.envoy.settings import EdgeSettings
from sep_edge.envoy.transcoding import TRANSCODER


def public_routes(
    settings: EdgeSettings, contract: Contract, *, operator: bool = False
) -> list[Json]:
    """Every route of the public listener, or the operator's; the first that matches counts."""
    return [
        _other_hosts(settings),
        *_preflight(settings),
        *_pages(settings),
        *(cached_routes(contract) if settings.cache else ()),
        *_services(settings, contract, operator=operator),
        *_not_found(settings),
    ]


def _other_hosts(settings: EdgeSettings) -> Json:
    """A 421 for every host name that is not allowed, before any other route."""
    hosts = other_hosts(settings.listen, settings.allowed_hosts)
    return {
        "match": {"prefix": "/", "headers": [hosts]},
        "direct_response": {"status": 421},
        **_neither_cached_nor_transcoded(settings),
    }


def _not_found(settings: EdgeSettings) -> Iterable[Json]:
    """A 404 for every other path.

    Without it the transcoder would accept paths that no route knows, such as ``/api/status/``.
    """
    response = {"direct_response": {"status": 404}, **_neither_cached_nor_transcoded(settings)}
    for origin in settings.cors_origins:
        # The CORS filter does not handle direct responses; without these headers a browser could
        # not read the error.
        headers = [set_header("access-control-allow-origin", origin), set_header("vary", "origin")]
        match = {"prefix": "/", "headers": [header_equals("origin", origin)]}
        yield {"match": match, "response_headers_to_add": headers, **response}
    yield {"match": {"prefix": "/"}, **response}


def _preflight(settings: EdgeSettings) -> Iterable[Json]:
    """A browser's preflight requests, to which the CORS filter responds where a route exists."""
    if settings.cors_origins:
        requested = {"name": "access-control-request-method", "present_match": True}
        match = {"prefix": "/", "headers": [header_equals(":method", "OPTIONS"), requested]}
        yield {
            "match": match,
            "route": {"cluster": TRANSCODING_CLUSTER},
            **_neither_cached_nor_transcoded(settings),
        }


def _pages(settings: EdgeSettings) -> Iterable[Json]:
    for page in pages(settings):
        route = {
            "match": {"path": page.path, "headers": [_verb("GET"), *page.conditions]},
            "direct_response": {"status": 200, **page.response},
            "response_headers_to_add": list(page.headers),
            **_neither_cached_nor_transcoded(settings),
        }
        yield _limited(settings, route)
    for path in dict.fromkeys(page.path for page in pages(settings)):
        yield _method_not_allowed(settings, path, ("GET", "HEAD"))


def _services(settings: EdgeSettings, contract: Contract, *, operator: bool) -> Iterable[Json]:
    """REST and gRPC paths of the services: HEAD like GET, 405 for a wrong HTTP method."""
    rest = rest_routes(contract, settings.cors_origins)
    verbs: dict[str, list[str]] = {}
    for method in contract.methods.values():
        if method.route:
            verbs.setdefault(method.route, []).append(method.verb)
            if method.streams:
                yield _head_of_a_stream(settings, method)
    expensive = {m.route for m in contract.methods.values() if m.expensive}
    for path, allowed in verbs.items():
        for verb in allowed:
            route = _for_verb(settings, _matching(rest, path), path, verb)
            yield _limited(settings, route) if path in expensive else route
        yield _method_not_allowed(
            settings, path, [*allowed, *(["HEAD"] if "GET" in allowed else [])]
        )
    expensive = {m.path for m in contract.methods.values() if m.expensive}
    for native in service_routes(contract, operator=operator):
        route = _uncached(settings, native)
        yield _limited(settings, route) if route["match"].get("path") in expensive else route


def _head_of_a_stream(settings: EdgeSettings, method: Method) -> Json:
    """HEAD of a stream, which has no end and so no response that could be measured.

    That of a file would have to make the file.
    """
    kind = "application/octet-stream" if method.sends_a_file else "text/event-stream"
    return {
        "match": {"path": method.route, "headers": [header_equals(":method", "HEAD")]},
        # Envoy sends a content type only with a body; of a HEAD it drops the body.
        "direct_response": {"status": 200, "body": {"inline_string": "\n"}},
        "response_headers_to_add": [set_header("content-type", kind)],
        **_neither_cached_nor_transcoded(settings),
    }


def _method_not_allowed(settings: EdgeSettings, path: str, allowed: Sequence[str]) -> Json:
    return {
        "match": path_match(path),
        "direct_response": {"status": 405},
        "response_headers_to_add": [set_header("allow", ", ".join(sorted(allowed)))],
        **_neither_cached_nor_transcoded(settings),
    }


def _matching(routes: Sequence[Json], path: str) -> Json:
    """The route that matches a path."""
    return next(r for r in routes if r["match"] == path_match(path))


def _for_verb(settings: EdgeSettings, route: Json, path: str, verb: str) -> Json:
    """The route narrowed to one path and HTTP method."""
    return _uncached(settings, route | {"match": {**path_match(path), "headers": [_verb(verb)]}})


def _verb(verb: str) -> Json:
    """A matcher of an HTTP method; GET includes HEAD."""
    if verb != "GET":
        return header_equals(":method", verb)
    return {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}


def _limited(settings: EdgeSettings, route: Json) -> Json:
    limit = {RATE_LIMIT: read_limit(settings.read_limit)}
    return route | {"typed_per_filter_config": route.get("typed_per_filter_config", {}) | limit}


def _uncached(settings: EdgeSettings, route: Json) -> Json:
    if not settings.cache:
        return route
    config = route.get("typed_per_filter_config", {})
    return route | {"typed_per_filter_config": config | {CACHE: DISABLED}}


def _neither_cached_nor_transcoded(settings: EdgeSettings) -> Json:
    config = {TRANSCODER: DISABLED} | ({CACHE: DISABLED} if settings.cache else {})
    return {"typed_per_filter_config": config}

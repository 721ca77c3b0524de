"""HTTP filters and header matchers as Envoy's JSON configuration writes them."""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

HEADER_MUTATION = "envoy.filters.http.header_mutation"
HEADER_MUTATION_TYPE = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
LUA_TYPE = "envoy.extensions.filters.http.lua.v3.Lua"
_FILTER_CONFIG = "envoy.config.route.v3.FilterConfig"
_SCRIPT = "script"
"""Name of a Lua filter's only script."""


def typed(kind: str, **fields: Any) -> Json:
    """A message with its type URL."""
    return {"@type": f"type.googleapis.com/{kind}", **fields}


def http_filter(name: str, kind: str, *, disabled: bool = False, **fields: Any) -> Json:
    """An HTTP filter; a disabled one runs only on routes that enable it."""
    config: Json = {"name": name, "typed_config": typed(kind, **fields)}
    return config | ({"disabled": True} if disabled else {})


ROUTER = http_filter(
    "envoy.filters.http.router",
    "envoy.extensions.filters.http.router.v3.Router",
    suppress_envoy_headers=True,
)
DISABLED = typed(_FILTER_CONFIG, disabled=True)
"""Configuration of a route that disables a filter."""
ENABLED = typed(_FILTER_CONFIG, config={})
"""Configuration of a route that enables a filter with the filter's own configuration."""


def lua_filter(name: str, source: str) -> Json:
    """A Lua filter that is disabled until a route enables it with ``lua_on_route``."""
    return http_filter(
        name,
        LUA_TYPE,
        disabled=True,
        source_codes={_SCRIPT: {"inline_string": source}},
        # For responses: by then the route is the one of the rewritten path, which names no script.
        default_source_code={"inline_string": source},
        # The route was chosen by what the client sent.
        clear_route_cache=False,
    )


def lua_on_route(**context: Any) -> Json:
    """Configuration of a route that runs a Lua filter's script, which can read ``context``.

    By name: a script of the route's own takes Envoy 0.2 MB for its interpreter (measured).
    """
    config = typed(f"{LUA_TYPE}PerRoute", name=_SCRIPT)
    return config | ({"filter_context": context} if context else {})


def header_mutation(
    *, request: Sequence[Json] = (), response: Sequence[Json] = (), disabled: bool = False
) -> Json:
    """A filter that changes headers."""
    return http_filter(
        HEADER_MUTATION,
        HEADER_MUTATION_TYPE,
        disabled=disabled,
        mutations={"request_mutations": list(request), "response_mutations": list(response)},
    )


def set_header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Json:
    """A header to set on a request or response."""
    return {"header": {"key": name, "value": value}, "append_action": action}


def header_equals(name: str, value: str) -> Json:
    """A matcher: the header has exactly this value."""
    return {"name": name, "string_match": {"exact": value}}

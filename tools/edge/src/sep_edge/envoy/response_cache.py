"""Routes of responses that Envoy caches for the rest of the second."""

import re
from collections.abc import Iterable

from sep_contract import Contract

from sep_edge.envoy.clusters import TRANSCODING_CLUSTER
from sep_edge.envoy.filters import DISABLED, Json, header_equals, lua_on_route
from sep_edge.envoy.service_routes import NO_TIMEOUT
from sep_edge.envoy.transcoding import TRANSCODER

CACHE = "envoy.filters.http.cache"
REWRITE_HOST = "sep.rewrite_host"

# Envoy's cache never evicts, so the set of cached queries must be bounded: only these are cached,
# and only for known instruments do they have successful responses.
_CACHED_QUERIES = r"(\?instrument=[A-Z0-9_]+(&limit=120)?)?"


def cached_routes(contract: Contract) -> Iterable[Json]:
    """Routes of reads that may be a second old; every other call bypasses the cache."""
    for method in contract.methods.values():
        if method.max_age_s and method.verb == "GET":
            path_and_query = {"safe_regex": {"regex": re.escape(method.route) + _CACHED_QUERIES}}
            yield {
                "match": {
                    "path": method.route,
                    # The :path header includes the query.
                    "headers": [
                        {"name": ":path", "string_match": path_and_query},
                        header_equals(":method", "GET"),
                    ],
                },
                "route": {"cluster": TRANSCODING_CLUSTER, "timeout": NO_TIMEOUT},
                "typed_per_filter_config": {
                    REWRITE_HOST: lua_on_route(),
                    TRANSCODER: DISABLED,
                },
            }

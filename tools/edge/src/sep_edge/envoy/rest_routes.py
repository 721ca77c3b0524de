"""Routes of REST paths, before the transcoder rewrites them to gRPC paths."""

from collections.abc import Sequence

from sep_contract import Contract

from sep_edge.envoy.clusters import OPS_CLUSTER
from sep_edge.envoy.filters import ENABLED, HEADER_MUTATION, Json, lua_on_route, typed
from sep_edge.envoy.paths import path_match
from sep_edge.envoy.transcoding import (
    BUFFER,
    BUFFER_TYPE,
    MAX_REQUEST_BYTES,
    PREPARE_REQUEST,
)


def rest_routes(contract: Contract, origins: Sequence[str] = ()) -> list[Json]:
    """One route for each REST path.

    Each matches its path exactly, so that no other spelling of a path bypasses its filters.
    Filters up to the transcoder take their configuration from this route; timeout, cluster and
    retries come from the route of the rewritten path.

    Args:
        origins: origins of web pages that may call the API.
    """
    known = dict.fromkeys(origins, True)
    prepare_request = lua_on_route(origins=known)
    paths: dict[str, Json] = {}
    for method in contract.methods.values():
        if not method.route:
            continue
        config = paths.setdefault(
            method.route, {HEADER_MUTATION: ENABLED, PREPARE_REQUEST: prepare_request}
        )
        if not method.streams or method.sends_a_file:
            # The transcoder's own limit counts only what it could not parse yet.
            config[BUFFER] = typed(
                f"{BUFFER_TYPE}PerRoute", buffer={"max_request_bytes": MAX_REQUEST_BYTES}
            )
    return [
        {
            "match": path_match(path),
            "route": {"cluster": OPS_CLUSTER},
            "typed_per_filter_config": config,
        }
        for path, config in paths.items()
    ]

"""Envoy's bootstrap configuration: REST/JSON and native gRPC on one port.

Envoy expands no environment variables, so its configuration is generated here.
"""

import json

from sep_contract import read_contract

from sep_edge.envoy.clusters import clusters
from sep_edge.envoy.endpoints import address_json
from sep_edge.envoy.filters import Json
from sep_edge.envoy.listeners import operator_listener, public_listener, transcoding_listener
from sep_edge.envoy.overload import overload_manager
from sep_edge.envoy.settings import EdgeSettings

_RUNTIME = {
    # Envoy refuses patterns of more than 100 instructions, which a few host names come to. The
    # limit is meant for patterns of strangers; these are made here.
    "re2.max_program_size.error_level": 10_000,
    # By default everything that one read of a connection contains is served before another
    # connection's turn: hundreds of streams that their client resets at once.
    "http.max_requests_per_io_cycle": 5,
    # Half as many streams that their client reset within a second end its connection: by default
    # 250, and a client that comes back each time takes all the time of Envoy's one thread.
    "overload.premature_reset_total_stream_count": 50,
}


def render(settings: EdgeSettings) -> str:
    """Envoy's configuration as JSON text."""
    return json.dumps(bootstrap(settings), indent=1) + "\n"


def bootstrap(settings: EdgeSettings) -> Json:
    """Envoy's configuration as JSON data."""
    contract = read_contract()
    config: Json = {
        "node": {"id": "sep", "cluster": "sep"},
        "static_resources": {
            "listeners": [
                transcoding_listener(settings, contract),
                public_listener(settings, contract),
            ],
            "clusters": clusters(settings, contract),
        },
        "overload_manager": overload_manager(settings),
        "layered_runtime": {"layers": [{"name": "static", "static_layer": _RUNTIME}]},
    }
    if settings.operator:
        config["static_resources"]["listeners"].append(
            operator_listener(settings.operator, settings, contract)
        )
    if settings.admin:
        config["admin"] = {"address": address_json(settings.admin)}
    return config

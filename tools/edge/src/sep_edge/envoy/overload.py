"""Envoy's limits on memory, connections and time.

The limits hold for the public port. What they can't do: one port can't distinguish the operator's
connection from another before it has accepted it. The limit on connections is therefore high, and
a connection without a request is closed after ten seconds, earlier while memory is short. The
operator's listener (``listeners.py``) is the reserve: no limit here counts its connections.
"""

from sep_edge.envoy.filters import Json, typed
from sep_edge.envoy.settings import EdgeSettings

IDLE_TIMEOUT = "10s"
"""How long a connection may be open without a request."""
REQUEST_TIMEOUT = "10s"
"""How long a request may take to arrive."""
STREAM_IDLE_TIMEOUT = "30s"
"""How long a response may stand still because its client does not read."""
MAX_STREAMS = 50
"""Streams of one HTTP/2 connection."""
BUFFER_BYTES = 64 * 1024
"""Buffer of one connection, and window of one stream: the least that HTTP/2 allows by default."""
_WINDOW_BYTES = 65_535

_MONITORS = "envoy.extensions.resource_monitors"
_HEAP = "envoy.resource_monitors.fixed_heap"
_TRACK_FROM_BYTES_POWER = 15


def http2_options() -> Json:
    """HTTP/2 of the public port."""
    return {
        "max_concurrent_streams": MAX_STREAMS,
        "initial_stream_window_size": _WINDOW_BYTES,
        "initial_connection_window_size": 4 * _WINDOW_BYTES,
        "max_outbound_frames": 1000,
        "max_outbound_control_frames": 500,
        # Finds clients that are gone.
        "connection_keepalive": {"interval": "30s", "timeout": "10s"},
    }


def overload_manager(settings: EdgeSettings) -> Json:
    """A limit on connections and a fixed heap.

    As the heap fills, idle connections close sooner, then the streams that hold most memory are
    reset, and only then new connections and requests are refused.
    """
    return {
        "refresh_interval": "0.1s",
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": _TRACK_FROM_BYTES_POWER},
        "resource_monitors": [
            {
                "name": _HEAP,
                "typed_config": typed(
                    f"{_MONITORS}.fixed_heap.v3.FixedHeapConfig",
                    max_heap_size_bytes=settings.max_heap_bytes,
                ),
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": typed(
                    f"{_MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=settings.max_connections,
                ),
            },
        ],
        "actions": [
            {
                "name": "envoy.overload_actions.reduce_timeouts",
                "triggers": [_scaled(0.50, 0.80)],
                "typed_config": typed(
                    "envoy.config.overload.v3.ScaleTimersOverloadActionConfig",
                    timer_scale_factors=[
                        {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": "1s"},
                        {"timer": "HTTP_DOWNSTREAM_STREAM_IDLE", "min_timeout": "2s"},
                        {"timer": "TRANSPORT_SOCKET_CONNECT", "min_timeout": "1s"},
                    ],
                ),
            },
            _action("reset_high_memory_stream", _scaled(0.60, 0.90)),
            _action("shrink_heap", _threshold(0.70)),
            _action("disable_http_keepalive", _threshold(0.90)),
            _action("reject_incoming_connections", _threshold(0.96)),
            _action("stop_accepting_requests", _threshold(0.98)),
        ],
    }


def _action(name: str, trigger: Json) -> Json:
    return {"name": f"envoy.overload_actions.{name}", "triggers": [trigger]}


def _scaled(start: float, saturation: float) -> Json:
    return {
        "name": _HEAP,
        "scaled": {"scaling_threshold": start, "saturation_threshold": saturation},
    }


def _threshold(value: float) -> Json:
    return {"name": _HEAP, "threshold": {"value": value}}

"""Envoy's clusters: the services, and the transcoding listener of the same Envoy.

A cluster's circuit breaker counts the calls of all clients, and its calls share connections. So
streams, expensive reads and the control plane have clusters of their own: no number of reads or
streams takes ``/health`` or the kill switch away. In the control plane calls with a key have a
breaker and connections of their own, which no number of calls without one fills, and so has the
operator's listener, which no number of wrong keys fills.
"""

from collections.abc import Sequence

from sep_contract import Contract, Method, Service

from sep_edge.address import Address
from sep_edge.envoy.endpoints import Endpoint, Tls, address_json, client_tls
from sep_edge.envoy.filters import Json, typed
from sep_edge.envoy.overload import BUFFER_BYTES
from sep_edge.envoy.settings import EdgeSettings

CERTIFICATE_NAME = "sep"
"""The DNS name in every service's certificate."""
OPS_SERVICE = "sep.ops.v1.OpsService"
"""Served by every service; its health is SERVING whenever the service can respond at all."""
OPS_CLUSTER = "ops"
"""The services that trade: each of them can serve ``OpsService`` for the whole stack."""
_OBSERVERS = frozenset({"journal"})
"""Services that nothing may wait for: a frozen one would otherwise be sent calls of /health."""
TRANSCODING_CLUSTER = "transcoding"
CONTROL = "-control"
"""Suffix of the cluster of a service's control-plane methods."""
OPERATOR = "-operator"
"""Suffix of the cluster of the same methods for the operator's listener."""
STREAMS = "-streams"
"""Suffix of the cluster of a service's streams."""
EXPENSIVE = "-expensive"
"""Suffix of the cluster of a service's expensive reads, such as candles and the journal."""

EXPENSIVE_CALLS = 16
"""Expensive reads of a service in progress: few enough that each ends well before its deadline,
since the gateway converts one at a time, and so does an Envoy with one thread."""

# Calls in progress. A further one gets 503 at once.
_CALLS = 256
# More than one client's limit on metrics lets through at once: its burst must not use them up.
_METRICS_CALLS = 64
_CONTROL_CALLS = 512
# Of those without a key: an engage waits for as many to be refused, about a millisecond each.
_KEYLESS_CONTROL_CALLS = 128
_STREAM_CALLS = 512
# What a service may send of an expensive response before Envoy has taken it on: of one call, and
# of all calls of a connection.
_EXPENSIVE_WINDOWS: Json = {
    "initial_stream_window_size": 65_535,
    "initial_connection_window_size": 4 * 65_535,
}
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def clusters(settings: EdgeSettings, contract: Contract) -> list[Json]:
    """Every cluster: those of each service, of all services together, the transcoding listener."""
    services = settings.services()
    areas = {name: [address] for name, address in services.items()}
    areas[OPS_CLUSTER] = [a for name, a in services.items() if name not in _OBSERVERS]
    found = [
        _service(area + suffix, addresses, settings.grpc_tls, calls)
        for area, addresses in areas.items()
        for suffix, calls in _suffixes(contract, area, settings.operator is not None).items()
    ]
    return [*found, _transcoding(settings.transcoding)]


def cluster_of(service: Service, method: Method, *, operator: bool = False) -> str:
    """Name of the cluster that serves a method, on the operator's listener or the others."""
    if method.streams:
        return service.area + STREAMS
    if method.control_plane:
        return service.area + (OPERATOR if operator else CONTROL)
    return service.area + (EXPENSIVE if method.expensive and service.area != OPS_CLUSTER else "")


def _suffixes(contract: Contract, area: str, operator: bool) -> dict[str, int]:
    """The clusters of an area, with the calls that may be in progress in each.

    What is left of ops without its control plane is metrics, which are expensive, and reflection.
    """
    methods = [m for s in contract.services if s.area == area for m in s.methods]
    found = {"": _METRICS_CALLS if area == OPS_CLUSTER else _CALLS}
    if any(m.control_plane for m in methods):
        found[CONTROL] = _CONTROL_CALLS
        if operator:
            found[OPERATOR] = _CONTROL_CALLS
    if any(m.streams for m in methods):
        found[STREAMS] = _STREAM_CALLS
    if area != OPS_CLUSTER and any(m.expensive for m in methods):
        found[EXPENSIVE] = EXPENSIVE_CALLS
    return found


def _service(name: str, addresses: Sequence[Address], tls: Tls | None, calls: int) -> Json:
    cluster: Json = {
        "name": name,
        "type": "STATIC" if all(a.is_ip for a in addresses) else "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": _assignment(name, addresses),
        "typed_extension_protocol_options": _http2(),
        "circuit_breakers": {"thresholds": _thresholds(name, calls)},
        "health_checks": [
            {
                # A Python service that compiles or computes may not respond for a second or two.
                # A dead one refuses the connection, which counts at once.
                "timeout": "3s",
                "interval": "2s",
                # As often without traffic: otherwise a call after a quiet minute would go to a
                # host that died long ago.
                "no_traffic_interval": "2s",
                "unhealthy_interval": "0.5s",
                "no_traffic_healthy_interval": "2s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                # Whether it responds, not whether it can do its work: a service that can't still
                # serves what it has, with the reason.
                "grpc_health_check": {"service_name": OPS_SERVICE},
            }
        ],
        # By default Envoy sends to unhealthy hosts when most hosts are unhealthy.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }
    if name.endswith(EXPENSIVE):
        cluster["typed_extension_protocol_options"] = _http2(_EXPENSIVE_WINDOWS)
        cluster["per_connection_buffer_limit_bytes"] = BUFFER_BYTES
    if tls:
        cluster["transport_socket"] = client_tls(tls, CERTIFICATE_NAME)
    return cluster


def _thresholds(name: str, calls: int) -> list[Json]:
    """The calls that may be in progress, by priority: that of calls with a key is HIGH."""
    if not name.endswith(CONTROL):
        return [{"max_requests": calls, "max_pending_requests": calls}]
    keyless = _KEYLESS_CONTROL_CALLS
    return [
        {"priority": "DEFAULT", "max_requests": keyless, "max_pending_requests": keyless},
        {"priority": "HIGH", "max_requests": calls, "max_pending_requests": calls},
    ]


def _transcoding(endpoint: Endpoint) -> Json:
    return {
        "name": TRANSCODING_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": _assignment(TRANSCODING_CLUSTER, [endpoint]),
        "typed_extension_protocol_options": _http2(),
        # This cluster is Envoy itself, and streams may stay open for days.
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": 64, "max_requests": 10_000, "max_pending_requests": 4096}
            ]
        },
    }


def _assignment(name: str, endpoints: Sequence[Endpoint]) -> Json:
    hosts = [{"endpoint": {"address": address_json(endpoint)}} for endpoint in endpoints]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]}


def _http2(options: Json | None = None) -> Json:
    """Options that make a cluster use HTTP/2."""
    return {
        _HTTP_OPTIONS: typed(
            _HTTP_OPTIONS, explicit_http_config={"http2_protocol_options": options or {}}
        )
    }

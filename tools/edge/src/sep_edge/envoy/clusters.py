"""Envoy's clusters: the services, and the transcoding listener of the same Envoy."""

from collections.abc import Sequence

from sep_edge.address import Address
from sep_edge.envoy.endpoints import Endpoint, Tls, address_json, client_tls
from sep_edge.envoy.filters import Json, typed
from sep_edge.envoy.settings import EdgeSettings

CERTIFICATE_NAME = "sep"
"""The DNS name in every service's certificate."""
OPS_SERVICE = "sep.ops.v1.OpsService"
"""Served by every service; its health is SERVING whenever the service can respond at all."""
OPS_CLUSTER = "ops"
"""All services: each of them can serve ``OpsService`` for the whole stack."""
TRANSCODING_CLUSTER = "transcoding"

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def clusters(settings: EdgeSettings) -> list[Json]:
    """Every cluster: one for each service, all services together, the transcoding listener."""
    services = settings.services()
    found = [_service(name, [address], settings.grpc_tls) for name, address in services.items()]
    found.append(_service(OPS_CLUSTER, list(services.values()), settings.grpc_tls))
    found.append(_transcoding(settings.transcoding))
    return found


def _service(name: str, addresses: Sequence[Address], tls: Tls | None) -> Json:
    cluster: Json = {
        "name": name,
        "type": "STATIC" if all(a.is_ip for a in addresses) else "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": _assignment(name, addresses),
        "typed_extension_protocol_options": _http2(),
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
    if tls:
        cluster["transport_socket"] = client_tls(tls, CERTIFICATE_NAME)
    return cluster


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


def _http2() -> Json:
    """Options that make a cluster use HTTP/2."""
    return {
        _HTTP_OPTIONS: typed(_HTTP_OPTIONS, explicit_http_config={"http2_protocol_options": {}})
    }

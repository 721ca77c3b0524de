"""Envoy's bootstrap: REST/JSON and native gRPC on one port, in front of the four services.

Envoy expands no environment variables, hence this generator. The public listener is in
``edge_listener``, the one behind it in ``transcoding``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sep_stack.address import Address
from sep_stack.contract import methods_of, read_contract
from sep_stack.envoy.edge import Edge
from sep_stack.envoy.edge_listener import edge_listener, inner_cluster
from sep_stack.envoy.transcoding import OPS_SERVICE, transcoding_listener
from sep_stack.envoy.wire import Endpoint, Json, Tls, endpoint, http2_options, upstream_tls

CERTIFICATE_NAME = "sep"
"""The DNS name in every service's certificate."""


@dataclass(frozen=True, slots=True)
class EnvoySettings:
    """What differs between one Envoy and the next.

    Args:
        contract: the descriptor set, as this process reads it.
        descriptor_set: where Envoy finds the same.
        grpc_tls: mutual TLS towards the services; none without it.
    """

    edge: Edge
    gateway: Address
    evaluator: Address
    allocator: Address
    guard: Address
    contract: Path
    descriptor_set: Path
    grpc_tls: Tls | None = None
    admin: Endpoint | None = None


def render(settings: EnvoySettings) -> str:
    """Envoy's configuration as JSON text."""
    return json.dumps(bootstrap(settings), indent=1) + "\n"


def bootstrap(settings: EnvoySettings) -> Json:
    """Envoy's configuration as JSON."""
    services = {
        "gateway": settings.gateway,
        "evaluator": settings.evaluator,
        "allocator": settings.allocator,
        "guard": settings.guard,
    }
    methods = methods_of(read_contract(settings.contract))
    tls = settings.grpc_tls
    clusters = [_cluster(name, [address], tls) for name, address in services.items()]
    clusters.append(_cluster("ops", list(services.values()), tls))
    clusters.append(inner_cluster(settings.edge.inner))
    config: Json = {
        "node": {"id": "sep", "cluster": "sep"},
        "static_resources": {
            "listeners": [
                transcoding_listener(settings.edge.inner, settings.descriptor_set, methods),
                edge_listener(settings.edge, methods),
            ],
            "clusters": clusters,
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors"
                        ".downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": 10_000,
                    },
                }
            ]
        },
    }
    if settings.admin:
        config["admin"] = {"address": endpoint(settings.admin)}
    return config


def _cluster(name: str, addresses: Sequence[Address], tls: Tls | None) -> Json:
    cluster: Json = {
        "name": name,
        "type": "STATIC" if all(a.is_ip for a in addresses) else "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": endpoint(a)}} for a in addresses]}
            ],
        },
        "typed_extension_protocol_options": http2_options(),
        "health_checks": [
            {
                # A Python service that compiles or reckons may be deaf for a second or two; a dead
                # one refuses the connection, which counts at once.
                "timeout": "3s",
                "interval": "2s",
                # A check is due just as often without traffic, else a call after a quiet minute
                # meets a host that died long ago.
                "no_traffic_interval": "2s",
                "unhealthy_interval": "0.5s",
                "no_traffic_healthy_interval": "2s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                # Whether it answers, not whether it can do its work: a service that can't still
                # serves what it knows, and says why.
                "grpc_health_check": {"service_name": OPS_SERVICE},
            }
        ],
        # Below this share of healthy hosts Envoy would send to dead ones.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }
    if tls:
        cluster["transport_socket"] = upstream_tls(tls, CERTIFICATE_NAME)
    return cluster

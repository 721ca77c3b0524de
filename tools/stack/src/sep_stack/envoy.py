"""Envoy's bootstrap: REST/JSON and native gRPC on one port, in front of the four services.

The transcoder rewrites a REST call to its gRPC path and routes it again, so that one route a
gRPC service serves both kinds of client. Envoy expands no environment variables, hence this
generator.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sep_stack.address import Address
from sep_stack.envoy_errors import local_reply_config

Json = dict[str, Any]

OPS_SERVICE = "sep.ops.v1.OpsService"
"""Every service answers for it as soon as it answers at all."""

STREAM_PATH = "/api/manifold/stream"
MAX_REQUEST_BYTES = 1024 * 1024
MAX_RESPONSE_BYTES = 32 * 1024 * 1024
"""5,000 candles are about 0.8 MiB of JSON."""

_TYPE = "type.googleapis.com/"
_TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
_BUFFER = "envoy.filters.http.buffer"
_BUFFER_TYPE = _TYPE + "envoy.extensions.filters.http.buffer.v3.Buffer"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_DEFAULT_TIMEOUT = "10s"
_NO_TIMEOUT = "0s"
_SLOW_TIMEOUT = "60s"


@dataclass(frozen=True, slots=True)
class EnvoySettings:
    """What differs between one Envoy and the next."""

    listen: Address
    gateway: Address
    evaluator: Address
    allocator: Address
    guard: Address
    descriptor_set: Path
    """Where Envoy finds ``sep_protos.DESCRIPTOR_SET``."""
    admin: Address | None = None


@dataclass(frozen=True, slots=True)
class _Service:
    """A gRPC service, the cluster behind it, and its methods with timeouts of their own."""

    name: str
    cluster: str
    slow: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()


_SERVICES = (
    _Service("sep.gateway.v1.GatewayService", "gateway", slow=("FetchCandles",)),
    _Service(
        "sep.evaluator.v1.EvaluatorService",
        "evaluator",
        slow=("EvaluateNow",),
        streams=("StreamManifolds",),
    ),
    _Service("sep.allocator.v1.AllocatorService", "allocator"),
    _Service("sep.guard.v1.GuardService", "guard", slow=("Reconcile",)),
    _Service(OPS_SERVICE, "ops"),
)
# Spoken by every service and by native clients only.
_NATIVE_SERVICES = (
    _Service("grpc.health.v1.Health", "ops", streams=("Watch",)),
    _Service("grpc.reflection.v1.ServerReflection", "ops", streams=("ServerReflectionInfo",)),
    _Service("grpc.reflection.v1alpha.ServerReflection", "ops", streams=("ServerReflectionInfo",)),
)

TRANSCODED_SERVICES = tuple(service.name for service in _SERVICES)
"""The services that REST reaches: all of the contract."""


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
    clusters = [_cluster(name, [address]) for name, address in services.items()]
    clusters.append(_cluster("ops", list(services.values())))
    config: Json = {
        "node": {"id": "sep", "cluster": "sep"},
        "static_resources": {"listeners": [_listener(settings)], "clusters": clusters},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": _TYPE + "envoy.extensions.resource_monitors.downstream_connections"
                        ".v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": 10_000,
                    },
                }
            ]
        },
    }
    if settings.admin:
        config["admin"] = {"address": _address(settings.admin)}
    return config


def _listener(settings: EnvoySettings) -> Json:
    manager = {
        "@type": _TYPE + "envoy.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "stat_prefix": "public",
        "codec_type": "AUTO",
        "use_remote_address": True,
        "normalize_path": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "request_headers_timeout": "10s",
        "local_reply_config": local_reply_config(),
        "http_filters": [
            {
                # Switched on by the REST route: native streams must not be buffered.
                "name": _BUFFER,
                "disabled": True,
                "typed_config": {
                    "@type": _BUFFER_TYPE,
                    "max_request_bytes": MAX_REQUEST_BYTES,
                },
            },
            {
                "name": _TRANSCODER,
                "typed_config": _transcoder(settings.descriptor_set),
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _TYPE + "envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
        "route_config": {
            "name": "public",
            "virtual_hosts": [
                {"name": "sep", "domains": ["*"], "routes": _routes(settings.descriptor_set)}
            ],
        },
    }
    return {
        "name": "public",
        "address": _address(settings.listen),
        # Two Envoys on one port would share it without a word.
        "enable_reuse_port": False,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }


def _transcoder(descriptor_set: Path, *, sse: bool = False) -> Json:
    return {
        "@type": _TYPE + "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor": str(descriptor_set),
        "services": list(TRANSCODED_SERVICES),
        "convert_grpc_status": True,
        "print_options": {
            "preserve_proto_field_names": True,
            "always_print_primitive_fields": True,
            "stream_sse_style_delimited": sse,
        },
        "request_validation_options": {
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        "max_response_body_size": MAX_RESPONSE_BYTES,
    }


def _routes(descriptor_set: Path) -> list[Json]:
    # Filters up to the transcoder take their options from the route of the incoming path,
    # everything else comes from the route of the rewritten one.
    routes: list[Json] = [
        {
            "match": {"path": STREAM_PATH},
            "route": {"cluster": "evaluator"},
            "typed_per_filter_config": {_TRANSCODER: _transcoder(descriptor_set, sse=True)},
        },
        {
            "match": {"prefix": "/api/"},
            "route": {"cluster": "ops"},
            "typed_per_filter_config": {
                # The transcoder's own limit counts only what it could not parse yet.
                _BUFFER: {
                    "@type": _BUFFER_TYPE + "PerRoute",
                    "buffer": {"max_request_bytes": MAX_REQUEST_BYTES},
                }
            },
        },
    ]
    for service in (*_SERVICES, *_NATIVE_SERVICES):
        timeouts = dict.fromkeys(service.slow, _SLOW_TIMEOUT)
        timeouts |= dict.fromkeys(service.streams, _NO_TIMEOUT)
        routes += [
            _route(service, {"path": f"/{service.name}/{method}"}, timeout)
            for method, timeout in timeouts.items()
        ]
        routes.append(_route(service, {"prefix": f"/{service.name}/"}, _DEFAULT_TIMEOUT))
    return routes


def _route(service: _Service, match: Json, timeout: str) -> Json:
    action: Json = {"cluster": service.cluster, "timeout": timeout}
    if timeout == _NO_TIMEOUT:
        action["idle_timeout"] = _NO_TIMEOUT  # a closed market is silent for a weekend
    if service.cluster == "ops":
        # For the seconds until the health check notices a dead host. These calls only read, so
        # that another service may be asked even when the first one broke off.
        action["retry_policy"] = {
            "retry_on": "reset,connect-failure,refused-stream",
            "num_retries": 3,
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {
                        "@type": _TYPE + "envoy.extensions.retry.host.previous_hosts.v3"
                        ".PreviousHostsPredicate"
                    },
                }
            ],
            "host_selection_retry_max_attempts": 5,
        }
    return {"match": match, "route": action}


def _cluster(name: str, addresses: Sequence[Address]) -> Json:
    return {
        "name": name,
        "type": "STATIC" if all(a.is_ip for a in addresses) else "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": _address(a)}} for a in addresses]}
            ],
        },
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": _TYPE + _HTTP_OPTIONS,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "health_checks": [
            {
                "timeout": "1s",
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


def _address(address: Address) -> Json:
    return {"socket_address": {"address": address.host, "port_value": address.port}}

"""Routes of gRPC paths with timeouts and retries; rewritten REST calls use them too."""

from collections.abc import Iterator

from sep_contract import DEFAULT_TIMEOUT_S, Contract

from sep_edge.envoy.clusters import OPS_CLUSTER
from sep_edge.envoy.filters import Json, set_header, typed

NO_TIMEOUT = "0s"
# Added to the timeout in the grpc-timeout header. Envoy's own timeout then ends the call first and
# gives the reason; a service that is busy at that moment would end it without one.
_EXTRA_S = 5

# Standard services that every service has, for native clients only: name and streaming methods.
_NATIVE_SERVICES = {
    "grpc.health.v1.Health": ("Watch",),
    "grpc.reflection.v1.ServerReflection": ("ServerReflectionInfo",),
    "grpc.reflection.v1alpha.ServerReflection": ("ServerReflectionInfo",),
}


def service_routes(contract: Contract) -> list[Json]:
    """A route for each method that differs from its service's default, and one for each service.

    Only reads are retried: a write whose connection broke may have been carried out.
    """
    routes: list[Json] = []
    for service in contract.services:
        routes += [
            _route(m.path, service.area, timeout_s=m.timeout_s, retry=m.reads)
            for m in service.methods
            if m.reads or m.timeout_s != DEFAULT_TIMEOUT_S
        ]
        routes.append(_route(f"/{service.name}/", service.area))
    return [*routes, *_native_routes()]


def _native_routes() -> Iterator[Json]:
    for name, streams in _NATIVE_SERVICES.items():
        for method in streams:
            yield _route(f"/{name}/{method}", OPS_CLUSTER, timeout_s=None)
        yield _route(f"/{name}/", OPS_CLUSTER)


def _route(
    path: str, cluster: str, *, timeout_s: int | None = DEFAULT_TIMEOUT_S, retry: bool = False
) -> Json:
    """A route; a path that ends with a slash is a prefix.

    Args:
        timeout_s: None for a stream.
        retry: whether to retry a broken call; always so in the ops cluster, which only reads.
    """
    match = {"prefix": path} if path.endswith("/") else {"path": path}
    if timeout_s is None:
        # Without an idle timeout too: a closed market is silent for a weekend.
        action = {"cluster": cluster, "timeout": NO_TIMEOUT, "idle_timeout": NO_TIMEOUT}
        return {"match": match, "route": action}
    timeout = f"{timeout_s}s"
    action = {"cluster": cluster, "timeout": timeout}
    # A native client's own deadline applies where it is shorter.
    limits: Json = {"max_stream_duration": {"grpc_timeout_header_max": timeout}}
    if retry or cluster == OPS_CLUSTER:
        limits["retry_policy"] = _retries(another_host=cluster == OPS_CLUSTER)
    deadline = set_header("grpc-timeout", f"{timeout_s + _EXTRA_S}S", "ADD_IF_ABSENT")
    return {"match": match, "route": action | limits, "request_headers_to_add": [deadline]}


def _retries(*, another_host: bool) -> Json:
    """Retry over a new connection, for the seconds until a dead host is noticed."""
    policy: Json = {"retry_on": "reset,connect-failure,refused-stream", "num_retries": 1}
    if not another_host:
        return policy
    return policy | {
        "num_retries": 3,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": typed(
                    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                ),
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }

"""Routes of gRPC paths with timeouts and retries; rewritten REST calls use them too."""

from collections.abc import Iterator

from sep_contract import DEFAULT_TIMEOUT_S, Contract

from sep_edge.envoy.clusters import CONTROL, OPS_CLUSTER, cluster_of
from sep_edge.envoy.filters import Json, set_header, typed
from sep_edge.envoy.transcoding import BUFFER, BUFFER_TYPE

NO_TIMEOUT = "0s"
# Added to the timeout in the grpc-timeout header. Envoy's own timeout then ends the call first and
# gives the reason; a service that is busy at that moment would end it without one.
_EXTRA_S = 5

# Of a native request. The service refuses one above a mebibyte, with the reason.
_MAX_NATIVE_BYTES = 1024 * 1024 + 64 * 1024
# Methods of the standard services that every service has, for native clients only. Not the health
# service's Watch: a watch never ends, and thousands of them cost their client nothing.
_CHECK = "/grpc.health.v1.Health/Check"
_REFLECTION = (
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)


def service_routes(contract: Contract, *, operator: bool = False) -> list[Json]:
    """A route for each method, and one for each service, which then names the unknown method.

    Only reads are retried: a write whose connection broke may have been carried out.

    Args:
        operator: whether they are the operator's listener's.
    """
    routes: list[Json] = []
    for service in contract.services:
        for method in service.methods:
            cluster = cluster_of(service, method, operator=operator)
            route = _route(method.path, cluster, timeout_s=method.timeout_s, retry=method.reads)
            routes += [_with_key(route), route] if cluster.endswith(CONTROL) else [route]
        routes.append(_route(f"/{service.name}/", service.area))
    return [*routes, *_native_routes()]


def _with_key(route: Json) -> Json:
    """The route for calls that carry a key, right or wrong: they have capacity of their own."""
    headers = [{"name": "authorization", "present_match": True}]
    match = route["match"] | {"headers": headers}
    return route | {"match": match, "route": route["route"] | {"priority": "HIGH"}}


def _native_routes() -> Iterator[Json]:
    yield _route(_CHECK, OPS_CLUSTER)
    # The client's request stays open for as long as the call. The time that a request may take to
    # arrive ends it.
    yield from (_route(path, OPS_CLUSTER, timeout_s=None) for path in _REFLECTION)


def _route(
    path: str, cluster: str, *, timeout_s: int | None = DEFAULT_TIMEOUT_S, retry: bool = False
) -> Json:
    """A route; a path that ends with a slash is a prefix.

    Args:
        timeout_s: None for a stream.
        retry: whether to retry a broken call; always so in the ops clusters, which only read.
    """
    match: Json = {"prefix": path} if path.endswith("/") else {"path": path}
    match["grpc"] = {}  # A call of another content type gets a JSON error.
    if timeout_s is None:
        # Without an idle timeout too: a closed market is silent for a weekend.
        action = {"cluster": cluster, "timeout": NO_TIMEOUT, "idle_timeout": NO_TIMEOUT}
        return {"match": match, "route": action}
    timeout = f"{timeout_s}s"
    action = {"cluster": cluster, "timeout": timeout, "idle_timeout": f"{timeout_s + _EXTRA_S}s"}
    # A native client's own deadline applies where it is shorter.
    limits: Json = {"max_stream_duration": {"grpc_timeout_header_max": timeout}}
    several_hosts = cluster.startswith(OPS_CLUSTER)
    if retry or several_hosts:
        limits["retry_policy"] = _retries(another_host=several_hosts)
    deadline = set_header("grpc-timeout", f"{timeout_s + _EXTRA_S}S", "ADD_IF_ABSENT")
    # A call reaches its service when its request is complete; half-open calls wait in Envoy.
    buffer = typed(f"{BUFFER_TYPE}PerRoute", buffer={"max_request_bytes": _MAX_NATIVE_BYTES})
    return {
        "match": match,
        "route": action | limits,
        "request_headers_to_add": [deadline],
        "typed_per_filter_config": {BUFFER: buffer},
    }


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

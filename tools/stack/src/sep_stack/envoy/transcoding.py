"""REST/JSON becomes gRPC and finds its service: filters and routes, at the edge and behind it.

The transcoder rewrites a REST call to its gRPC path and routes it again, so that one route a
gRPC service serves both kinds of client.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sep_stack.contract import Method
from sep_stack.envoy.errors import local_reply_config
from sep_stack.envoy.wire import (
    HEADER_MUTATION,
    NO_TIMEOUT,
    ROUTER,
    Endpoint,
    Json,
    header,
    header_mutation,
    http_filter,
    listener,
    typed,
)

OPS_SERVICE = "sep.ops.v1.OpsService"
"""Every service answers for it as soon as it answers at all."""

MAX_REQUEST_BYTES = 16 * 1024
"""Of a REST body. The largest sensible one, a fetch of 100 instruments, is 2 kB."""
MAX_RESPONSE_BYTES = 32 * 1024 * 1024
"""5,000 candles are about 0.8 MiB of JSON."""

TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
_BUFFER = "envoy.filters.http.buffer"
_BUFFER_TYPE = "envoy.extensions.filters.http.buffer.v3.Buffer"
_LUA = "envoy.filters.http.lua"
_LUA_TYPE = "envoy.extensions.filters.http.lua.v3.Lua"
_DEFAULT_TIMEOUT = "10s"
_SLOW_TIMEOUT = "60s"
_LATE_S = 5

# Of a REST call's headers those that mean something here go on: gRPC breaks off a call for a header
# that HTTP allows, such as one with a # in its name.
# The transcoder drops fields that it does not know, and of a parameter that comes twice all but the
# last. The service that gets the body as it came, and the names that came twice, can refuse them.
# Nothing is parsed here; the header holds at most 4/3 of MAX_REQUEST_BYTES.
_PREPARE = """
local kept = {
  ["authorization"] = true, ["content-type"] = true, ["content-length"] = true,
  ["transfer-encoding"] = true, ["te"] = true, ["user-agent"] = true, ["x-request-id"] = true,
  ["x-forwarded-for"] = true, ["x-forwarded-proto"] = true
}
function envoy_on_request(handle)
  local headers, others = handle:headers(), {}
  for name, value in pairs(headers) do
    if name:sub(1, 1) ~= ":" and (not kept[name] or value:find("[^\\32-\\126]")) then
      others[#others + 1] = name
    end
  end
  for _, name in ipairs(others) do headers:remove(name) end
  local seen, twice = {}, {}
  for part in (headers:get(":path"):match("%?(.*)") or ""):gmatch("[^&]+") do
    local name = part:match("^[^=]*"):gsub("%%(%x%x)", function(code)
      return string.char(tonumber(code, 16))
    end)
    if seen[name] and name:find("^[%w_]+$") then twice[#twice + 1] = name end
    seen[name] = true
  end
  if #twice > 0 then headers:add("x-sep-twice", table.concat(twice, ",")) end
  local body = handle:body()
  if body and body:length() > 0 then
    local raw = handle:base64Escape(body:getBytes(0, body:length()))
    handle:headers():add("x-sep-body-bin", raw)
  end
end
"""


_PREPARED = typed(_LUA_TYPE + "PerRoute", source_code={"inline_string": _PREPARE})
_SWITCHED_ON = typed("envoy.config.route.v3.FilterConfig", config={})


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
    _Service("sep.guard.v1.GuardService", "guard", slow=("Reconcile", "ExecuteDrain")),
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


def transcoding_listener(where: Endpoint, descriptor_set: Path, methods: Sequence[Method]) -> Json:
    """The listener that the edge passes calls to."""
    manager: Json = {
        "stat_prefix": "transcoding",
        "codec_type": "AUTO",
        # The edge has said already who calls and which request this is.
        "use_remote_address": False,
        "generate_request_id": False,
        "local_reply_config": local_reply_config(),
        "http_filters": [*transcoding_filters(descriptor_set), ROUTER],
        "route_config": {
            "name": "services",
            "virtual_hosts": [
                {
                    "name": "sep",
                    "domains": ["*"],
                    "routes": [
                        *rest_routes(methods, descriptor_set),
                        *service_routes(methods),
                    ],
                }
            ],
        },
    }
    return listener(where, manager)


def transcoding_filters(descriptor_set: Path) -> list[Json]:
    """What makes gRPC of REST; the REST routes switch on what goes with it."""
    return [
        # Switched on by the REST route: native streams must not be buffered.
        http_filter(_BUFFER, _BUFFER_TYPE, disabled=True, max_request_bytes=MAX_REQUEST_BYTES),
        http_filter(
            _LUA,
            _LUA_TYPE,
            disabled=True,
            default_source_code={"inline_string": _PREPARE},
        ),
        # Answers to REST pass it after the transcoder; gRPC has no place in them.
        header_mutation(
            disabled=True,
            response=[
                *({"remove": name} for name in ("grpc-status", "grpc-message")),
                {"append": header("x-content-type-options", "nosniff")},
                {"append": header("cache-control", "no-store", "ADD_IF_ABSENT")},
            ],
        ),
        {"name": TRANSCODER, "typed_config": _transcoder(descriptor_set)},
        # And this one before it.
        header_mutation(response=[{"remove": "grpc-accept-encoding"}]),
    ]


def _transcoder(descriptor_set: Path, *, sse: bool = False) -> Json:
    return typed(
        "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(descriptor_set),
        services=list(TRANSCODED_SERVICES),
        convert_grpc_status=True,
        print_options={
            "preserve_proto_field_names": True,
            "always_print_primitive_fields": True,
            "stream_sse_style_delimited": sse,
        },
        request_validation_options={
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        max_response_body_size=MAX_RESPONSE_BYTES,
    )


def rest_routes(methods: Sequence[Method], descriptor_set: Path) -> list[Json]:
    """Routes of REST paths, before they are rewritten: each path exactly, so that no other
    spelling of one finds its way past what is said of it."""
    # Filters up to the transcoder take their options from the route of the incoming path,
    # everything else comes from the route of the rewritten one.
    paths: dict[str, Json] = {}
    for method in methods:
        if not method.route:
            continue
        config = paths.setdefault(method.route, {HEADER_MUTATION: _SWITCHED_ON, _LUA: _PREPARED})
        if method.streams:
            config[TRANSCODER] = _transcoder(descriptor_set, sse=True)
        else:
            # The transcoder's own limit counts only what it could not parse yet.
            config[_BUFFER] = typed(
                _BUFFER_TYPE + "PerRoute", buffer={"max_request_bytes": MAX_REQUEST_BYTES}
            )
    return [
        {
            "match": {"path": path},
            "route": {"cluster": "ops"},
            "typed_per_filter_config": config,
        }
        for path, config in paths.items()
    ]


def service_routes(methods: Sequence[Method]) -> list[Json]:
    """Routes of gRPC paths, which rewritten REST calls take too."""
    reads = [m.path for m in methods if m.reads]
    routes: list[Json] = []
    for service in (*_SERVICES, *_NATIVE_SERVICES):
        timeouts = dict.fromkeys(service.slow, _SLOW_TIMEOUT)
        timeouts |= dict.fromkeys(service.streams, NO_TIMEOUT)
        timeouts |= {
            path.rpartition("/")[2]: _DEFAULT_TIMEOUT
            for path in reads
            if path.startswith(f"/{service.name}/") and path.rpartition("/")[2] not in timeouts
        }
        routes += [
            _route(service, f"/{service.name}/{method}", timeout, reads)
            for method, timeout in timeouts.items()
        ]
        routes.append(_route(service, f"/{service.name}/", _DEFAULT_TIMEOUT, reads))
    return routes


def _route(service: _Service, path: str, timeout: str, reads: Sequence[str]) -> Json:
    action: Json = {"cluster": service.cluster, "timeout": timeout}
    headers: list[Json] = []
    if timeout == NO_TIMEOUT:
        action["idle_timeout"] = NO_TIMEOUT  # a closed market is silent for a weekend
    else:
        # The service is told when its caller stops waiting; a native client's own word goes first.
        # Some seconds late, so that it is the proxy that says so, and ends the call: a service that
        # is deaf at that moment would end it without a reason.
        action["max_stream_duration"] = {"grpc_timeout_header_max": timeout}
        told = f"{int(timeout.removesuffix('s')) + _LATE_S}S"
        headers = [
            {"header": {"key": "grpc-timeout", "value": told}, "append_action": "ADD_IF_ABSENT"}
        ]
        if path in reads or service.cluster == "ops":
            action["retry_policy"] = _retries(another_host=service.cluster == "ops")
    match = {"prefix": path} if path.endswith("/") else {"path": path}
    return {"match": match, "route": action} | (
        {"request_headers_to_add": headers} if headers else {}
    )


def _retries(*, another_host: bool) -> Json:
    """Reads alone are tried again: for the seconds until a dead host or connection is noticed."""
    again: Json = {"retry_on": "reset,connect-failure,refused-stream", "num_retries": 1}
    if not another_host:
        return again
    return again | {
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

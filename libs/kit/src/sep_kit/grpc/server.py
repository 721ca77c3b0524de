"""A gRPC server with health checks, reflection and ``ContractInterceptor``."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry
from sep_contract import read_contract

from sep_kit.grpc.access import AccessPolicy
from sep_kit.grpc.interceptor import ContractInterceptor
from sep_kit.grpc.response_cache import ResponseCache
from sep_kit.grpc.tls import TlsFiles

OPS_SERVICE = "sep.ops.v1.OpsService"
MAX_REQUEST_BYTES = 1024 * 1024
"""More than any request of the contract needs."""

_MAX_RESPONSE_BYTES = 64 * 1024 * 1024
# A REST body is sent in a header too.
_MAX_METADATA_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Handler:
    """A servicer, its full service name, and the generated function that adds it to a server."""

    service: str
    servicer: Any
    add_to_server: Callable[[Any, Any], None]


class GrpcServer:
    """Serves handlers on one address; its health is NOT_SERVING until ``set_serving``.

    Args:
        access: who may call what; without it everyone may call everything.
        response_cache: for methods whose responses may be cached; nothing is cached without it.
        tls: files for mutual TLS; plaintext without them.
    """

    def __init__(
        self,
        handlers: Sequence[Handler],
        registry: CollectorRegistry,
        access: AccessPolicy | None = None,
        response_cache: ResponseCache | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        self._tls = tls
        self._server = grpc.aio.server(
            interceptors=[ContractInterceptor(registry, access, response_cache)],
            options=(
                # Two servers on one port would share its calls silently.
                ("grpc.so_reuseport", 0),
                ("grpc.max_send_message_length", _MAX_RESPONSE_BYTES),
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
                ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
            ),
        )
        self._health = HealthServicer()
        self._services = [h.service for h in handlers if h.service != OPS_SERVICE]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for handler in handlers:
            handler.add_to_server(handler.servicer, self._server)
        # Every service describes the whole contract: behind Envoy's single port a client can't
        # choose which one answers its reflection call.
        services = read_contract().services
        for service in services:
            # Reflection finds a service once the module generated from its file is imported.
            package = service.name.rpartition(".")[0]
            importlib.import_module(f"{package}.{service.area}_pb2")
        names = (*(s.name for s in services), health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def start(self, listen: str) -> int:
        """Bind and start; returns the port.

        Raises:
            RuntimeError: the address can't be bound.
        """
        port = int(
            self._server.add_secure_port(listen, self._tls.server())
            if self._tls
            else self._server.add_insecure_port(listen)
        )
        if port == 0:
            raise RuntimeError(f"can't listen on {listen}; is the port in use?")
        await self.set_serving(serving=False)
        await self._health.set(OPS_SERVICE, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        return port

    async def set_serving(self, *, serving: bool) -> None:
        """Set the health status of the service."""
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if serving
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in ("", *self._services):
            await self._health.set(name, status)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls and give running ones ``grace_s`` seconds to finish."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

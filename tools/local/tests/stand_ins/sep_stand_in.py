"""A service with only health, ops and reflection, as the contract requires."""

import asyncio
import os
import signal
import sys
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from sep.allocator.v1 import allocator_pb2, allocator_pb2_grpc
from sep.ops.v1 import ops_pb2, ops_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


async def unimplemented(context: Context) -> NoReturn:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED)


class Ops(ops_pb2_grpc.OpsServiceServicer):
    def __init__(self, name: str) -> None:
        self.name = name

    async def GetHealth(
        self, request: ops_pb2.GetHealthRequest, context: Context
    ) -> ops_pb2.GetHealthResponse:
        return ops_pb2.GetHealthResponse(healthy=True)

    async def GetStatus(
        self, request: ops_pb2.GetStatusRequest, context: Context
    ) -> ops_pb2.GetStatusResponse:
        return ops_pb2.GetStatusResponse(version=f"{self.name} {os.getpid()}")

    async def GetMetrics(
        self, request: ops_pb2.GetMetricsRequest, context: Context
    ) -> ops_pb2.GetMetricsResponse:
        return await unimplemented(context)

    async def ScrapeMetrics(
        self, request: ops_pb2.ScrapeMetricsRequest, context: Context
    ) -> ops_pb2.ScrapeMetricsResponse:
        return await unimplemented(context)

    async def GetSettings(
        self, request: ops_pb2.GetSettingsRequest, context: Context
    ) -> ops_pb2.GetSettingsResponse:
        return await unimplemented(context)

    async def GetOwnSettings(
        self, request: ops_pb2.GetOwnSettingsRequest, context: Context
    ) -> ops_pb2.GetOwnSettingsResponse:
        return await unimplemented(context)


class Allocator(allocator_pb2_grpc.AllocatorServiceServicer):
    async def ListRanking(
        self, request: allocator_pb2.ListRankingRequest, context: Context
    ) -> allocator_pb2.ListRankingResponse:
        return allocator_pb2.ListRankingResponse()

    async def GetAllocationStatus(
        self, request: allocator_pb2.GetAllocationStatusRequest, context: Context
    ) -> allocator_pb2.GetAllocationStatusResponse:
        return await unimplemented(context)


async def serve(name: str) -> None:
    if os.environ.get("REFUSED_BY") == name:
        print(f"REFUSED_BY={name}: not allowed")
        sys.exit(os.EX_CONFIG)
    print(f"token {os.environ.get('OANDA_API_TOKEN')} broker {os.environ.get('OANDA_API_URL')}")
    server = grpc.aio.server()
    ops_pb2_grpc.add_OpsServiceServicer_to_server(Ops(name), server)
    allocator_pb2_grpc.add_AllocatorServiceServicer_to_server(Allocator(), server)
    health = HealthServicer()
    await health.set("sep.ops.v1.OpsService", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    services = ("sep.ops.v1.OpsService", "sep.allocator.v1.AllocatorService")
    reflection.enable_server_reflection((*services, reflection.SERVICE_NAME), server)
    server.add_insecure_port(os.environ["GRPC_LISTEN"])
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(0.2)


def main(name: str) -> None:
    asyncio.run(serve(name))

import asyncio
import sys
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import CollectorRegistry
from sep.allocator.v1 import allocator_pb2_grpc
from sep_kit.grpc.client import open_channel
from sep_kit.grpc.server import OPS_SERVICE, GrpcServer, Handler
from sep_testing.services import running_server

ALLOCATOR = "sep.allocator.v1.AllocatorService"


def handler() -> Handler:
    # The generated base is abstract only to the type checker.
    servicer: Any = allocator_pb2_grpc.AllocatorServiceServicer
    add = allocator_pb2_grpc.add_AllocatorServiceServicer_to_server
    return Handler(ALLOCATOR, servicer(), add)


async def health_of(channel: grpc.aio.Channel, service: str = "") -> str:
    request = health_pb2.HealthCheckRequest(service=service)
    response = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=30)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))


async def test_a_server_is_not_serving_until_set() -> None:
    async with (
        running_server(handler(), serving=False) as running,
        open_channel(running.address) as channel,
    ):
        assert await health_of(channel) == "NOT_SERVING"
        assert await health_of(channel, ALLOCATOR) == "NOT_SERVING"
        await running.server.set_serving(serving=True)
        assert await health_of(channel) == "SERVING"
        assert await health_of(channel, ALLOCATOR) == "SERVING"
        await running.server.set_serving(serving=False)
        assert await health_of(channel) == "NOT_SERVING"


async def test_the_ops_service_is_serving_at_once() -> None:
    async with (
        running_server(handler(), serving=False) as running,
        open_channel(running.address) as channel,
    ):
        assert await health_of(channel, OPS_SERVICE) == "SERVING"


async def test_an_unknown_service_is_not_found() -> None:
    async with running_server(handler()) as running, open_channel(running.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await health_of(channel, "sep.guard.v1.GuardService")
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watchers_get_every_change() -> None:
    async with (
        running_server(handler(), serving=False) as running,
        open_channel(running.address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        seen = [(await watch.read()).status]
        await running.server.set_serving(serving=True)
        seen.append((await watch.read()).status)
        await running.server.stop(0.1)
        seen.append((await watch.read()).status)
        watch.cancel()
    not_serving = health_pb2.HealthCheckResponse.NOT_SERVING
    assert seen == [not_serving, health_pb2.HealthCheckResponse.SERVING, not_serving]


async def test_every_server_lists_the_whole_contract() -> None:
    async with running_server(handler()) as running, open_channel(running.address) as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await call.done_writing()
        response = await call.read()
        names = {s.name for s in response.list_services_response.service}
    assert {
        ALLOCATOR,
        "sep.evaluator.v1.EvaluatorService",
        "sep.gateway.v1.GatewayService",
        "sep.guard.v1.GuardService",
        OPS_SERVICE,
        "grpc.health.v1.Health",
    } <= names


async def test_a_port_in_use_is_refused_and_not_shared() -> None:
    async with running_server() as running:
        other = GrpcServer([], CollectorRegistry())
        with pytest.raises(RuntimeError, match=r"127\.0\.0\.1"):
            await other.start(running.address)
        await other.stop(0)


async def probe(*arguments: str, listen: str = "") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sep_kit.grpc.probe",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={"GRPC_LISTEN": listen} if listen else {},
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode().strip()


async def test_the_probe_exits_with_0_only_if_the_service_is_serving() -> None:
    async with running_server(handler()) as running:
        port = running.address.rpartition(":")[2]
        assert await probe(running.address, "--service", ALLOCATOR) == (0, "SERVING")
        # In a container it uses the address that the service listens on.
        assert await probe(listen=f"0.0.0.0:{port}") == (0, "SERVING")
        await running.server.set_serving(serving=False)
        assert await probe(running.address) == (1, "NOT_SERVING")
        assert await probe(running.address, "--service", "x") == (1, "NOT_FOUND")
    assert await probe(running.address, "--timeout", "20") == (1, "UNAVAILABLE")

"""A proxy in the environment never steers traffic between services."""

import asyncio
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sep_kit.grpc.client import open_channel
from sep_testing.services import running_server

NAMES = ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy")


@pytest.fixture(autouse=True)
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


async def test_calls_to_other_services_ask_no_proxy() -> None:
    async with running_server() as server:
        channel = open_channel(server.address)
        stub = health_pb2_grpc.HealthStub(channel)
        response = await stub.Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert response.status == health_pb2.HealthCheckResponse.SERVING
        await channel.close(None)
        # The proxy is in force for everything else.
        async with grpc.aio.insecure_channel(server.address) as other:
            with pytest.raises(grpc.aio.AioRpcError):
                await health_pb2_grpc.HealthStub(other).Check(
                    health_pb2.HealthCheckRequest(), timeout=5
                )


async def test_health_probes_ask_no_proxy() -> None:
    async with running_server() as server:
        command = [sys.executable, "-m", "sep_kit.grpc.probe", server.address]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output

"""A real Envoy with the generated configuration, in front of the servers of a test."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sep_edge.address import Address
from sep_edge.envoy.config import bootstrap
from sep_edge.envoy.settings import EdgeSettings
from sep_kit.death_signal import dying_with_us
from sep_local.binaries import envoy_binary
from sep_protos import DESCRIPTOR_SET
from sep_testing.eventually import eventually
from sep_testing.valkey import free_port

Json = dict[str, Any]


@dataclass(frozen=True)
class Envoy:
    """A running Envoy."""

    address: str
    admin: Address

    @property
    def url(self) -> str:
        return f"http://{self.address}"


@contextlib.asynccontextmanager
async def running_envoy(
    folder: Path,
    services: Mapping[str, str],
    change: Callable[[Json], None] = lambda config: None,
    log: Path | None = None,
    **options: Any,
) -> AsyncIterator[Envoy]:
    """Envoy in front of the services, once it responds.

    Args:
        services: addresses by name.
        change: edits the configuration before Envoy reads it.
        log: file of its access log.
        options: further fields of ``EdgeSettings``.
    """
    listen, admin = (Address("127.0.0.1", free_port()) for _ in range(2))
    settings = EdgeSettings(
        listen=listen,
        transcoding=f"@sep-surface-{listen.port}",
        gateway=Address.parse(services["gateway"]),
        evaluator=Address.parse(services["evaluator"]),
        allocator=Address.parse(services["allocator"]),
        guard=Address.parse(services["guard"]),
        journal=Address.parse(services["journal"]),
        descriptor_set=DESCRIPTOR_SET,
        admin=admin,
        **{"read_limit": 10_000} | options,
    )
    config = bootstrap(settings)
    long_checks(config)
    change(config)
    file = folder / f"envoy-{listen.port}.json"
    file.write_text(json.dumps(config))
    arguments = (
        *("--disable-hot-restart", "--concurrency", "1", "-l", "error", "-c", str(file)),
        *("--file-flush-interval-msec", "50"),
    )
    with (log or Path(os.devnull)).open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *dying_with_us(str(envoy_binary()), *arguments), stdout=out
        )
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:

            async def is_live() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return (await http.get(f"http://{admin}/ready")).text.strip() == "LIVE"
                return False

            async def all_are_healthy() -> bool:
                response = await http.get(f"http://{admin}/clusters?format=json")
                ends = failing(response.json())
                return not [end for end in ends if await accepts(*end)]

            await eventually(is_live)
            # On a machine that stalls, the first check of a service that runs may be too late.
            await eventually(all_are_healthy)
        yield Envoy(str(listen), admin)
    finally:
        process.terminate()
        await process.wait()


def long_checks(config: Json) -> None:
    """Let a health check wait: all services are in one process, and the machine may stall.

    A service that does not run refuses the connection, which is noticed as soon as before.
    """
    for cluster in config["static_resources"]["clusters"]:
        for check in cluster.get("health_checks", ()):
            check["timeout"] = "60s"


def failing(clusters: Json) -> set[tuple[str, int]]:
    """Addresses that Envoy's own checks find unhealthy."""
    hosts = [h for c in clusters["cluster_statuses"] for h in c.get("host_statuses", ())]
    return {
        (h["address"]["socket_address"]["address"], h["address"]["socket_address"]["port_value"])
        for h in hosts
        if h["health_status"].get("failed_active_health_check") and "socket_address" in h["address"]
    }


async def accepts(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def routes_in(config: Json) -> list[Json]:
    """Every route of both listeners."""
    managers = [
        listener["filter_chains"][0]["filters"][0]["typed_config"]
        for listener in config["static_resources"]["listeners"]
    ]
    return [
        route
        for manager in managers
        for host in manager["route_config"]["virtual_hosts"]
        for route in host["routes"]
    ]


def short_timeouts(config: Json) -> None:
    """Give every unary call a timeout of 0.4 s."""
    for route in routes_in(config):
        action = route.get("route", {})
        if "max_stream_duration" in action:
            action["timeout"] = "0.4s"
            action["max_stream_duration"] = {"grpc_timeout_header_max": "0.4s"}
            for added in route["request_headers_to_add"]:
                added["header"]["value"] = "5S"


def no_calls(config: Json) -> None:
    """Let the circuit breaker of every service refuse each call."""
    for cluster in config["static_resources"]["clusters"]:
        if "health_checks" in cluster:
            cluster["circuit_breakers"]["thresholds"] = [
                {"priority": priority, "max_requests": 0} for priority in ("DEFAULT", "HIGH")
            ]

"""Readiness probes of the parts."""

import asyncio
import http.client
import json
import ssl
from collections.abc import Mapping

from sep_edge.address import Address
from sep_edge.envoy.settings import PROBE_USER_AGENT

from sep_local.part import Probe

_TIMEOUT_S = 2.0


def valkey_responds(address: Address) -> Probe:
    """Valkey executes commands: it has started and loaded its append-only file."""

    async def probe() -> str | None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(address.host, address.port)
                try:
                    writer.write(b"PING\r\n")
                    reply = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return "valkey"
        return None if reply.startswith(b"+PONG") else f"valkey ({reply.decode().strip()})"

    return probe


def http_responds(name: str, address: Address, path: str) -> Probe:
    """An HTTP server responds with 200."""

    async def probe() -> str | None:
        response = await asyncio.to_thread(_get, address, path)
        if response is None:
            return name
        return None if response[0] == http.HTTPStatus.OK else f"{name} (status {response[0]})"

    return probe


def all_listen(addresses: Mapping[str, Address]) -> Probe:
    """Each of these addresses, by name, accepts connections."""

    async def listens(address: Address) -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                _, writer = await asyncio.open_connection(address.host, address.port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def probe() -> str | None:
        missing = [name for name, address in addresses.items() if not await listens(address)]
        return ", ".join(missing) or None

    return probe


def stack_is_healthy(address: Address, *, tls: bool = False) -> Probe:
    """``GET /health`` through Envoy responds with 200."""

    async def probe() -> str | None:
        response = await asyncio.to_thread(_get, address, "/health", tls=tls)
        if response is None:
            return "envoy"
        status, body = response
        return None if status == http.HTTPStatus.OK else missing_parts(status, body)

    return probe


def missing_parts(status: int, body: bytes) -> str:
    """The parts that an unhealthy response of ``/health`` names, with their states."""
    try:
        error = json.loads(body)
        parts: list[dict[str, str]] = next(
            (d["parts"] for d in error["details"] if "parts" in d), []
        )
        missing = [
            f"{part['name']} ({part['state'].removeprefix('PART_STATE_').lower()})"
            for part in parts
            if part["state"] != "PART_STATE_SERVING"
        ]
        return ", ".join(missing) or "the services"
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"/health (status {status})"


def _get(address: Address, path: str, *, tls: bool = False) -> tuple[int, bytes] | None:
    """Status and body; None without a response. Proxies named in the environment are ignored."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT_S)
    if tls:
        # Our own process on this machine; its certificate names the public host.
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            address.host, address.port, timeout=_TIMEOUT_S, context=trusting
        )
    try:
        connection.request("GET", path, headers={"User-Agent": PROBE_USER_AGENT})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()

"""Whether parts are there, asked the way their users ask."""

import asyncio
import http.client
import json
import ssl
from collections.abc import Mapping

from sep_stack.address import Address
from sep_stack.part import Probe

_SECONDS = 2.0


def valkey_answers(address: Address) -> Probe:
    """Valkey takes commands: it is up, and has read its append-only file."""

    async def probe() -> str | None:
        try:
            async with asyncio.timeout(_SECONDS):
                reader, writer = await asyncio.open_connection(address.host, address.port)
                try:
                    writer.write(b"PING\r\n")
                    answer = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return "valkey"
        return None if answer.startswith(b"+PONG") else f"valkey ({answer.decode().strip()})"

    return probe


def http_answers(name: str, address: Address, path: str) -> Probe:
    """An HTTP server answers 200."""

    async def probe() -> str | None:
        answer = await asyncio.to_thread(_get, address, path)
        if answer is None:
            return name
        return None if answer[0] == http.HTTPStatus.OK else f"{name} (status {answer[0]})"

    return probe


def all_listen(addresses: Mapping[str, Address]) -> Probe:
    """Each of these named addresses takes connections."""

    async def listens(address: Address) -> bool:
        try:
            async with asyncio.timeout(_SECONDS):
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
    """``GET /health`` through Envoy answers 200."""

    async def probe() -> str | None:
        answer = await asyncio.to_thread(_get, address, "/health", tls=tls)
        if answer is None:
            return "envoy"
        status, body = answer
        return None if status == http.HTTPStatus.OK else missing_parts(status, body)

    return probe


def missing_parts(status: int, body: bytes) -> str:
    """What an unhealthy answer of ``/health`` says is missing."""
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
    """Status and body; None when nobody answers. Past every proxy that the shell may name."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=_SECONDS)
    if tls:
        # Our own process on this machine: its certificate names the public host.
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            address.host, address.port, timeout=_SECONDS, context=trusting
        )
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()

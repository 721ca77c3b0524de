"""A closed-loop HTTP/1.1 load generator: each connection sends a request after each response.

``python -m bench.load URL SECONDS CONNECTIONS`` prints its figures as JSON. It runs in its own
process, so that it does not share an event loop with what it measures.
"""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast
from urllib.parse import urlsplit

import uvloop

_WARM_UP_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Successful responses per second, their latency in ms, and the number of failed ones."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, latencies: list[float], failed: list[str]) -> None:
        self._request = request
        self._latencies = latencies
        self._failed = failed
        self._buffer = b""
        self._sent = 0.0
        self._length = -1
        self.active = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not subclass asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._length < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            if not head.startswith(b"http/1.1 200") or at < 0:
                self._failed.append(head.split(b"\r\n")[0].decode())
                self._transport.close()
                return
            stop = head.find(b"\r\n", at)
            self._length = end + 4 + int(head[at + 15 : stop if stop > 0 else None])
        if len(self._buffer) >= self._length:
            self._latencies.append(time.perf_counter() - self._sent)
            self._buffer, self._length = b"", -1
            if self.active:
                self._send()
            else:
                self._transport.close()


async def _run(url: str, seconds: float, connections: int) -> Load:
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    request = f"GET {path} HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n".encode()
    latencies: list[float] = []
    failed: list[str] = []
    loop = asyncio.get_running_loop()
    opened = [
        (
            await loop.create_connection(
                lambda: _Connection(request, latencies, failed),
                str(parts.hostname),
                int(parts.port or 80),
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(_WARM_UP_S)
    latencies.clear()
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - started
    times = sorted(latencies)
    for connection in opened:
        connection.active = False
    if not times:
        return Load(per_second=0, p50_ms=0, p99_ms=0, failed=len(failed))
    return Load(
        per_second=len(times) / elapsed,
        p50_ms=times[len(times) // 2] * 1000,
        p99_ms=times[int(len(times) * 0.99)] * 1000,
        failed=len(failed),
    )


def load(url: str, seconds: float, connections: int) -> Load:
    """Run the load generator in another process."""
    command = [sys.executable, "-m", "bench.load", url, str(seconds), str(connections)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Load(**json.loads(done.stdout))


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_run(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))))))

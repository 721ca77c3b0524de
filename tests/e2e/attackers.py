"""Clients without a key that hold or flood a running stack.

``python -m tests.e2e.attackers NAME HOST PORT SECONDS`` runs one of ``ATTACKS`` in a process of its
own, so that it does not share an event loop with what measures the stack. It prints how its calls
ended, as JSON: HTTP statuses by number of responses, and ``held`` for connections open at the end.
"""

import asyncio
import contextlib
import json
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

from sep_fx.instants import NS_PER_SECOND
from sep_kit.clock import SystemClock

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CANDLES = "/api/candles?instrument=EUR_USD&limit=5000&to={to}"
"""Another query each time: no cache answers it."""
_STREAMS = 1100
_IDLE = 10_050
_READERS = 300
_H2_STREAMS = 50
"""Streams of one HTTP/2 connection, as many as the proxy allows."""
_ZERO_WINDOW_STREAMS = 8000
_HOST = "localhost"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _RST, _SETTINGS, _PING, _ACK = 1, 3, 4, 6, 1
_INITIAL_WINDOW = 4
_PAGE = "content-type: text/plain\r\norigin: https://evil.example\r\nsec-fetch-site: cross-site\r\n"


class Attack:
    """One client's calls until a time is over.

    Args:
        until: monotonic time in seconds.
    """

    def __init__(self, host: str, port: int, until: float) -> None:
        self._host, self._port, self._until = host, port, until
        self._asked = SystemClock().now_ns() // NS_PER_SECOND
        self.seen: Counter[str] = Counter()

    @property
    def _left(self) -> float:
        return self._until - time.monotonic()

    async def _repeat(self, count: int, call: Callable[[], Awaitable[None]]) -> None:
        """Make ``count`` calls at the same time, each again after it ended."""

        async def one() -> None:
            while self._left > 0:
                try:
                    await asyncio.wait_for(call(), self._left)
                except TimeoutError:
                    self.seen["held"] += 1
                except (OSError, EOFError, asyncio.IncompleteReadError, IndexError):
                    self.seen["broken"] += 1
                    await asyncio.sleep(0.2)

        await asyncio.gather(*(one() for _ in range(count)))

    @contextlib.asynccontextmanager
    async def _connection(self, buffer: int = 0) -> AsyncIterator[Opened]:
        plain = socket.socket()
        plain.setblocking(False)
        if buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            await asyncio.get_running_loop().sock_connect(plain, (self._host, self._port))
            reader, writer = await asyncio.open_connection(sock=plain, limit=2**16)
        except BaseException:
            plain.close()
            raise
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _status(self, reader: asyncio.StreamReader) -> None:
        status = (await reader.readline()).split()[1].decode()
        self.seen[status] += 1

    async def _get(self, head: str, body: bytes = b"") -> None:
        async with self._connection() as (reader, writer):
            writer.write(f"{head}connection: close\r\n\r\n".encode() + body)
            await self._status(reader)
            while await reader.read(2**16):
                pass

    async def keyless_posts(self) -> None:
        """Twenty engages without a key, again and again."""
        head = f"POST /api/kill-switch HTTP/1.1\r\nhost: {_HOST}\r\ncontent-length: 2\r\n"
        await self._repeat(20, lambda: self._get(head, b"{}"))

    async def page_posts(self) -> None:
        """The same as a web page of another origin sends them: no preflight is needed."""
        head = f"POST /api/kill-switch HTTP/1.1\r\nhost: {_HOST}\r\ncontent-length: 2\r\n{_PAGE}"
        await self._repeat(20, lambda: self._get(head, b"{}"))

    async def streams(self) -> None:
        """1,100 streams that stay open."""

        async def call() -> None:
            async with self._connection() as (reader, writer):
                writer.write(f"GET /api/manifold/stream HTTP/1.1\r\nhost: {_HOST}\r\n\r\n".encode())
                await self._status(reader)
                while await reader.read(2**16):
                    pass
            await asyncio.sleep(0.5)

        await self._repeat(_STREAMS, call)

    async def half_open(self) -> None:
        """1,100 calls of the kill switch whose bodies never come."""

        async def call() -> None:
            async with self._connection() as (reader, writer):
                head = f"POST /api/kill-switch HTTP/1.1\r\nhost: {_HOST}\r\ncontent-length: 99\r\n"
                writer.write(f"{head}\r\n{{".encode())
                await self._status(reader)

        await self._repeat(_STREAMS, call)

    async def watches(self) -> None:
        """1,100 watches of the health service, over native gRPC."""
        path = "/grpc.health.v1.Health/Watch"
        fields = {":method": "POST", "content-type": "application/grpc", "te": "trailers"}
        await self._repeat(_STREAMS // _H2_STREAMS, lambda: self._h2(path, fields, 2**16 - 1))

    async def idle(self) -> None:
        """10,050 connections that send nothing, each opened again when it is closed."""

        async def call() -> None:
            async with self._connection() as (reader, _):
                await reader.read()
                self.seen["closed"] += 1

        await self._repeat(_IDLE, call)

    async def zero_window(self) -> None:
        """8,000 HTTP/2 streams of long responses whose windows stay at 0."""
        paths = ("/docs", "/openapi.json", "/metrics", "/api/candles?instrument=EUR_USD&limit=5000")
        calls = iter(range(10**9))

        async def call() -> None:
            path = paths[next(calls) % len(paths)]
            await self._h2(path, {":method": "GET"}, 0)

        await self._repeat(_ZERO_WINDOW_STREAMS // _H2_STREAMS, call)

    async def candle_readers(self) -> None:
        """300 readers of 5,000 candles each."""
        await self._repeat(_READERS, lambda: self._get(self._candles()))

    async def candle_readers_that_do_not_read(self) -> None:
        """300 readers of 5,000 candles that take the first bytes and no more."""

        async def call() -> None:
            async with self._connection(buffer=2048) as (reader, writer):
                writer.write(f"{self._candles()}\r\n".encode())
                await self._status(reader)
                cast(asyncio.Transport, writer.transport).pause_reading()
                await asyncio.sleep(5)

        await self._repeat(_READERS, call)

    def _candles(self) -> str:
        self._asked += 1
        return f"GET {CANDLES.format(to=self._asked * 1000)} HTTP/1.1\r\nhost: {_HOST}\r\n"

    async def _h2(self, path: str, fields: dict[str, str], window: int) -> None:
        """One HTTP/2 connection full of equal streams; each that ends is opened again."""
        header = _hpack({":scheme": "http", ":path": path, ":authority": _HOST, **fields})
        grpc = "content-type" in fields
        async with self._connection() as (reader, writer):
            writer.write(
                _PREFACE + _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW, window))
            )
            for n in range(_H2_STREAMS):
                self._open(writer, 2 * n + 1, header, grpc=grpc)
            following = 2 * _H2_STREAMS + 1
            while True:
                raw = await reader.readexactly(9)
                length, kind = int.from_bytes(raw[:3]), raw[3]
                payload = await reader.readexactly(length)
                if kind == _SETTINGS and not raw[4] & _ACK:
                    writer.write(_frame(_SETTINGS, _ACK, 0, b""))
                elif kind == _PING and not raw[4] & _ACK:
                    writer.write(_frame(_PING, _ACK, 0, payload))
                elif kind == _RST or (kind in (0, _HEADERS) and raw[4] & 1):
                    self.seen["ended"] += 1
                    await asyncio.sleep(0.02)
                    self._open(writer, following, header, grpc=grpc)
                    following += 2

    @staticmethod
    def _open(writer: asyncio.StreamWriter, stream: int, header: bytes, *, grpc: bool) -> None:
        # END_HEADERS, and END_STREAM: with the empty message of a native call in a frame after it.
        writer.write(_frame(_HEADERS, 4 if grpc else 5, stream, header))
        if grpc:
            writer.write(_frame(0, 1, stream, bytes(5)))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _hpack(fields: dict[str, str]) -> bytes:
    """Headers as literals without Huffman coding; pseudo-headers first."""
    found = b""
    for name, value in sorted(fields.items(), key=lambda field: not field[0].startswith(":")):
        found += b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return found


ATTACKS = (
    "keyless_posts",
    "page_posts",
    "streams",
    "half_open",
    "watches",
    "idle",
    "zero_window",
    "candle_readers",
    "candle_readers_that_do_not_read",
)


async def _main(name: str, host: str, port: int, seconds: float) -> None:
    attack = Attack(host, port, time.monotonic() + seconds)
    await getattr(attack, name)()
    print(json.dumps(attack.seen))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))

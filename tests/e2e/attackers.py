"""Clients without a key that hold or flood a running stack.

``python -m tests.e2e.attackers NAME HOST PORT SECONDS`` runs one of ``ATTACKS`` in a process of its
own, so that it does not share an event loop with what measures the stack. It prints how its calls
ended, as JSON: HTTP statuses by number of responses, and ``held`` for connections open at the end.
"""

import asyncio
import json
import sys
import time
from typing import cast

from sep_fx.instants import NS_PER_SECOND
from sep_kit.clock import SystemClock

from tests.e2e.attacking_client import HOST
from tests.e2e.floods import Floods
from tests.e2e.http2_frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST,
    SETTINGS,
    frame,
    hpack,
    initial_window,
)

CANDLES = "/api/candles?instrument=EUR_USD&limit=5000&to={to}"
"""Another query each time: no cache answers it."""
_STREAMS = 1100
_IDLE = 10_050
_READERS = 300
_H2_STREAMS = 50
"""Streams of one HTTP/2 connection, as many as the proxy allows."""
_ZERO_WINDOW_STREAMS = 8000
_PAGE = "content-type: text/plain\r\norigin: https://evil.example\r\nsec-fetch-site: cross-site\r\n"


class Attack(Floods):
    """Every attack, by the names in ``ATTACKS``."""

    def __init__(self, host: str, port: int, until: float) -> None:
        super().__init__(host, port, until)
        self._asked = SystemClock().now_ns() // NS_PER_SECOND

    async def keyless_posts(self) -> None:
        """Twenty engages without a key, again and again."""
        head = f"POST /api/kill-switch HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 2\r\n"
        await self.repeat(20, lambda: self.get(head, b"{}"))

    async def page_posts(self) -> None:
        """The same as a web page of another origin sends them: no preflight is needed."""
        head = f"POST /api/kill-switch HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 2\r\n{_PAGE}"
        await self.repeat(20, lambda: self.get(head, b"{}"))

    async def streams(self) -> None:
        """1,100 streams that stay open."""

        async def call() -> None:
            async with self.connection() as (reader, writer):
                writer.write(f"GET /api/manifold/stream HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode())
                await self.status(reader)
                while await reader.read(2**16):
                    pass
            await asyncio.sleep(0.5)

        await self.repeat(_STREAMS, call)

    async def half_open(self) -> None:
        """1,100 calls of the kill switch whose bodies never come."""

        async def call() -> None:
            async with self.connection() as (reader, writer):
                head = f"POST /api/kill-switch HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 99\r\n"
                writer.write(f"{head}\r\n{{".encode())
                await self.status(reader)

        await self.repeat(_STREAMS, call)

    async def watches(self) -> None:
        """1,100 watches of the health service, over native gRPC."""
        path = "/grpc.health.v1.Health/Watch"
        fields = {":method": "POST", "content-type": "application/grpc", "te": "trailers"}
        await self.repeat(_STREAMS // _H2_STREAMS, lambda: self._h2(path, fields, 2**16 - 1))

    async def idle(self) -> None:
        """10,050 connections that send nothing, each opened again when it is closed."""

        async def call() -> None:
            async with self.connection() as (reader, _):
                await reader.read()
                self.seen["closed"] += 1

        await self.repeat(_IDLE, call)

    async def zero_window(self) -> None:
        """8,000 HTTP/2 streams of long responses whose windows stay at 0."""
        paths = ("/docs", "/openapi.json", "/metrics", "/api/candles?instrument=EUR_USD&limit=5000")
        calls = iter(range(10**9))

        async def call() -> None:
            path = paths[next(calls) % len(paths)]
            await self._h2(path, {":method": "GET"}, 0)

        await self.repeat(_ZERO_WINDOW_STREAMS // _H2_STREAMS, call)

    async def candle_readers(self) -> None:
        """300 readers of 5,000 candles each."""
        await self.repeat(_READERS, lambda: self.get(self._candles()))

    async def candle_readers_that_do_not_read(self) -> None:
        """300 readers of 5,000 candles that take the first bytes and no more."""

        async def call() -> None:
            async with self.connection(buffer=2048) as (reader, writer):
                writer.write(f"{self._candles()}\r\n".encode())
                await self.status(reader)
                cast(asyncio.Transport, writer.transport).pause_reading()
                await asyncio.sleep(5)

        await self.repeat(_READERS, call)

    def _candles(self) -> str:
        self._asked += 1
        return f"GET {CANDLES.format(to=self._asked * 1000)} HTTP/1.1\r\nhost: {HOST}\r\n"

    async def _h2(self, path: str, fields: dict[str, str], window: int) -> None:
        """One HTTP/2 connection full of equal streams; each that ends is opened again."""
        header = hpack({":scheme": "http", ":path": path, ":authority": HOST, **fields})
        grpc = "content-type" in fields
        async with self.connection() as (reader, writer):
            writer.write(PREFACE + initial_window(window))
            for n in range(_H2_STREAMS):
                self._open(writer, 2 * n + 1, header, grpc=grpc)
            following = 2 * _H2_STREAMS + 1
            while True:
                raw = await reader.readexactly(9)
                length, kind = int.from_bytes(raw[:3]), raw[3]
                payload = await reader.readexactly(length)
                if kind == SETTINGS and not raw[4] & ACK:
                    writer.write(frame(SETTINGS, ACK, 0, b""))
                elif kind == PING and not raw[4] & ACK:
                    writer.write(frame(PING, ACK, 0, payload))
                elif kind == RST or (kind in {DATA, HEADERS} and raw[4] & END_STREAM):
                    self.seen["ended"] += 1
                    await asyncio.sleep(0.02)
                    self._open(writer, following, header, grpc=grpc)
                    following += 2

    @staticmethod
    def _open(writer: asyncio.StreamWriter, stream: int, header: bytes, *, grpc: bool) -> None:
        # END_HEADERS, and END_STREAM: with the empty message of a native call in a frame after it.
        writer.write(frame(HEADERS, END_HEADERS | (0 if grpc else END_STREAM), stream, header))
        if grpc:
            writer.write(frame(DATA, END_STREAM, stream, bytes(5)))


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
    "pings",
    "settings",
    "resets",
    "continuations",
    "large_headers",
    "slow_headers",
    "slow_bodies",
    "reconnects",
)


async def _main(name: str, host: str, port: int, seconds: float) -> None:
    attack = Attack(host, port, time.monotonic() + seconds)
    await getattr(attack, name)()
    print(json.dumps(attack.seen))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))

"""Floods of small frames, headers and connections, at the route of the kill switch."""

import asyncio
from collections.abc import Callable

from tests.e2e.attacking_client import HOST, AttackingClient
from tests.e2e.http2_frames import (
    CONTINUATION,
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

_FLOODERS = 20
_SLOW = 1100
_LARGE = 200
_BATCH = 200
_ROUTE = {":method": "POST", ":scheme": "http", ":path": "/api/kill-switch", ":authority": HOST}
_POST = f"POST /api/kill-switch HTTP/1.1\r\nhost: {HOST}\r\n"


class Floods(AttackingClient):
    """What costs the sender next to nothing and the proxy some work each time."""

    async def pings(self) -> None:
        """PING frames without end over 20 HTTP/2 connections."""

        def ping(n: int) -> bytes:
            return frame(PING, 0, 0, n.to_bytes(8))

        await self.repeat(_FLOODERS, lambda: self._flood(ping))

    async def settings(self) -> None:
        """SETTINGS frames without end, each of which has to be acknowledged."""
        await self.repeat(_FLOODERS, lambda: self._flood(lambda _: frame(SETTINGS, 0, 0, b"")))

    async def resets(self) -> None:
        """Streams that are reset in the frame after the one that opened them: engages and reads."""
        read = _ROUTE | {":method": "GET", ":path": "/api/ranking/active"}
        kinds = ((END_HEADERS, hpack(_ROUTE)), (END_HEADERS | END_STREAM, hpack(read)))

        def opened_and_reset(n: int) -> bytes:
            stream = 2 * n + 1
            flags, header = kinds[n % 2]
            opened = frame(HEADERS, flags, stream, header)
            return opened + frame(RST, 0, stream, (8).to_bytes(4))

        await self.repeat(_FLOODERS, lambda: self._flood(opened_and_reset))

    async def continuations(self) -> None:
        """A call whose headers never end."""
        part = hpack({"a": "b"}) * 100

        def more(n: int) -> bytes:
            if n == 0:
                return frame(HEADERS, END_STREAM, 1, hpack(_ROUTE))
            return frame(CONTINUATION, 0, 1, part)

        await self.repeat(_FLOODERS, lambda: self._flood(more))

    async def large_headers(self) -> None:
        """Engages with 60 KB of headers."""
        head = _POST + "".join(f"x-{n}: {'x' * 1000}\r\n" for n in range(60))
        await self.repeat(_LARGE, lambda: self.get(f"{head}content-length: 2\r\n", b"{}"))

    async def slow_headers(self) -> None:
        """1,100 engages whose headers come byte by byte."""

        async def call() -> None:
            async with self.connection() as (reader, writer):
                await self._trickle(reader, writer, _POST.encode() + b"x: " + b"x" * 1000)

        await self.repeat(_SLOW, call)

    async def slow_bodies(self) -> None:
        """1,100 engages whose bodies come byte by byte."""

        async def call() -> None:
            async with self.connection() as (reader, writer):
                writer.write(f"{_POST}content-length: 1000\r\n\r\n".encode())
                await self._trickle(reader, writer, b"{" + b" " * 999)

        await self.repeat(_SLOW, call)

    async def reconnects(self) -> None:
        """Connections that are reset as soon as they are open, by 200 at the same time."""

        async def call() -> None:
            async with self.connection():
                self.seen["opened"] += 1

        await self.repeat(_LARGE, call)

    async def _trickle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes
    ) -> None:
        """Send a byte each half second until the other side answers or closes."""
        answer = asyncio.ensure_future(reader.readline())
        try:
            for byte in text:
                writer.write(bytes([byte]))
                done, _ = await asyncio.wait([answer], timeout=0.5)
                if done:
                    break
            self.seen[(await answer).split()[1].decode()] += 1
        finally:
            answer.cancel()

    async def _flood(self, made: Callable[[int], bytes]) -> None:
        """Send frames as fast as they are taken, reading what comes back, until it is closed."""
        async with self.connection() as (reader, writer):
            writer.write(PREFACE + initial_window(2**16 - 1))
            drained = asyncio.ensure_future(self._read_all(reader))
            try:
                n = 0
                while not drained.done():
                    writer.write(b"".join(made(n + i) for i in range(_BATCH)))
                    n += _BATCH
                    await writer.drain()
                    await asyncio.sleep(0)
                self.seen["closed"] += 1
            finally:
                self.seen["frames"] += n
                drained.cancel()

    @staticmethod
    async def _read_all(reader: asyncio.StreamReader) -> None:
        while await reader.read(2**16):
            pass

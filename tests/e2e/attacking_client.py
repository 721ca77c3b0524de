"""One client's connections and calls until a time is over."""

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HOST = "localhost"


class AttackingClient:
    """Repeats calls at the same time and counts how they end.

    Args:
        until: monotonic time in seconds.
    """

    def __init__(self, host: str, port: int, until: float) -> None:
        self._host, self._port, self._until = host, port, until
        self.seen: Counter[str] = Counter()

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self._until - time.monotonic()

    async def repeat(self, count: int, call: Callable[[], Awaitable[None]]) -> None:
        """Make ``count`` calls at the same time, each again after it ended."""

        async def one() -> None:
            while self.left > 0:
                try:
                    await asyncio.wait_for(call(), self.left)
                except TimeoutError:
                    self.seen["held"] += 1
                except (OSError, EOFError, asyncio.IncompleteReadError, IndexError):
                    self.seen["broken"] += 1
                    await asyncio.sleep(0.2)

        await asyncio.gather(*(one() for _ in range(count)))

    @contextlib.asynccontextmanager
    async def connection(self, buffer: int = 0) -> AsyncIterator[Opened]:
        """A connection that is reset at the end; ``buffer`` limits what the system receives."""
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

    async def status(self, reader: asyncio.StreamReader) -> None:
        """Count the status of an HTTP/1.1 response."""
        status = (await reader.readline()).split()[1].decode()
        self.seen[status] += 1

    async def get(self, head: str, body: bytes = b"") -> None:
        """One call over a connection of its own, read to its end."""
        async with self.connection() as (reader, writer):
            writer.write(f"{head}connection: close\r\n\r\n".encode() + body)
            await self.status(reader)
            while await reader.read(2**16):
                pass

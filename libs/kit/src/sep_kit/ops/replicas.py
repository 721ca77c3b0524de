"""Channels to all replicas of a service."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import grpc

Resolve = Callable[[str], Awaitable[list[str]]]


async def addresses_of(address: str) -> list[str]:
    """Resolve ``host:port`` to all its addresses; returns it unchanged if that fails."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        found = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        return sorted({_text(sockaddr) for *_, sockaddr in found})
    return [address]


def _text(sockaddr: tuple[object, ...]) -> str:
    host, port = sockaddr[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


class Replicas:
    """One channel per address that the name of a service resolves to."""

    def __init__(
        self, address: str, connect: Callable[[str], grpc.aio.Channel], resolve: Resolve
    ) -> None:
        self._address = address
        self._connect = connect
        self._resolve = resolve
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def channels(self) -> list[grpc.aio.Channel]:
        """A channel to each current replica."""
        now = await self._resolve(self._address)
        for gone in self._channels.keys() - set(now):
            await self._channels.pop(gone).close(None)
        for new in now:
            if new not in self._channels:
                self._channels[new] = self._connect(new)
        return [self._channels[address] for address in now]

    async def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            await channel.close(None)

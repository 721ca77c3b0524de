"""Free ports, and waiting for conditions."""

import asyncio
import contextlib
import inspect
import socket
import time
from collections.abc import Awaitable, Callable

import pytest
from sep_testing.ports import reserve_ports


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """Returns so many different ports that nothing listens on."""
    return _free_ports


async def _eventually(
    check: Callable[[], object | Awaitable[object]], within: float = 30.0
) -> None:
    deadline = time.monotonic() + within
    while True:
        result = check()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return
        assert time.monotonic() < deadline, f"not within {within} s: {inspect.getsource(check)}"
        await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Awaitable[None]]:
    """Waits until a check is true; fails after a timeout."""
    return _eventually


@pytest.fixture
def port_base() -> int:
    """The first of nine ports in a row that no other process uses."""
    return reserve_ports(9)

"""Free ports, and waiting for conditions."""

import contextlib
import socket
from collections.abc import Awaitable, Callable

import pytest
from sep_testing.eventually import eventually as wait_until


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """Returns so many different ports that nothing listens on."""

    def find(count: int) -> list[int]:
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
            for free in sockets:
                free.bind(("127.0.0.1", 0))
            return [free.getsockname()[1] for free in sockets]

    return find


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Awaitable[object]]:
    """Waits until a check is true; fails after a timeout."""
    return wait_until

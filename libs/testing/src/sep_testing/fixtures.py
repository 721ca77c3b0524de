"""Fixtures for every test of the monorepo."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
from sep_kit.store.connection import Valkey, open_valkey

from sep_testing.clock import FakeClock
from sep_testing.loopback import loopback_only
from sep_testing.valkey import ValkeyServer

# A property holds or does not; how long a busy machine takes to find out says nothing of it.
hypothesis.settings.register_profile(
    "sep", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("sep")


@pytest.fixture(scope="session")
def outside_connections() -> Iterator[list[str]]:
    """What was refused to reach another machine in this test; anything left fails it."""
    with loopback_only() as refused:
        yield refused


@pytest.fixture(autouse=True)
def _only_loopback(outside_connections: list[str]) -> Iterator[None]:
    outside_connections.clear()
    yield
    assert not outside_connections, f"the test connected to {outside_connections}"


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Tracebacks as plain text: drawn with frames and locals, one takes a second of the loop."""
    renderer = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        cache_logger_on_first_use=False,
    )


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """One Valkey for the tests that leave it alone; emptied between them by ``store``."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A Valkey of the test's own, to kill and to freeze."""
    server = ValkeyServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def store(shared_valkey: ValkeyServer) -> AsyncIterator[Valkey]:
    """An empty store."""
    client = open_valkey(shared_valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands at a Wednesday noon, UTC, inside every session rule."""
    return FakeClock()

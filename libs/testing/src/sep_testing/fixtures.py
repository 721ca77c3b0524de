"""Fixtures for every test of the monorepo."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sep_kit.grpc.interceptor import UNDOCUMENTED
from sep_kit.store.connection import Valkey, open_valkey
from structlog.typing import EventDict

from sep_testing.clock import FakeClock
from sep_testing.loopback import loopback_only
from sep_testing.valkey import ValkeyServer

# A busy machine must not fail a property test.
settings.register_profile(
    "sep", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("sep")
_STORE_WITHIN_S = 30.0


@pytest.fixture(scope="session")
def outside_connections() -> Iterator[list[str]]:
    """Refused connections of this test to other machines; the test fails if any is left."""
    with loopback_only() as refused:
        yield refused


@pytest.fixture(autouse=True)
def _only_loopback(outside_connections: list[str]) -> Iterator[None]:
    outside_connections.clear()
    yield
    assert not outside_connections, f"the test connected to {outside_connections}"


@pytest.fixture(scope="session", autouse=True)
def undocumented() -> list[str]:
    """Errors returned by services of this process that the contract does not declare."""
    return []


@pytest.fixture(autouse=True)
def _only_documented_errors(undocumented: list[str]) -> Iterator[None]:
    undocumented.clear()
    yield
    assert not undocumented, f"not in the contract: {undocumented}"


@pytest.fixture(scope="session", autouse=True)
def plain_logs(undocumented: list[str]) -> dict[str, Any]:
    """Tracebacks as plain text: drawn with frames and locals, one takes a second of the loop.

    Returns:
        The configuration of structlog.
    """

    def look_for_undocumented(_: object, __: str, event: EventDict) -> EventDict:
        if event["event"] == UNDOCUMENTED:
            undocumented.append(f"{event['method']} {event['code']} {event['reason']}")
        return event

    renderer = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        # Looked up for each logger: pytest replaces sys.stdout for every test.
        logger_factory=structlog.PrintLoggerFactory(),
        processors=[
            look_for_undocumented,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        cache_logger_on_first_use=False,
    )
    return structlog.get_config()


@pytest.fixture(autouse=True)
def _own_logging(plain_logs: dict[str, Any]) -> Iterator[None]:
    """A command line that a test calls configures logging for its process: undo that.

    Otherwise later tests would log to a stream that pytest has closed. Undone before each test as
    well: a fixture of a module may have called one.
    """
    structlog.configure(**plain_logs)
    yield
    structlog.configure(**plain_logs)
    structlog.contextvars.clear_contextvars()


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
    """An empty store, which never hangs: only a machine that stalls makes a command wait."""
    async with open_valkey(shared_valkey.url) as client:
        client.connection_pool.connection_kwargs.update(
            socket_timeout=_STORE_WITHIN_S, socket_connect_timeout=_STORE_WITHIN_S
        )
        await client.flushall()
        yield client


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands at a Wednesday noon, UTC, inside every session rule."""
    return FakeClock()

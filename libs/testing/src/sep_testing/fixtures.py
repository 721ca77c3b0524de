"""Fixtures for every test of the monorepo."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sep_kit.grpc.interceptor import UNDOCUMENTED
from sep_kit.store.connection import Valkey, open_valkey
from structlog.typing import EventDict

from sep_testing.clock import FakeClock
from sep_testing.loopback import loopback_only
from sep_testing.valkey import ValkeyServer

# Slow machines must not fail property tests.
settings.register_profile(
    "sep", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("sep")


@pytest.fixture(scope="session")
def outside_connections() -> Iterator[list[str]]:
    """Refused connections to other machines; any left at the end fail the test."""
    with loopback_only() as refused:
        yield refused


@pytest.fixture(autouse=True)
def _only_loopback(outside_connections: list[str]) -> Iterator[None]:
    outside_connections.clear()
    yield
    assert not outside_connections, f"the test connected to {outside_connections}"


@pytest.fixture(scope="session", autouse=True)
def undocumented() -> list[str]:
    """Undeclared errors that services in this process returned; any left fail the test."""
    return []


@pytest.fixture(autouse=True)
def _only_documented_errors(undocumented: list[str]) -> Iterator[None]:
    undocumented.clear()
    yield
    assert not undocumented, f"errors not declared in the contract: {undocumented}"


@pytest.fixture(scope="session", autouse=True)
def plain_logs(undocumented: list[str]) -> None:
    """Tracebacks as plain text: rendering one with local variables takes a second."""

    def record_undeclared(_: object, __: str, event: EventDict) -> EventDict:
        if event["event"] == UNDOCUMENTED:
            undocumented.append(f"{event['method']} {event['code']} {event['reason']}")
        return event

    renderer = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[
            record_undeclared,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        cache_logger_on_first_use=False,
    )


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """One Valkey for all tests that don't stop it; ``store`` empties it before each."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A Valkey for this test alone, which it may kill or freeze."""
    server = ValkeyServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def store(shared_valkey: ValkeyServer) -> AsyncIterator[Valkey]:
    """A client of an empty store."""
    client = open_valkey(shared_valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def clock() -> FakeClock:
    """A clock at noon UTC on a Wednesday, when the market is open."""
    return FakeClock()

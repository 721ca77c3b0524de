"""Opens the journal's database and brings its tables up to date."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from sep_kit.errors import JournalUnavailableError
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from sep_journal.adapters.sql.migrations import HEAD

_LOCK = 4_172_093_511
"""PostgreSQL's advisory lock of the migrations; any number that no other program uses."""
_BUSY_S = 10
_CONNECT_S = 5
_READERS = 3


def open_engine(url: str) -> Engine:
    """An engine that connects on first use; makes the folder of an SQLite file.

    Raises:
        ValueError: the URL names neither SQLite nor PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError("JOURNAL_DB_URL is not a database URL") from error
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_size=_READERS,
            max_overflow=1,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _CONNECT_S},
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return _open_sqlite(parsed)
    raise ValueError("JOURNAL_DB_URL must begin with sqlite:/// or postgresql://")


def _open_sqlite(url: URL) -> Engine:
    Path(str(url.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        pool_size=_READERS,
        max_overflow=1,
        connect_args={"timeout": _BUSY_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: they would not cover changes of tables.
    connection.isolation_level = None
    # A small cache: each connection has its own, and the system caches the file for all of them.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-2048"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer locks at once: one that begins with a read could not be upgraded later.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the tables.

    Raises:
        JournalUnavailableError: the database does not answer, or refuses.
    """
    with _database_errors(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is committed at the end, or leaves nothing.

    Raises:
        JournalUnavailableError: the database does not answer, or refuses.
    """
    with (
        _database_errors(),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise JournalUnavailableError(f"the journal's database fails: {error.orig}") from error
    except SQLAlchemyError as error:
        kind = type(error).__name__
        raise JournalUnavailableError(f"the journal's database refuses: {kind}") from error


def migrate(engine: Engine) -> None:
    """Bring the tables up to date. Replicas that start together wait for each other.

    Raises:
        JournalUnavailableError: the database does not answer, or refuses.
    """
    with reading(engine) as connection:
        if revision_of(connection) == HEAD:
            return
    with writing(engine) as connection:
        lock_migrations(connection)
        upgrade(connection, HEAD)


def lock_migrations(connection: Connection) -> None:
    """Let no other replica change the tables until the end of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def upgrade(connection: Connection, revision: str) -> None:
    """Bring the tables up to a revision, in the connection's transaction."""
    # Imported here: it costs 11 MB, and most starts migrate nothing.
    from alembic import command

    config = _alembic()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def known_revisions() -> set[str]:
    """Every revision of the tables that this release can make."""
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()}


def _alembic() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("sep_journal.adapters.sql.migrations")))
    return config


def revision_of(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)

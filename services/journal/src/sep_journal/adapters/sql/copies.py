"""A copy of the whole database as text, and a database made from one.

The copy is gzip of JSON lines: a head with format, revision and the columns of each table, then
rows as ``[table number, values]``, then the number of rows. It is the same for SQLite and
PostgreSQL.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import IO, Any

from sqlalchemy import Connection, Engine, MetaData, Table, text

from sep_journal.adapters.sql.engine import (
    known_revisions,
    lock_migrations,
    reading,
    revision_of,
    upgrade,
    writing,
)
from sep_journal.adapters.sql.migrations import HEAD

FORMAT = 1
_BATCH = 1_000
_REVISION = "alembic_version"


class UnusableCopyError(ValueError):
    """The copy is damaged, or of a newer release; nothing was changed."""


class NotEmptyError(ValueError):
    """The database holds a journal already; nothing was changed."""


def dump(engine: Engine, out: IO[bytes]) -> int:
    """Write a copy of one moment, while others write.

    Returns:
        The number of rows.

    Raises:
        JournalUnavailableError: the database does not answer, or refuses.
    """
    rows = 0
    with reading(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        tables = _tables(connection)
        head = {
            "format": FORMAT,
            "revision": revision_of(connection),
            "tables": [[t.name, [c.name for c in t.columns]] for t in tables.sorted_tables],
        }
        with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed:
            packed.write(_line(head))
            for number, table in enumerate(tables.sorted_tables):
                found = connection.execution_options(yield_per=_BATCH).execute(table.select())
                for row in found:
                    packed.write(_line([number, list(row)]))
                    rows += 1
            packed.write(_line({"rows": rows}))
    return rows


def load(engine: Engine, copy: IO[bytes], *, replace: bool = False) -> int:
    """Make the database from a copy: all of it or, after an error, nothing.

    An older copy is brought up to date.

    Returns:
        The number of rows.

    Raises:
        UnusableCopyError: the copy is damaged, or of a newer release.
        NotEmptyError: the database holds a journal, and ``replace`` is not set.
        JournalUnavailableError: the database does not answer, or refuses.
    """
    lines = _lines(copy)
    head = next(lines, None)
    revision = _check_head(head)
    with writing(engine) as connection:
        lock_migrations(connection)
        _make_room(connection, replace=replace)
        if revision is not None:
            upgrade(connection, revision)
        try:
            rows = _load_rows(connection, head, lines)
        except (KeyError, IndexError, TypeError) as error:
            raise UnusableCopyError(f"the copy of the journal is malformed: {error!r}") from error
        upgrade(connection, HEAD)
        return rows


def _check_head(head: Any) -> str | None:
    if not isinstance(head, dict) or not isinstance(head.get("format"), int):
        raise UnusableCopyError("the copy of the journal has no head")
    if head["format"] > FORMAT:
        raise UnusableCopyError(
            f"the copy of the journal has format {head['format']}; this release reads {FORMAT} and "
            "older: install the release that made it, or a newer one"
        )
    revision = head.get("revision")
    if revision is not None and revision not in known_revisions():
        raise UnusableCopyError(
            f"the journal's tables are of revision {revision}, which this release does not know: "
            "a newer release made the copy; install that one"
        )
    return revision


def _make_room(connection: Connection, *, replace: bool) -> None:
    held = _tables(connection)
    filled = [t.name for t in held.sorted_tables if connection.execute(t.select()).first()]
    if filled and not replace:
        raise NotEmptyError(f"the database holds a journal already (table {filled[0]})")
    held.drop_all(connection)
    connection.execute(text(f"DROP TABLE IF EXISTS {_REVISION}"))


def _load_rows(connection: Connection, head: Any, lines: Iterator[Any]) -> int:
    tables = [_table(connection, name, columns) for name, columns in head["tables"]]
    batch: list[dict[str, Any]] = []
    current: Table | None = None
    for rows, line in enumerate(lines):
        if isinstance(line, dict):
            if line.get("rows") != rows or next(lines, None) is not None:
                raise UnusableCopyError("the copy of the journal does not have all its rows")
            _insert(connection, current, batch)
            return rows
        number, values = line
        table, columns = tables[number]
        if table is not current or len(batch) == _BATCH:
            _insert(connection, current, batch)
            batch, current = [], table
        batch.append(dict(zip(columns, values, strict=True)))
    raise UnusableCopyError("the copy of the journal ends before its end")


def _table(connection: Connection, name: str, columns: list[str]) -> tuple[Table, list[str]]:
    known = _tables(connection).tables.get(name)
    if known is None or not set(columns) <= set(known.columns.keys()):
        raise UnusableCopyError(f"the copy of the journal has a table {name} of another form")
    return known, columns


def _insert(connection: Connection, table: Table | None, batch: list[dict[str, Any]]) -> None:
    if table is not None and batch:
        connection.execute(table.insert(), batch)


def _tables(connection: Connection) -> MetaData:
    """The tables as they are in the database, whichever revision that is."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name != _REVISION)
    return found


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _lines(copy: IO[bytes]) -> Iterator[Any]:
    try:
        with gzip.GzipFile(fileobj=copy, mode="rb") as packed:
            for line in packed:
                yield json.loads(line)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UnusableCopyError(f"the copy of the journal is damaged: {error}") from error

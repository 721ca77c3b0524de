"""Many rows in one statement: a rebuild spends most of its time on how rows are written."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, insert, text
from sqlalchemy.sql.elements import TextClause

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

_IN_LIMIT = 5_000
"""Values in one IN list: below what either database allows."""


def insert_rows(connection: Connection, table: Table, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; each has every column of the table."""
    if not values:
        return
    if connection.dialect.name == "postgresql":
        # One parameter: a statement for each row costs PostgreSQL three times as much.
        connection.execute(_from_json(table), {"rows": json.dumps(list(map(dict, values)))})
    else:
        columns = itemgetter(*(column.name for column in table.columns))
        connection.exec_driver_sql(_positional(table), list(map(columns, values)))


@cache
def _from_json(table: Table) -> TextClause:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return text(
        f"INSERT INTO {table.name} ({names}) SELECT {names} "  # noqa: S608  names of our tables
        f"FROM json_populate_recordset(NULL::{table.name}, CAST(:rows AS json))"
    )


@cache
def _positional(table: Table) -> str:
    from sqlalchemy.dialects import sqlite

    return str(insert(table).compile(dialect=sqlite.dialect()))


def insert_new(connection: Connection, table: Table, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose key is new."""
    if values:
        connection.execute(insert_or(connection, table).on_conflict_do_nothing(), list(values))


def insert_or(connection: Connection, table: Table) -> "postgresql.Insert | sqlite.Insert":
    """An insert that can say what to do on a conflict.

    Imports the dialect that is in use alone: PostgreSQL's takes 2 MB.
    """
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def chunks(values: Sequence[Any]) -> list[list[Any]]:
    """Parts that fit one IN list."""
    return [list(values[i : i + _IN_LIMIT]) for i in range(0, len(values), _IN_LIMIT)]

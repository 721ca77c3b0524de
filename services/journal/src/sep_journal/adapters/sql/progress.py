"""How far each source was taken in."""

from sqlalchemy import Connection, select

from sep_journal.adapters.sql.batches import insert_or
from sep_journal.adapters.sql.tables import PROGRESS


def read_progress(connection: Connection, name: str, *, lock: bool = False) -> str | None:
    """What was taken in; with ``lock`` another writer waits until the transaction ends."""
    query = select(PROGRESS.c.value).where(PROGRESS.c.name == name)
    if lock and connection.dialect.name == "postgresql":
        # The row does not exist before the first write, so the table is locked.
        connection.exec_driver_sql("LOCK TABLE progress IN SHARE ROW EXCLUSIVE MODE")
    found = connection.execute(query).scalar()
    return None if found is None else str(found)


def write_progress(connection: Connection, name: str, value: str) -> None:
    """Write what was taken in."""
    statement = insert_or(connection, PROGRESS).values(name=name, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )

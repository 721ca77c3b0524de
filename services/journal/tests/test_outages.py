"""A full disk, and a database that is gone: nothing is half written, and all of it is caught up."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest
from sep.journal.v1 import journal_pb2 as pb
from sep_journal.adapters.sql.engine import migrate, open_engine
from sep_journal.adapters.sql.writer import LedgerWriter
from sep_kit.errors import JournalUnavailableError
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer
from sqlalchemy import Engine, create_engine, event, text

from .ledgers import Account
from .test_journal_service import Gateway, ledger, running_gateway, running_journal
from .test_tables import dump

D = Decimal
NOT_NOW = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""The second on a machine that is busy."""


def an_account(trades: int) -> Account:
    account = Account()
    account.transfer(D(1000))
    for _ in range(trades):
        account.fill(opens=D(100), client_order_id=f"sep-{account.next_id}")
        account.fill(closes=[(max(account.open_units), D(-100), D("1.25"))])
    return account


def limit_pages(engine: Engine, pages: list[int]) -> None:
    """Fill the disk as far as SQLite can see: a file of at most ``pages[0]`` pages."""

    def apply(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages[0]}")

    event.listen(engine, "checkout", apply)


def test_a_full_disk_leaves_no_page_half_and_is_caught_up_afterwards(tmp_path: Path) -> None:
    engine, other = (open_engine(f"sqlite:///{tmp_path}/{n}.db") for n in ("full", "other"))
    migrate(engine)
    migrate(other)
    pages = [1_000_000]
    limit_pages(engine, pages)
    entries = an_account(600).entries
    writer = LedgerWriter(engine)
    writer.append(entries[:200])
    before = dump(engine)
    with engine.connect() as connection:
        pages[0] = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one()) + 2
    with pytest.raises(JournalUnavailableError, match="full"):
        writer.append(entries[200:])
    assert dump(engine) == before
    assert writer.last_id() == 200
    pages[0] = 1_000_000
    writer.append(entries)
    LedgerWriter(other).append(entries)
    assert dump(engine) == dump(other)
    engine.dispose()
    other.dispose()


def set_database(url: str, *, there: bool) -> None:
    """Take a PostgreSQL database away from everyone, or give it back."""
    head, _, query = url.partition("?")
    server, _, name = head.rpartition("/")
    admin = create_engine(
        f"{server}/postgres{f'?{query}' if query else ''}".replace(
            "postgresql://", "postgresql+psycopg://"
        ),
        isolation_level="AUTOCOMMIT",
    )
    with admin.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {there}"))
        if not there:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            connection.execute(text(ended), {"name": name})
    admin.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_database_that_was_gone_is_caught_up_without_a_restart(
    valkey: ValkeyServer, database_url: str
) -> None:
    gateway = Gateway()  # type: ignore[abstract]
    gateway.deposit("10")
    async with (
        running_gateway(gateway) as address,
        running_journal(valkey, address, database_url) as stub,
    ):

        async def taken_in() -> bool:
            try:
                return len(await ledger(stub)) == len(gateway.entries)
            except grpc.aio.AioRpcError as error:
                if error.code() in NOT_NOW:
                    return False
                raise

        await eventually(taken_in, within_s=120)
        set_database(database_url, there=False)
        for _ in range(3):
            gateway.deposit("-1.5")

        async def refused() -> bool:
            try:
                await ledger(stub)
            except grpc.aio.AioRpcError as error:
                return error.code() is grpc.StatusCode.UNAVAILABLE
            return False

        await eventually(refused, within_s=120)
        set_database(database_url, there=True)
        await eventually(taken_in, within_s=120)
        performance = await stub.GetPerformance(pb.GetPerformanceRequest(), timeout=30)
        assert performance.transfers == "5.5"

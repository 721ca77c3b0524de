"""Copies of the journal's database: whole, between databases, between releases."""

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sep_journal.adapters.sql.copies import FORMAT, NotEmptyError, UnusableCopyError, dump, load
from sep_journal.adapters.sql.engine import (
    known_revisions,
    open_engine,
    reading,
    revision_of,
    upgrade,
    writing,
)
from sep_journal.adapters.sql.journal import SqlJournal
from sep_journal.adapters.sql.migrations import HEAD
from sep_journal.adapters.sql.tables import METADATA, SNAPSHOTS
from sep_journal.adapters.sql.writer import LedgerWriter
from sqlalchemy import Engine, insert, select, text

from .test_tables import an_account, balance_by_trades


def content(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    with reading(engine) as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in METADATA.sorted_tables
        }


def a_journal(engine: Engine) -> None:
    LedgerWriter(engine).append(an_account().entries)
    with writing(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO decisions (seq, ts_ms, count, last_ts_ms, record) "
                "VALUES (1, 2, 3, 4, :record)"
            ),
            {"record": 'one\n"two" \u2028 é 🚀'},
        )


def copy_of(engine: Engine) -> bytes:
    out = io.BytesIO()
    dump(engine, out)
    return out.getvalue()


def changed(copy: bytes, change: Callable[[list[Any]], None]) -> io.BytesIO:
    lines = [json.loads(line) for line in gzip.decompress(copy).splitlines()]
    change(lines)
    return io.BytesIO(gzip.compress(b"".join(json.dumps(x).encode() + b"\n" for x in lines)))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Engine:
    return open_engine(f"sqlite:///{tmp_path}/elsewhere.db")


def test_a_copy_has_every_row_and_loads_into_the_other_database(
    engine: Engine, elsewhere: Engine
) -> None:
    a_journal(engine)
    copy = copy_of(engine)
    rows = load(elsewhere, io.BytesIO(copy))
    assert content(elsewhere) == content(engine)
    assert rows == sum(map(len, content(engine).values())) > 20
    assert balance_by_trades(elsewhere) == an_account().balance
    # And back, over what is there.
    assert load(engine, io.BytesIO(copy_of(elsewhere)), replace=True) == rows
    assert content(engine) == content(elsewhere)
    elsewhere.dispose()


def test_a_copy_is_of_one_moment_while_the_journal_writes(
    engine: Engine, elsewhere: Engine
) -> None:
    """The rows of a transaction that commits during the copy are in it together or not at all."""
    a_journal(engine)

    class Interrupting(io.BytesIO):
        seen = False

        def write(self, data: Any) -> int:
            if not self.seen:
                self.seen = True
                with writing(engine) as connection:
                    connection.execute(text("DELETE FROM transactions"))
                    connection.execute(text("DELETE FROM trades"))
            return super().write(data)

    before = content(engine)
    out = Interrupting()
    # Its first bytes are written after the tables are listed, and before a row is read.
    dump(engine, out)
    assert out.seen
    load(elsewhere, io.BytesIO(out.getvalue()))
    found = content(elsewhere)
    assert (found["transactions"], found["trades"]) == (before["transactions"], before["trades"])
    elsewhere.dispose()


@pytest.mark.parametrize("revision", sorted(known_revisions()))
def test_a_copy_of_an_older_release_is_brought_up_to_date(
    database_url: str, elsewhere: Engine, revision: str
) -> None:
    old = open_engine(database_url)
    with writing(old) as connection:
        upgrade(connection, revision)
        row: dict[str, object] = {"ts_ms": 7, "balance": "1.10", "nav": "2", "margin_used": "0"}
        connection.execute(
            insert(SNAPSHOTS).values(**row, position_value="", last_transaction_id=1)
        )
    load(elsewhere, io.BytesIO(copy_of(old)))
    with reading(elsewhere) as connection:
        assert revision_of(connection) == HEAD
        assert connection.execute(select(SNAPSHOTS.c.balance)).scalars().all() == ["1.10"]
    old.dispose()
    elsewhere.dispose()


async def test_the_journal_goes_on_from_a_loaded_copy(engine: Engine, elsewhere: Engine) -> None:
    account = an_account()
    a_journal(engine)
    load(elsewhere, io.BytesIO(copy_of(engine)))
    journal = SqlJournal(elsewhere)
    await journal.migrate()
    account.transfer(Decimal(5))
    assert await journal.append_transactions(account.entries) == 1
    assert await journal.last_transaction_id() == len(account.entries)
    await journal.close()


def test_a_database_that_holds_a_journal_is_not_overwritten(engine: Engine) -> None:
    a_journal(engine)
    before = content(engine)
    with pytest.raises(NotEmptyError, match="holds a journal already"):
        load(engine, io.BytesIO(copy_of(engine)))
    assert content(engine) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[0].update(format=FORMAT + 1), "format 2; this release reads 1"),
        (lambda lines: lines[0].update(revision="9999"), "9999, which this release does not know"),
        (lambda lines: lines.pop(), "ends before its end"),
        (lambda lines: lines.pop(3), "does not have all its rows"),
        (lambda lines: lines.append(lines[-1]), "does not have all its rows"),
        (lambda lines: lines[0]["tables"].append(["strange", ["a"]]), "a table strange"),
        (lambda lines: lines[1].__setitem__(0, 99), "malformed"),
        (lambda lines: lines.clear(), "no head"),
    ],
)
def test_a_copy_that_can_not_be_used_changes_nothing(
    engine: Engine, change: Callable[[list[Any]], None], words: str
) -> None:
    a_journal(engine)
    before = content(engine)
    with pytest.raises(UnusableCopyError, match=words):
        load(engine, changed(copy_of(engine), change), replace=True)
    assert content(engine) == before


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_copy_changes_nothing(engine: Engine, at: float, cut: bool) -> None:
    a_journal(engine)
    before, copy = content(engine), bytearray(copy_of(engine))
    place = int(len(copy) * at)
    if cut:
        del copy[place:]
    else:
        copy[place] ^= 0x10
    with pytest.raises(UnusableCopyError):
        load(engine, io.BytesIO(bytes(copy)), replace=True)
    assert content(engine) == before


def test_the_commands_copy_and_say_why_not(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    a_journal(engine)

    def run(url: str, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "sep_journal.cli", *arguments],
            env={"PATH": os.environ["PATH"], "JOURNAL_DB_URL": url},
            input=given,
            capture_output=True,
            timeout=120,
            check=False,
        )

    other = f"sqlite:///{tmp_path}/other.db"
    made = run(database_url, "dump")
    assert made.returncode == 0, made.stderr
    assert run(other, "load", given=made.stdout).returncode == 0
    again = run(other, "load", given=made.stdout)
    assert again.returncode == 3
    assert b"holds a journal already" in again.stderr
    assert run(other, "load", "--replace", given=made.stdout).returncode == 0
    broken = run(other, "load", "--replace", given=made.stdout[:-9])
    assert broken.returncode == 4
    assert b"damaged" in broken.stderr
    unreachable = run("postgresql://127.0.0.1:1/none", "dump")
    assert unreachable.returncode == 1
    assert b"the journal's database fails" in unreachable.stderr

"""Files of trades, transactions and decisions: every digit, and no file without its end."""

import csv
import io
import tracemalloc
import zipfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import grpc
import pytest
from sep.journal.v1 import journal_pb2 as pb
from sep_journal.adapters import export_files
from sep_journal.adapters.export_files import open_export
from sep_journal.adapters.sql.engine import migrate, open_engine
from sep_journal.adapters.sql.journal import SqlJournal
from sep_journal.adapters.sql.writer import LedgerWriter
from sep_journal.application.exports import Exports
from sep_journal.domain.export import SHEETS, ExportFormat, ExportKind, Sheet, cell_text, time_text
from sep_journal.ports import Range
from sep_kit.errors import JournalUnavailableError
from sep_testing.valkey import ValkeyServer

from .ledgers import Account
from .test_journal_service import Gateway, running_gateway, running_journal

D = Decimal
ALWAYS = Range()
PLAIN = Sheet(name="plain", columns=("a", "b"), cells=lambda row: row)
_NS = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}


def an_account(trades: int) -> Account:
    account = Account()
    account.transfer(D(1000))
    for _ in range(trades):
        account.fill(opens=D(100), client_order_id=f"=sep-{account.next_id}")
        account.fill(closes=[(max(account.open_units), D(-100), D("0.123456789012345678"))])
    return account


def cells_of(data: bytes) -> list[list[list[str]]]:
    """The cells of each sheet of a workbook, as text."""
    found = []
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        names = sorted(n for n in book.namelist() if n.startswith("xl/worksheets/sheet"))
        for name in names:
            rows = ElementTree.fromstring(book.read(name)).iterfind(".//m:row", _NS)
            found.append([["".join(cell.itertext()) for cell in row] for row in rows])
    return found


async def whole(journal: Any, kind: ExportKind, form: ExportFormat, **filters: Any) -> bytes:
    times, instrument = filters.get("times", ALWAYS), filters.get("instrument", "")
    exports = Exports(journal, open_export)
    return b"".join([p async for p in exports.pieces(kind, form, times, instrument)])


async def test_a_csv_adds_up_to_the_balance_to_the_last_digit(database_url: str) -> None:
    engine = open_engine(database_url)
    migrate(engine)
    account = an_account(1_200)
    LedgerWriter(engine).append(account.entries)
    journal = SqlJournal(engine)
    trades = await whole(journal, ExportKind.TRADES, ExportFormat.CSV)
    ledger = await whole(journal, ExportKind.TRANSACTIONS, ExportFormat.CSV)
    none = await whole(journal, ExportKind.TRADES, ExportFormat.CSV, instrument="GBP_USD")
    await journal.close()
    rows = list(csv.DictReader(io.StringIO(trades.decode(), newline="")))
    entries = list(csv.DictReader(io.StringIO(ledger.decode(), newline="")))
    assert len(rows) == 1_200
    assert tuple(rows[0]) == tuple(SHEETS[ExportKind.TRADES].columns)
    moved = sum(D(e["transfer"]) for e in entries)
    assert sum(D(r["net_pl"]) for r in rows) + moved == account.balance
    parts = tuple(rows[0])[9:17]
    assert all(sum(D(r[part]) for part in parts) == D(r["net_pl"]) for r in rows)
    assert len(entries) == len(account.entries)
    assert none.decode().splitlines() == [",".join(SHEETS[ExportKind.TRADES].columns)]


def test_a_workbook_holds_numbers_and_what_has_more_digits_as_text() -> None:
    file = open_export(PLAIN, ExportFormat.XLSX)
    file.add([("EUR_USD", D("1.1")), ("=1+1", D("0.123456789012345678")), (None, 7)])
    with file.finish() as whole_file:
        ((header, *rows),) = cells_of(whole_file.read())
    assert header == ["a", "b"]
    assert rows == [["EUR_USD", "1.1"], ["'=1+1", "0.123456789012345678"], ["7"]]


def test_a_full_sheet_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_files, "_SHEET_ROWS", 3)
    file = open_export(PLAIN, ExportFormat.XLSX)
    file.add([(n, n) for n in range(5)])
    with file.finish() as whole_file:
        sheets = cells_of(whole_file.read())
    assert [len(sheet) for sheet in sheets] == [3, 3, 2]
    assert all(sheet[0] == ["a", "b"] for sheet in sheets)


@pytest.mark.parametrize("form", list(ExportFormat))
def test_memory_does_not_grow_with_the_rows(form: ExportFormat) -> None:
    file = open_export(PLAIN, form)
    rows = [(f"text {n}", D(n) / 7) for n in range(500)]
    file.add(rows)
    tracemalloc.start()
    for _ in range(10):
        file.add(rows)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    file.discard()
    assert grown < 200_000


@pytest.mark.parametrize("form", list(ExportFormat))
def test_a_file_may_be_discarded_at_any_time(form: ExportFormat) -> None:
    file = open_export(PLAIN, form)
    file.discard()
    file.discard()
    done = open_export(PLAIN, form)
    with done.finish() as whole_file:
        done.discard()
        assert whole_file.read()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"])
def test_no_text_of_another_program_is_a_formula(text: str) -> None:
    assert cell_text(text) == f"'{text}"


def test_amounts_and_times_are_texts_of_one_form() -> None:
    assert [cell_text(c) for c in (D("-1.50"), D("1E+3"), None, 3)] == ["-1.5", "1000", "", "3"]
    assert time_text(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"
    assert time_text(None) == ""


class Failing:
    """A journal that fails at its second page."""

    def __init__(self, journal: SqlJournal) -> None:
        self._journal = journal

    async def trades(self, page: Any, *arguments: Any, **options: Any) -> Any:
        if page.before is not None:
            raise JournalUnavailableError("the journal's database fails")
        return await self._journal.trades(page, *arguments, **options)


async def test_a_fault_in_the_middle_sends_nothing(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/journal.db")
    migrate(engine)
    LedgerWriter(engine).append(an_account(1_100).entries)
    journal = SqlJournal(engine)
    exports = Exports(Failing(journal), open_export)  # type: ignore[arg-type]
    pieces = exports.pieces(ExportKind.TRADES, ExportFormat.CSV, ALWAYS, "")
    with pytest.raises(JournalUnavailableError):
        await anext(pieces)
    await journal.close()


async def test_files_are_served_with_their_type(valkey: ValkeyServer, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/journal.db"
    engine = open_engine(database)
    migrate(engine)
    LedgerWriter(engine).append(an_account(3).entries)
    engine.dispose()
    peer = Gateway()  # type: ignore[abstract]
    types: Mapping[str, str] = {
        "csv": "text/csv; charset=utf-8",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
    async with (
        running_gateway(peer) as gateway,
        running_journal(valkey, gateway, database) as stub,
    ):
        for kind in ("trades", "transactions", "decisions"):
            for form, content_type in types.items():
                request = pb.StreamExportRequest(kind=kind, format=form)
                pieces = [m.piece async for m in stub.StreamExport(request, timeout=30)]
                assert {p.content_type for p in pieces} == {content_type}
                data = b"".join(p.data for p in pieces)
                header = data.decode().splitlines()[0].split(",") if form == "csv" else None
                (rows,) = [[header]] if header else cells_of(data)
                assert rows[0] == list(SHEETS[ExportKind(kind)].columns)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            _ = [m async for m in stub.StreamExport(pb.StreamExportRequest(kind="x"), timeout=30)]
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

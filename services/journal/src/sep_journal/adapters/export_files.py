"""Files of entries, row by row to a temporary file: memory does not grow with their length."""

import csv
import io
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from typing import IO

from sep_journal.domain.exact import amount_text
from sep_journal.domain.export import Cell, ExportFormat, Sheet, cell_text, safe_text
from sep_journal.export_ports import ExportFile

_SHEET_ROWS = 1_048_576
"""What Excel allows, the header included."""


def open_export(sheet: Sheet, form: ExportFormat) -> ExportFile:
    """A file with its header."""
    return _Csv(sheet) if form is ExportFormat.CSV else _Xlsx(sheet)


class _Csv:
    """RFC 4180, UTF-8."""

    def __init__(self, sheet: Sheet) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
        self._text = io.TextIOWrapper(self._file, "utf-8", newline="", write_through=True)
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._writer.writerow(sheet.columns)

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Append rows."""
        self._writer.writerows([cell_text(cell) for cell in row] for row in rows)

    def finish(self) -> IO[bytes]:
        """The whole file, at its begin; the caller closes it."""
        self._text.flush()
        self._text.detach()
        self._file.seek(0)
        return self._file

    def discard(self) -> None:
        """Remove it; after ``finish`` this does nothing."""
        if not self._file.closed and not self._text_is_detached():
            self._text.close()

    def _text_is_detached(self) -> bool:
        try:
            self._text.fileno()
        except ValueError:
            return True
        return False


class _Xlsx:
    """A workbook that is written row by row; a full sheet is followed by another one."""

    def __init__(self, sheet: Sheet) -> None:
        # Imported here: most of the time nothing is exported.
        import xlsxwriter

        self._file = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book = xlsxwriter.Workbook(self._file, options)
        self._sheet = sheet
        self._next_sheet()

    def _next_sheet(self) -> None:
        self._page = self._book.add_worksheet()
        self._row = 0
        self._write([*self._sheet.columns])

    def _write(self, row: Sequence[Cell]) -> None:
        for column, cell in enumerate(row):
            if isinstance(cell, Decimal):
                self._write_decimal(column, cell)
            elif isinstance(cell, int):
                self._page.write_number(self._row, column, cell)
            elif cell:
                self._page.write_string(self._row, column, safe_text(cell))
        self._row += 1

    def _write_decimal(self, column: int, cell: Decimal) -> None:
        # A number of Excel has 15 digits; what has more is text, so that none is lost.
        text = amount_text(cell)
        if amount_text(Decimal(repr(float(cell)))) == text:
            self._page.write_number(self._row, column, float(cell))
        else:
            self._page.write_string(self._row, column, text)

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Append rows."""
        for row in rows:
            if self._row == _SHEET_ROWS:
                self._next_sheet()
            self._write(row)

    def finish(self) -> IO[bytes]:
        """The whole file, at its begin; the caller closes it."""
        self._book.close()
        self._file.seek(0)
        return self._file

    def discard(self) -> None:
        """Remove it; after ``finish`` this does nothing."""
        if not self._book.fileclosed:
            self._book.close()
            self._file.close()

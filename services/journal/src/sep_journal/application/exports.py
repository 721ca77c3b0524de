"""Files of the journal's entries."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from typing import Any

from sep_journal.domain.export import SHEETS, ExportFormat, ExportKind, Sheet
from sep_journal.export_ports import ExportFile
from sep_journal.ports import JournalReader, Page, PageRequest, Range

_ROWS = 1_000
_PIECE = 65_536
_AT_ONCE = 2


class Exports:
    """Makes files, two at a time: each takes a thread of the database."""

    def __init__(
        self, journal: JournalReader, open_file: Callable[[Sheet, ExportFormat], ExportFile]
    ) -> None:
        self._journal = journal
        self._open_file = open_file
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def pieces(
        self, kind: ExportKind, form: ExportFormat, times: Range, instrument: str
    ) -> AsyncIterator[bytes]:
        """The file in pieces. It is complete before the first: a reader could not see a fault.

        Raises:
            JournalUnavailableError: the database does not answer; nothing was sent.
        """
        async with self._slots:
            sheet = SHEETS[kind]
            file = await asyncio.to_thread(self._open_file, sheet, form)
            try:
                async for entries in self._entries(kind, times, instrument):
                    rows = [sheet.cells(entry) for entry in entries]
                    await asyncio.to_thread(file.add, rows)
                whole = await asyncio.to_thread(file.finish)
            except BaseException:
                file.discard()
                raise
            with closing(whole):
                while piece := await asyncio.to_thread(whole.read, _PIECE):
                    yield piece

    async def _entries(
        self, kind: ExportKind, times: Range, instrument: str
    ) -> AsyncIterator[Sequence[Any]]:
        before = None
        while True:
            page = await self._page(kind, PageRequest(size=_ROWS, before=before), times, instrument)
            if kind is ExportKind.TRADES:
                yield [entry.trade for entry in page.entries]
            else:
                yield page.entries
            before = page.next_before
            if before is None:
                return

    async def _page(
        self, kind: ExportKind, page: PageRequest, times: Range, instrument: str
    ) -> Page[Any]:
        if kind is ExportKind.TRADES:
            return await self._journal.trades(page, times, instrument, only_open=False)
        if kind is ExportKind.TRANSACTIONS:
            return await self._journal.transactions(page, times, instrument, "")
        return await self._journal.decisions(page, times, {"instrument": instrument})

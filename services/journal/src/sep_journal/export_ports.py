"""What an export needs: a file that is written row by row."""

from collections.abc import Sequence
from typing import IO, Protocol

from sep_journal.domain.export import Cell


class ExportFile(Protocol):
    """A file that is written from its first row to its last."""

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Append rows."""
        ...

    def finish(self) -> IO[bytes]:
        """The whole file, at its begin; the caller closes it."""
        ...

    def discard(self) -> None:
        """Remove it; after ``finish`` this does nothing."""
        ...

"""The manifest of a catalogue: its files, and what each import took in and left out."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sep_data.errors import DataError

MANIFEST = "manifest.json"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One Parquet file: digest of its columns, bars, start of the first and last bar (seconds)."""

    sha256: str
    bars: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One import of the files of one instrument.

    Attributes:
        files: SHA-256 by file name.
        time_zone: as given, or ``in the file`` where each time has its own offset.
        label: whether a bar's time was that of its ``start`` or ``end``.
        prices: ``bid-ask``, or what one price stood for: ``bid``, ``ask``, ``mid``.
        spread_pips: the spread stated for single prices; None where the file had both.
        rows: rows read; bars: bars taken in, those that the catalogue had included.
        left_out: rows left out by reason; repairs: rows changed by kind.
        examples: the first rows left out, with file, line and reason.
    """

    instrument: str
    granularity: str
    format: str
    files: dict[str, str]
    time_zone: str
    label: str
    prices: str
    spread_pips: float | None
    rows: int
    bars: int
    left_out: dict[str, int] = field(default_factory=dict)
    repairs: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Manifest:
    """Files by path within the catalogue, and the imports in their order."""

    files: dict[str, FileEntry] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """The stored manifest; an empty one if there is none.

        Raises:
            DataError: it can't be read, or another version wrote it.
        """
        if not path.exists():
            return cls()
        try:
            stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if stored["version"] != _VERSION:
                raise ValueError(f"its version is {stored['version']}, allowed is {_VERSION}")
            return cls(
                {key: FileEntry(**entry) for key, entry in stored["files"].items()},
                [Source(**source) for source in stored["sources"]],
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"{path} is not a catalogue's manifest: {error}") from None

    def add(self, source: Source) -> None:
        """Add an import; the same files imported again replace their entry."""
        same = [s for s in self.sources if _identity(s) == _identity(source)]
        self.sources = [s for s in self.sources if s not in same] + [source]

    def write(self, path: Path) -> None:
        """Replace the stored manifest."""
        stored = {
            "version": _VERSION,
            "files": {key: asdict(self.files[key]) for key in sorted(self.files)},
            "sources": [asdict(source) for source in self.sources],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        draft.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)


def _identity(source: Source) -> tuple[object, ...]:
    return source.instrument, source.granularity, source.format, source.files

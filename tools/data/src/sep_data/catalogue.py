"""The catalogue: Parquet files by instrument, granularity and year, and their manifest.

::

    CATALOGUE/manifest.json
    CATALOGUE/EUR_USD/M1/2014.parquet

A year is that of a bar's start in UTC. Columns: ``time`` (whole seconds since the epoch), eight
prices as binary floats, ``volume``. A file is replaced as a whole, so that an interrupted command
leaves the old one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.instrument import is_instrument_name

from sep_data.errors import DataError
from sep_data.manifest import MANIFEST, FileEntry, Manifest

COLUMNS = tuple(field.name for field in fields(Bars))
_WHOLE = ("time", "volume")
_SCHEMA = pa.schema([(name, pa.int64() if name in _WHOLE else pa.float64()) for name in COLUMNS])


class Catalogue:
    """A catalogue in a folder.

    Args:
        folder: need not exist before the first ``write``.

    Raises:
        DataError: the manifest can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = Manifest.read(folder / MANIFEST)

    @classmethod
    def existing(cls, folder: Path) -> "Catalogue":
        """A catalogue that must exist.

        Raises:
            DataError: the folder is no catalogue.
        """
        if not is_catalogue(folder):
            raise DataError(f"{folder} is no catalogue: it holds no {MANIFEST}")
        return cls(folder)

    def instruments(self) -> list[str]:
        """Names of the instruments, sorted."""
        return sorted({key.split("/")[0] for key in self.manifest.files})

    def granularities(self, instrument: str | None = None) -> list[Granularity]:
        """Granularities of one instrument or of all, shortest first."""
        found = {
            key.split("/")[1]
            for key in self.manifest.files
            if instrument is None or key.startswith(f"{instrument}/")
        }
        return sorted(map(Granularity, found), key=lambda g: g.seconds)

    def series(self) -> Iterator[tuple[str, Granularity]]:
        """Each instrument with each of its granularities."""
        for instrument in self.instruments():
            for granularity in self.granularities(instrument):
                yield instrument, granularity

    def years(self, instrument: str, granularity: Granularity) -> list[int]:
        """Years of a series, ascending."""
        prefix = f"{instrument}/{granularity.value}/"
        return sorted(
            int(key.removeprefix(prefix).removesuffix(".parquet"))
            for key in self.manifest.files
            if key.startswith(prefix)
        )

    def load(
        self,
        instrument: str,
        granularity: Granularity,
        since: int | None = None,
        until: int | None = None,
    ) -> Bars:
        """The bars of a series with ``since <= start < until``, seconds; empty where none are.

        Raises:
            DataError: a file is missing or can't be read.
        """
        years = self.years(instrument, granularity)
        if since is not None:
            years = [y for y in years if y >= year_of(since)]
        if until is not None:
            years = [y for y in years if y <= year_of(until)]
        parts = [self.load_year(instrument, granularity, year) for year in years]
        bars = parts[0] if len(parts) == 1 else Bars.concatenate(parts)
        if since is None and until is None:
            return bars
        return bars.between(-(2**62) if since is None else since, until)

    def load_year(self, instrument: str, granularity: Granularity, year: int) -> Bars:
        """The bars of one file.

        Raises:
            DataError: the file is missing, damaged or has other columns.
        """
        path = self.folder / key_of(instrument, granularity, year)
        try:
            # Unlike read_table this does not import the package for data sets, half a second.
            with pq.ParquetFile(path, memory_map=True) as file:
                table = file.read(columns=list(COLUMNS))
        except (OSError, pa.ArrowException, KeyError) as error:
            raise DataError(f"{path} can't be read: {error}; import it again") from None
        if not table.schema.equals(_SCHEMA):
            raise DataError(f"{path} has other columns than a catalogue: import it again")
        # Copies, since compiled loops want arrays that are their own; by DLPack, since to_numpy
        # imports pandas where it is installed, a third of a second.
        return Bars(
            *(np.array(np.from_dlpack(table.column(name).combine_chunks())) for name in COLUMNS)
        )

    def write(self, instrument: str, granularity: Granularity, bars: Bars) -> None:
        """Replace the files of the years that the bars cover; call ``save`` afterwards."""
        if not is_instrument_name(instrument):
            raise DataError(f"{instrument!r} is not an instrument name like EUR_USD")
        for year, part in split_years(bars):
            key = key_of(instrument, granularity, year)
            path = self.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            table = pa.table([getattr(part, name) for name in COLUMNS], schema=_SCHEMA)
            draft = path.with_name(f".{path.name}.new")
            # Prices repeat: dictionaries make the file a fifth as large, and are read faster.
            dictionaries = [n for n in COLUMNS if n not in _WHOLE]
            pq.write_table(table, draft, compression="lz4", use_dictionary=dictionaries)
            draft.replace(path)
            self.manifest.files[key] = FileEntry(
                sha256=digest_of(part),
                bars=len(part),
                first=int(part.time[0]),
                last=int(part.time[-1]),
            )

    def save(self) -> None:
        """Write the manifest."""
        self.manifest.write(self.folder / MANIFEST)


def is_catalogue(folder: Path) -> bool:
    """Whether a folder holds a catalogue's manifest."""
    return (folder / MANIFEST).is_file()


def key_of(instrument: str, granularity: Granularity, year: int) -> str:
    """A file's path within the catalogue."""
    return f"{instrument}/{granularity.value}/{year}.parquet"


def year_of(instant_s: int) -> int:
    """The year in UTC of a time in seconds."""
    return datetime.fromtimestamp(instant_s, tz=UTC).year


def split_years(bars: Bars) -> Iterator[tuple[int, Bars]]:
    """The bars of each year in which any begins."""
    if not len(bars):
        return
    for year in range(year_of(int(bars.time[0])), year_of(int(bars.time[-1])) + 1):
        edges = [int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (year, year + 1)]
        part = bars.between(*edges)
        if len(part):
            yield year, part


def digest_of(bars: Bars) -> str:
    """SHA-256 of the columns' bytes: the same bars have the same digest in any file format."""
    digest = hashlib.sha256()
    for name in COLUMNS:
        digest.update(np.ascontiguousarray(getattr(bars, name)).data)
    return digest.hexdigest()


def merged(old: Bars, new: Bars) -> tuple[Bars, int]:
    """Both in time order; of two bars at one time the old one stays.

    Returns:
        The bars, and how many of the new ones had other values than an old one of their time.
    """
    known = np.isin(new.time, old.time, assume_unique=True)
    at = np.searchsorted(old.time, new.time[known])
    prices = [name for name in COLUMNS if name != "time"]
    differs = np.zeros(len(at), np.bool_)
    for name in prices:
        differs |= getattr(old, name)[at] != getattr(new, name)[known]
    rest = take(new, ~known)
    both = Bars.concatenate([old, rest])
    return take(both, np.argsort(both.time, kind="stable")), int(differs.sum())


def take(bars: Bars, rows: Sequence[int] | np.ndarray) -> Bars:
    """The bars at these positions, or where a mask is true."""
    return Bars(*(getattr(bars, name)[rows] for name in COLUMNS))

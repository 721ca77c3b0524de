"""Writes series of a catalogue as candle files that every command of this project reads."""

import gzip
from collections.abc import Sequence
from pathlib import Path

from sep_fx.bars import Bars
from sep_fx.candle_csv import PRICE_COLUMNS
from sep_fx.granularity import Granularity
from sep_fx.instants import format_seconds

from sep_data.catalogue import Catalogue
from sep_data.errors import DataError

HEADER = ",".join(("time", *PRICE_COLUMNS, "volume"))


def export(
    catalogue: Catalogue,
    out: Path,
    *,
    instruments: Sequence[str] = (),
    granularity: Granularity | None = None,
    since: int | None = None,
    until: int | None = None,
) -> list[Path]:
    """Write one ``.csv.gz`` file a series, bars with ``since <= start < until``.

    Raises:
        DataError: nothing to write, or the folder can't be written.
    """
    if unknown := set(instruments) - set(catalogue.instruments()):
        known = ", ".join(catalogue.instruments())
        raise DataError(f"no candles of {', '.join(sorted(unknown))}; the catalogue has {known}")
    written = []
    for instrument, held in catalogue.series():
        if (instruments and instrument not in instruments) or granularity not in (None, held):
            continue
        bars = catalogue.load(instrument, held, since, until)
        if len(bars):
            written.append(_write(out, instrument, held, bars))
    if not written:
        raise DataError("no bar in this range; sep-data list shows what the catalogue holds")
    return written


def _write(out: Path, instrument: str, granularity: Granularity, bars: Bars) -> Path:
    path = out / f"{instrument}_{granularity.value}.csv.gz"
    columns = [getattr(bars, name).tolist() for name in PRICE_COLUMNS]
    rows = zip(bars.time.tolist(), *columns, bars.volume.tolist(), strict=True)
    lines = (",".join((format_seconds(t), *map(repr, rest))) for t, *rest in rows)
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Without a time in its header the file is the same at each export.
        with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
            packed.write(f"{HEADER}\n".encode())
            packed.writelines(f"{line}\n".encode() for line in lines)
    except OSError as error:
        raise DataError(f"{path} can't be written: {error.strerror}") from None
    return path

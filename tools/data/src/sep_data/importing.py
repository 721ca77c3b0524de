"""Imports files into a catalogue: reads, screens and joins them, and records what was left out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.instrument import is_instrument_name

from sep_data.catalogue import Catalogue, merged, take
from sep_data.collecting import Options, Tally, collect, with_both_sides
from sep_data.errors import DataError, FileRefusedError
from sep_data.formats import FORMATS
from sep_data.formats.table import TICKS, Table
from sep_data.manifest import Source
from sep_data.naming import parts_of
from sep_data.rows import LeftOut
from sep_data.screening import screened
from sep_data.text_files import read_text, sha256_of

_Key = tuple[str, Granularity]


def import_files(
    catalogue: Catalogue, name: str, paths: Sequence[Path], options: Options
) -> list[Source]:
    """Import files; nothing is written if any is refused.

    Args:
        name: one of ``FORMATS``.

    Returns:
        What was taken in and left out, by instrument and granularity.

    Raises:
        DataError: a file is refused as a whole, or an option is missing.
    """
    groups: dict[_Key, list[tuple[Path, Table]]] = {}
    for path in paths:
        table = FORMATS[name].read(path, read_text(path))
        groups.setdefault(_key(path, table, options), []).append((path, table))
    ready = [_prepared(name, key, groups[key], options) for key in sorted(groups)]
    sources = []
    for (instrument, granularity), bars, tally, source in ready:
        old = catalogue.load(instrument, granularity)
        both, differing = merged(old, bars)
        if differing:
            tally.leave_out(
                LeftOut.CATALOGUE_DIFFERS, instrument, "the catalogue has other bars", differing
            )
        catalogue.write(instrument, granularity, both)
        sources.append(_finished(source, tally, len(bars) - differing))
        catalogue.manifest.add(sources[-1])
    catalogue.save()
    return sources


def _prepared(
    name: str, key: _Key, files: list[tuple[Path, Table]], options: Options
) -> tuple[_Key, Bars, Tally, Source]:
    instrument, granularity = key
    tally = Tally()
    by_side, zone = collect(files, FORMATS[name], options, tally)
    columns, prices = with_both_sides(by_side, instrument, options, tally)
    bars = screened(columns, tally)
    if not len(bars):
        first = f"; {tally.examples[0]}" if tally.examples else ""
        raise FileRefusedError(files[0][0], None, f"holds no good bar{first}")
    _refuse_ticks(files[0][0], bars, granularity)
    if options.at_end:
        time = bars.time - granularity.seconds
        bars = Bars(time, *(getattr(bars, n) for n in Bars.__dataclass_fields__ if n != "time"))
    source = Source(
        instrument=instrument,
        granularity=granularity.value,
        format=name,
        files={path.name: sha256_of(path) for path, _ in files},
        time_zone=zone,
        label="end" if options.at_end else "start",
        prices=prices,
        spread_pips=options.spread_pips if prices in {"bid", "ask", "mid"} else None,
        rows=0,
        bars=0,
    )
    return key, bars, tally, source


def _finished(source: Source, tally: Tally, bars: int) -> Source:
    return Source(
        **{
            **{n: getattr(source, n) for n in Source.__dataclass_fields__},
            "rows": tally.rows,
            "bars": bars,
            "left_out": dict(sorted(tally.left_out.items())),
            "repairs": dict(sorted(tally.repairs.items())),
            "examples": tally.examples,
        }
    )


def _key(path: Path, table: Table, options: Options) -> _Key:
    stated = parts_of(path)
    instrument = options.instrument or table.instrument or stated.instrument
    if instrument is None:
        raise FileRefusedError(path, None, "its name has no instrument: give --instrument")
    if not is_instrument_name(instrument):
        raise DataError(f"--instrument is {instrument!r}, expected a name like EUR_USD")
    granularity = options.granularity or table.granularity or stated.granularity
    if granularity is None:
        raise FileRefusedError(path, None, "its name has no granularity: give --granularity")
    return instrument, Granularity(granularity)


def _refuse_ticks(path: Path, bars: Bars, granularity: Granularity) -> None:
    """Bars off the grid at which nothing moved are ticks under the name of bars."""
    off = bars.time % granularity.seconds != 0
    rows = take(bars, off)
    flat = np.all([rows.bid_h == rows.bid_l, rows.ask_h == rows.ask_l], axis=0)
    if len(bars) > 1 and granularity is not Granularity.D and flat.sum() > 0.5 * len(bars):
        raise FileRefusedError(path, None, TICKS)

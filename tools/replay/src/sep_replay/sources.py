"""The tape of a replay: a folder of candle files, or a catalogue of ``sep-data``."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity

from sep_replay.lacks import conversions_of
from sep_replay.tape import Tape, load_tape

_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which candles to play: ``since <= start < until`` in seconds; None or empty for all.

    What converts into ``home``, the account's currency, is quoted without being traded.
    """

    instruments: Sequence[str] = ()
    granularity: Granularity | None = None
    since: int | None = None
    until: int | None = None
    home: str = "USD"


def read_tape(folder: Path, selection: Selection, *, skip_bad: bool = False) -> Tape:
    """The selected candles of a folder.

    Raises:
        OSError: there is no such folder, or no candle in it.
        ValueError: malformed candles, several granularities, or nothing selected.
    """
    if (folder / _MANIFEST).is_file():
        tape = _read_catalogue(folder, selection)
    else:
        tape = load_tape(folder, skip_bad=skip_bad)
        if selection.granularity not in (None, tape.granularity):
            raise ValueError(
                f"{folder} holds candles of {tape.granularity}, not {selection.granularity}"
            )
    held = frozenset(tape.bars)
    names = tuple(selection.instruments or sorted(held))
    if unknown := sorted(set(names) - held):
        raise ValueError(
            f"{folder} has no {tape.granularity} candles of {', '.join(unknown)}; it has "
            f"{', '.join(sorted(held))}"
        )
    since = -(2**62) if selection.since is None else selection.since
    conversions = conversions_of(names, selection.home, held)
    chosen = sorted({*names, *conversions})
    bars = {i: tape.bars[i].between(since, selection.until) for i in chosen}
    if not any(map(len, bars.values())):
        raise ValueError(f"{folder} has no candle in the selected range")
    return Tape(tape.granularity, bars, conversions)


def digests(tape: Tape) -> dict[str, str]:
    """SHA-256 of each instrument's columns: the same candles have the same in every format."""
    return {i: _digest(tape.bars[i]) for i in sorted(tape.bars)}


def _digest(bars: Bars) -> str:
    digest = hashlib.sha256()
    for column in fields(Bars):
        digest.update(np.ascontiguousarray(getattr(bars, column.name)).data)
    return digest.hexdigest()


def _read_catalogue(folder: Path, selection: Selection) -> Tape:
    try:
        from sep_data.catalogue import Catalogue
        from sep_data.errors import DataError
    except ImportError:
        raise ValueError(
            f"{folder} is a catalogue; `make research` installs what reads one"
        ) from None
    try:
        catalogue = Catalogue.existing(folder)
        found = catalogue.granularities()
        if selection.granularity is None and len(found) > 1:
            raise ValueError(
                f"{folder} holds candles of {', '.join(found)}: choose one with --granularity"
            )
        granularity = selection.granularity or found[0]
        held = [i for i in catalogue.instruments() if granularity in catalogue.granularities(i)]
        names = tuple(selection.instruments or held)
        wanted = {*names, *conversions_of(names, selection.home, frozenset(held))}
        chosen = [i for i in held if i in wanted]
        bars = {i: catalogue.load(i, granularity, selection.since, selection.until) for i in chosen}
    except DataError as error:
        raise ValueError(str(error)) from None
    if not bars:
        raise ValueError(
            f"{folder} has no {granularity} candles of {', '.join(selection.instruments) or 'any'}"
            f"; it has {', '.join(held) or 'none'}"
        )
    return Tape(granularity, bars)

"""Recorded candles in time order: at each moment the bars that end there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sep_fx.bars import Bars
from sep_fx.candle_csv import candle_files, granularity_of, read_candle_file
from sep_fx.granularity import Granularity


@dataclass(frozen=True, slots=True)
class Tape:
    """Bars by instrument, all of one granularity."""

    granularity: Granularity
    bars: Mapping[str, Bars]

    @property
    def instruments(self) -> tuple[str, ...]:
        """Instruments by name."""
        return tuple(sorted(self.bars))

    def __len__(self) -> int:
        return sum(len(b) for b in self.bars.values())

    def moments(self) -> Iterator[tuple[int, dict[str, int]]]:
        """Ends of bars in time order (seconds), each with the ended bar's index by instrument."""
        indices = dict.fromkeys(self.instruments, 0)
        ended: dict[str, int]
        while starts := {
            i: int(self.bars[i].time[at]) for i, at in indices.items() if at < len(self.bars[i])
        }:
            start = min(starts.values())
            ended = {i: indices[i] for i, time in starts.items() if time == start}
            for instrument in ended:
                indices[instrument] += 1
            yield start + self.granularity.seconds, ended


def load_tape(directory: Path, *, skip_bad: bool = False) -> Tape:
    """Load all candle files of a directory; the files of one instrument are joined by name.

    Raises:
        FileNotFoundError: there is no such directory, or no candle file in it.
        ValueError: files of several granularities, or a malformed row.
    """
    bars: dict[str, Bars] = {}
    granularities = set()
    for instrument, paths in candle_files(directory).items():
        granularities |= {granularity_of(p) for p in paths}
        parts = [read_candle_file(p, skip_bad=skip_bad).bars for p in paths]
        for before, after in pairwise(parts):
            if len(before) and len(after) and after.time[0] <= before.time[-1]:
                raise ValueError(
                    f"the files of {instrument} overlap; each bar may appear only once"
                )
        bars[instrument] = Bars.concatenate(parts)
    if len(granularities) != 1:
        names = ", ".join(sorted(granularities))
        raise ValueError(f"{directory} holds candles of {names}; a replay takes one granularity")
    return Tape(granularities.pop(), bars)

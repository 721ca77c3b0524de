"""Recorded candles in time order: at each moment the bars that end and begin there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sep_fx.bars import Bars
from sep_fx.candle_csv import candle_files, granularity_of, read_candle_file
from sep_fx.granularity import Granularity


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant in seconds, with the bars that end and begin then, as indices by instrument."""

    time: int
    ended: Mapping[str, int]
    begun: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Tape:
    """Bars by instrument, all of one granularity; ``conversions`` are quoted and not traded."""

    granularity: Granularity
    bars: Mapping[str, Bars]
    conversions: frozenset[str] = frozenset()

    @property
    def instruments(self) -> tuple[str, ...]:
        """The traded instruments by name."""
        return tuple(sorted(self.bars.keys() - self.conversions))

    def __len__(self) -> int:
        return sum(len(b) for b in self.bars.values())

    def moments(self) -> Iterator[Moment]:
        """Moments at which bars end or begin, in time order."""
        seconds = self.granularity.seconds
        times = {i: bars.time for i, bars in self.bars.items() if len(bars)}
        # By instrument: the bar that comes next, and whether it has begun.
        at = dict.fromkeys(sorted(times), 0)
        forming = dict.fromkeys(at, False)
        while at:
            due = {i: int(times[i][n]) + seconds * forming[i] for i, n in at.items()}
            now = min(due.values())
            ended, begun = dict[str, int](), dict[str, int]()
            for instrument in [i for i, time in due.items() if time == now]:
                if forming[instrument]:
                    ended[instrument] = at[instrument]
                    at[instrument] += 1
                    forming[instrument] = False
                    if at[instrument] == len(times[instrument]):
                        del at[instrument]
                        continue
                if int(times[instrument][at[instrument]]) == now:
                    begun[instrument] = at[instrument]
                    forming[instrument] = True
            yield Moment(now, ended, begun)


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

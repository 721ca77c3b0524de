"""The rows of one instrument's files as columns of instants, bids and asks."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sep_data.errors import DataError, FileRefusedError
from sep_data.formats import Format
from sep_data.formats.table import Table
from sep_data.naming import pip_of
from sep_data.rows import BadRow, LeftOut, Row, Side
from sep_data.zones import LocalClock, NoSuchTimeError, clock_of

MAX_EXAMPLES = 20
IN_THE_FILE = "in the file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user states about files that do not state it themselves; None where unset.

    Attributes:
        side: of single prices.
        spread_pips: makes the other side of single prices.
        at_end: times are those of the bars' ends.
    """

    instrument: str | None = None
    granularity: str | None = None
    time_zone: str | None = None
    side: Side | None = None
    spread_pips: float | None = None
    at_end: bool = False


@dataclass(slots=True)
class Tally:
    """Rows read, left out and repaired."""

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def leave_out(self, reason: LeftOut, where: str, detail: str, count: int = 1) -> None:
        """Count rows, and note where the first ones are."""
        self.left_out[reason.value] += count
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(f"{where}: {reason.value}: {detail}")


@dataclass(slots=True)
class Columns:
    """Rows with one meaning of their prices, in the order of the files.

    ``places`` are file and line of each row; ``prices`` have shape (n, 4) or (n, 8).
    """

    time: npt.NDArray[np.int64]
    prices: npt.NDArray[np.float64]
    volume: npt.NDArray[np.int64]
    spread: npt.NDArray[np.float64]
    places: list[tuple[Path, int]]


def collect(
    files: Iterable[tuple[Path, Table]], source: Format, options: Options, tally: Tally
) -> tuple[dict[Side, Columns], str]:
    """The columns by side, and the name of the time zone of the files.

    Raises:
        FileRefusedError: local times without a zone, prices without a meaning, or no bar at all.
    """
    by_side: dict[Side, list[Row]] = {}
    places: dict[Side, list[tuple[Path, int]]] = {}
    zones = set()
    for path, table in files:
        side = table.side or options.side or source.side
        if side is None:
            raise FileRefusedError(
                path, None, "has one set of prices: give --prices bid, ask or mid, and --spread"
            )
        zone = options.time_zone or table.time_zone or source.time_zone
        clock = None if zone is None else clock_of(zone)
        rows = _instants(path, table.rows, clock, tally)
        zones.add(IN_THE_FILE if clock is None else clock.name)
        if not rows:
            first = f"; {tally.examples[0]}" if tally.examples else ""
            raise FileRefusedError(path, None, f"holds no bar that can be read{first}")
        by_side.setdefault(side, []).extend(rows)
        places.setdefault(side, []).extend((path, row.line) for row in rows)
        if clock is not None and clock.ambiguous:
            tally.repairs["HOUR_SHOWN_TWICE"] += clock.ambiguous
    columns = {side: _columns(rows, places[side]) for side, rows in by_side.items()}
    return columns, ", ".join(sorted(zones))


def _instants(
    path: Path, rows: Iterable[Row | BadRow], clock: LocalClock | None, tally: Tally
) -> list[Row]:
    found: list[Row] = []
    before: int | None = None
    for row in rows:
        tally.rows += 1
        if isinstance(row, BadRow):
            tally.leave_out(row.reason, f"{path.name}: line {row.line}", row.detail)
            continue
        if isinstance(row.stamp, datetime):
            if clock is None:
                raise FileRefusedError(
                    path, row.line, f"time {row.stamp} has no time zone: give --time-zone"
                )
            try:
                row.stamp = clock.instant(row.stamp, before)
            except NoSuchTimeError as error:
                tally.leave_out(LeftOut.NO_SUCH_TIME, f"{path.name}: line {row.line}", str(error))
                continue
        before = row.stamp
        found.append(row)
    return found


def _columns(rows: list[Row], places: list[tuple[Path, int]]) -> Columns:
    return Columns(
        time=np.array([row.stamp for row in rows], np.int64),
        prices=np.array([row.prices for row in rows], np.float64),
        volume=np.array([row.volume for row in rows], np.int64),
        spread=np.array([np.nan if r.spread is None else r.spread for r in rows]),
        places=places,
    )


def with_both_sides(
    columns: dict[Side, Columns], instrument: str, options: Options, tally: Tally
) -> tuple[Columns, str]:
    """Bid and ask of every bar, and how they came about.

    Raises:
        DataError: one side alone and no spread, or a mixture of sides.
    """
    if set(columns) == {Side.BOTH}:
        return columns[Side.BOTH], Side.BOTH.value
    if set(columns) == {Side.BID, Side.ASK}:
        return _joined(columns[Side.BID], columns[Side.ASK], tally), "bid and ask files"
    if len(columns) > 1:
        raise DataError(
            f"the files of {instrument} mix {', '.join(sorted(columns))} prices; import them apart"
        )
    ((side, single),) = columns.items()
    spread = np.nan_to_num(single.spread)
    if options.spread_pips is not None:
        spread = np.full(len(spread), options.spread_pips * pip_of(instrument))
    elif np.isnan(single.spread).all():
        raise DataError(
            f"the files of {instrument} have {side} prices only: give --spread PIPS, or the file "
            "of the other side as well"
        )
    below = {Side.BID: 0.0, Side.ASK: 1.0, Side.MID: 0.5}[side] * spread[:, None]
    bid = np.round(single.prices - below, 6)
    single.prices = np.hstack([bid, np.round(bid + spread[:, None], 6)])
    return single, side.value


def _joined(bid: Columns, ask: Columns, tally: Tally) -> Columns:
    """Bars that both sides have; the first of several at one time."""
    time_b, at_b = np.unique(bid.time, return_index=True)
    time_a, at_a = np.unique(ask.time, return_index=True)
    common, in_b, in_a = np.intersect1d(time_b, time_a, return_indices=True)
    for columns, at, rest in ((bid, at_b, len(time_b)), (ask, at_a, len(time_a))):
        if doubled := len(columns.time) - len(at):
            tally.leave_out(LeftOut.DUPLICATE, columns.places[0][0].name, "same time", doubled)
        if rest > len(common):
            name = columns.places[0][0].name
            tally.leave_out(
                LeftOut.NO_OTHER_SIDE, name, "no such bar of the other side", rest - len(common)
            )
    if not len(common):
        raise DataError("the files of bid and ask have no time in common")
    b, a = at_b[in_b], at_a[in_a]
    return Columns(
        time=common,
        prices=np.hstack([bid.prices[b], ask.prices[a]]),
        volume=bid.volume[b],
        spread=bid.spread[b],
        places=[bid.places[int(i)] for i in b],
    )

"""The weekend of the FX market, Friday 17:00 to Sunday 17:00 New York, as a clock for shifts."""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt
from sep_fx.sessions import NEW_YORK

Ints = npt.NDArray[np.int64]
_CLOSE = time(17)
_LEAST_PAUSE_S = 30 * 3600


def weekends_between(first: int, last: int) -> Ints:
    """Start and end of each weekend that overlaps ``[first, last]``, seconds, shape (k, 2)."""
    day = datetime.fromtimestamp(first, tz=UTC).date() - timedelta(days=7)
    friday = day + timedelta(days=(4 - day.weekday()) % 7)
    found = []
    while (starts := _at_close(friday)) <= last:
        ends = _at_close(friday + timedelta(days=2))
        if ends > first:
            found.append((starts, ends))
        friday += timedelta(days=7)
    return np.array(found, np.int64).reshape(-1, 2)


def in_weekend(starts: Ints) -> npt.NDArray[np.bool_]:
    """Which times lie in a weekend; ascending seconds, shape (n,)."""
    if not len(starts):
        return np.zeros(0, np.bool_)
    edges = weekends_between(int(starts[0]), int(starts[-1]))
    if not len(edges):
        return np.zeros(len(starts), np.bool_)
    at = np.searchsorted(edges[:, 0], starts, "right") - 1
    return np.asarray((at >= 0) & (starts < edges[np.maximum(at, 0), 1]))


def shifts(starts: Ints, bar_s: int) -> list[tuple[int, int]]:
    """By how many whole hours the pause of each week lies off the weekend.

    Args:
        starts: starts of bars, ascending seconds.

    Returns:
        The start of the first bar after each pause that lies off, and the hours: above 0 where
        the bars are stamped too late. A pause counts only if both of its ends are off alike.
    """
    found = []
    steps = np.diff(starts)
    for i in np.flatnonzero(steps > _LEAST_PAUSE_S):
        closed, opened = int(starts[i]) + bar_s, int(starts[i + 1])
        middle = (closed + opened) // 2
        edges = weekends_between(middle - 4 * 86_400, middle + 4 * 86_400)
        nearest = edges[np.abs(edges.mean(axis=1) - middle).argmin()]
        off = [round((a - int(b)) / 3600) for a, b in ((closed, nearest[0]), (opened, nearest[1]))]
        if off[0] and off[0] == off[1]:
            found.append((opened, off[0]))
    return found


def _at_close(day: date) -> int:
    return int(datetime.combine(day, _CLOSE, tzinfo=NEW_YORK).timestamp())

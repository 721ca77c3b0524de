"""Walk-forward folds: a training window, an embargo, and the test window after it."""

import re
from dataclasses import dataclass

from sep_research.errors import ResearchError

DAY = 86_400
_SPAN = re.compile(r"(\d+)([dhw])")
_UNITS = {"h": 3600, "d": DAY, "w": 7 * DAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForward:
    """How a tape is cut; all lengths in seconds.

    Attributes:
        anchored: training begins with the tape in every fold, instead of moving along.
    """

    train_s: int
    test_s: int
    embargo_s: int
    anchored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold; a window holds the trades entered in ``[from, to)`` and closed by its end."""

    train_from: int
    train_to: int
    test_from: int
    test_to: int


def seconds_of(text: str) -> int:
    """The length of a span such as ``60d``, ``12h`` or ``2w``.

    Raises:
        ValueError: it is no such span.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a span like 60d, 12h or 2w")
    return int(found[1]) * _UNITS[found[2]]


def folds_of(first: int, end: int, cut: WalkForward) -> list[Fold]:
    """The folds of a tape, oldest first; test windows neither overlap nor leave a gap.

    Args:
        first: start of the first bar; end: end of the last one, seconds.

    Raises:
        ResearchError: the tape is shorter than one fold.
    """
    least = cut.train_s + cut.embargo_s + cut.test_s
    found = []
    test_from = first + cut.train_s + cut.embargo_s
    while test_from + cut.test_s <= end:
        train_to = test_from - cut.embargo_s
        found.append(
            Fold(
                train_from=first if cut.anchored else train_to - cut.train_s,
                train_to=train_to,
                test_from=test_from,
                test_to=test_from + cut.test_s,
            )
        )
        test_from += cut.test_s
    if not found:
        raise ResearchError(
            f"the candles span {(end - first) / DAY:.1f} days, and one fold needs "
            f"{least / DAY:.1f}: choose shorter windows with --walk-forward"
        )
    return found

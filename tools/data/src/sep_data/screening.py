"""Which bars can have been printed by a market; the others are left out and counted."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sep_fx.bars import Bars

from sep_data.collecting import Columns, Tally
from sep_data.rows import LeftOut

Mask = npt.NDArray[np.bool_]


def screened(columns: Columns, tally: Tally) -> Bars:
    """The good bars in time order, one a time: of equal times the first in the file."""
    prices = columns.prices
    bad: list[tuple[LeftOut, Mask, Callable[[int], str]]] = [
        (LeftOut.NOT_A_PRICE, not_prices(prices), lambda i: f"prices {_shown(prices[i])}"),
        (LeftOut.HIGH_LOW, wrong_extremes(prices), lambda i: f"prices {_shown(prices[i])}"),
        (LeftOut.CROSSED, crossed(prices), lambda i: f"prices {_shown(prices[i])}"),
    ]
    good = np.ones(len(prices), np.bool_)
    for reason, mask, detail in bad:
        _leave_out(columns, tally, reason, mask & good, detail)
        good &= ~mask
    at = np.flatnonzero(good)
    if len(at) and (np.diff(columns.time[at]) < 0).any():
        tally.repairs["OUT_OF_ORDER"] += int((np.diff(columns.time[at]) < 0).sum())
    at = at[np.argsort(columns.time[at], kind="stable")]
    first, again = _first_of_each(columns, at)
    equal = np.zeros(len(prices), np.bool_)
    differs = equal.copy()
    for one, other in again:
        same = np.array_equal(prices[one], prices[other])
        (equal if same else differs)[other] = True
    _leave_out(columns, tally, LeftOut.DUPLICATE, equal, lambda _: "the same bar again")
    _leave_out(
        columns, tally, LeftOut.DUPLICATE_DIFFERS, differs,
        lambda i: f"another bar of the same time, {_shown(prices[i])}",
    )  # fmt: skip
    return Bars.from_rows(columns.time[first], prices[first].T, columns.volume[first])


def not_prices(prices: npt.NDArray[np.float64]) -> Mask:
    """Bars with a price that is not finite and above 0; ``prices`` of shape (n, 8)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(~(np.isfinite(prices) & (prices > 0)).all(axis=1))


def wrong_extremes(prices: npt.NDArray[np.float64]) -> Mask:
    """Bars of which a high or low is not the extreme of its side."""
    found = np.zeros(len(prices), np.bool_)
    for side in (prices[:, :4], prices[:, 4:]):
        o, h, low, c = side.T
        found |= (h < np.maximum(np.maximum(o, c), low)) | (low > np.minimum(o, c))
    return found


def crossed(prices: npt.NDArray[np.float64]) -> Mask:
    """Bars whose bid is above their ask somewhere."""
    return np.asarray((prices[:, :4] > prices[:, 4:]).any(axis=1))


def _first_of_each(
    columns: Columns, at: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], list[tuple[int, int]]]:
    """Positions of the first bar of each time, and pairs of a first bar and a later one."""
    time = columns.time[at]
    new = np.ones(len(at), np.bool_)
    new[1:] = time[1:] != time[:-1]
    first = at[new]
    owner = np.cumsum(new) - 1
    again = [(int(first[owner[i]]), int(at[i])) for i in np.flatnonzero(~new)]
    return first, again


def _leave_out(
    columns: Columns, tally: Tally, reason: LeftOut, mask: Mask, detail: Callable[[int], str]
) -> None:
    for i in np.flatnonzero(mask):
        path, line = columns.places[int(i)]
        tally.leave_out(reason, f"{path.name}: line {line}", detail(int(i)))


def _shown(prices: npt.NDArray[np.float64]) -> str:
    return " ".join(f"{p:g}" if not np.isfinite(p) else str(float(p)) for p in prices)

"""Data layouts of a strict-span run, as its compiled loop reads and writes them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sep_evaluator.domain.kernel_tables import Floats, Ints, with_spare_capacity
from sep_evaluator.domain.params import StrategyParams

Record = npt.NDArray[Any]
Directions = npt.NDArray[np.int8]
Prices = tuple[Floats, ...]  # bid then ask open, high, low, close

# Exit reasons; a trade's ``reason`` is an index into this tuple.
REASONS = ("stop_loss", "take_profit", "session", "reversal", "rupture")
STOP, TAKE_PROFIT, SESSION, REVERSAL, RUPTURE_EXIT = range(len(REASONS))

# Indices into ``Prices``.
BID_O, BID_H, BID_L, BID_C, ASK_O, ASK_H, ASK_L, ASK_C = range(8)

# The order that is due at the next bar's open.
NOTHING, ENTRY, EXIT = range(3)

NEVER = -(2**62)

RULES_DTYPE = np.dtype(
    [(name, np.int64 if isinstance(v, int) else np.float64)
     for name, v in StrategyParams().as_dict().items()]
)  # fmt: skip

# One record: the position, the pending order, and the totals of the run so far.
BOOK_DTYPE = np.dtype(
    [
        ("side", np.int64),  # 1 long, -1 short, 0 flat
        ("entry", np.float64),
        ("entry_time", np.int64),
        ("entry_index", np.int64),
        ("stop", np.float64),
        ("target", np.float64),
        ("pending", np.int64),
        ("pending_side", np.int64),
        ("pending_reason", np.int64),
        ("pending_distance", np.float64),  # price units between entry and stop
        ("pending_time", np.int64),  # start of the bar that made the signal
        ("last_exit", np.int64),
        ("realised", np.float64),
        ("trades", np.int64),
        ("wins", np.int64),
        ("peak", np.float64),  # of the mark-to-market curve, which starts at 0
        ("drawdown", np.float64),
    ]
)

# ``realised`` and ``wins`` are running totals including the trade, so that the totals of a
# slice are one subtraction; ``entry_index`` is the bar of the entry.
TRADE_DTYPE = np.dtype(
    [
        ("entry_time", np.int64),
        ("exit_time", np.int64),
        ("side", np.int64),
        ("entry", np.float64),
        ("exit", np.float64),
        ("ret", np.float64),
        ("reason", np.int64),
        ("entry_index", np.int64),
        ("realised", np.float64),
        ("wins", np.int64),
    ]
)


def rules_of(params: StrategyParams) -> Record:
    """The parameters as an array of one record."""
    return np.array([tuple(params.as_dict().values())], RULES_DTYPE)


def new_book() -> Record:
    """An empty book without a position, as an array of one record."""
    book = np.zeros(1, BOOK_DTYPE)
    book["last_exit"] = NEVER
    return book


class BarColumns:
    """Growing columns of a run; growth and ``drop`` allocate new memory."""

    def __init__(self, capacity: int = 4096) -> None:
        self._time: Ints = np.empty(capacity, np.int64)
        self._prices: Floats = np.empty((8, capacity))
        self._closing = np.empty(capacity, np.bool_)
        self._direction: Directions = np.empty(capacity, np.int8)
        self._equity: Floats = np.empty(capacity)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def time(self) -> Ints:
        """Start of each bar, seconds, shape (n,)."""
        return self._time[: self._count]

    @property
    def prices(self) -> Prices:
        """Bid then ask open, high, low, close, each of shape (n,)."""
        return tuple(row[: self._count] for row in self._prices)

    @property
    def closing(self) -> npt.NDArray[np.bool_]:
        """Whether the session is closed or about to close at each bar's end, shape (n,)."""
        return self._closing[: self._count]

    @property
    def direction(self) -> Directions:
        """Direction at each bar, written by the backtest loop, shape (n,)."""
        return self._direction[: self._count]

    @property
    def equity(self) -> Floats:
        """Mark-to-market curve, written by the backtest loop, shape (n,)."""
        return self._equity[: self._count]

    def append(self, time: Ints, prices: Prices, closing: npt.NDArray[np.bool_]) -> None:
        """Append bars; the compiled loops write their direction and equity."""
        first, count = self._count, self._count + len(time)
        if count > len(self._time):
            self._move(0, with_spare_capacity(count))
        self._time[first:count] = time
        for row, column in zip(self._prices, prices, strict=True):
            row[first:count] = column
        self._closing[first:count] = closing
        self._count = count

    def drop(self, count: int) -> None:
        """Drop the oldest ``count`` bars."""
        self._move(count, len(self._time))

    def _move(self, start: int, capacity: int) -> None:
        count = self._count - start
        for name in ("_time", "_prices", "_closing", "_direction", "_equity"):
            old = getattr(self, name)
            new = np.empty((*old.shape[:-1], capacity), old.dtype)
            new[..., :count] = old[..., start : self._count]
            setattr(self, name, new)
        self._count = count

"""Candles as columns of arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bars:
    """Complete candles of one instrument in time order: one array per column, all of length n.

    ``time`` is the start of each bar in whole seconds since the epoch. Prices are binary floats,
    since only scores are computed from them; orders and cash use decimals.
    """

    time: Ints
    bid_o: Floats
    bid_h: Floats
    bid_l: Floats
    bid_c: Floats
    ask_o: Floats
    ask_h: Floats
    ask_l: Floats
    ask_c: Floats
    volume: Ints

    def __len__(self) -> int:
        return len(self.time)

    @property
    def mid(self) -> Floats:
        """Mid of the closing bid and ask."""
        return (self.bid_c + self.ask_c) / 2.0

    @classmethod
    def empty(cls) -> Self:
        """No bars."""
        ints = np.empty(0, np.int64)
        return cls.from_rows(ints, np.empty((8, 0)), ints)

    @classmethod
    def from_rows(cls, time: Ints, prices: Floats, volume: Ints) -> Self:
        """Bars from prices of shape (8, n): bid open, high, low, close, then the ask's."""
        bid_o, bid_h, bid_l, bid_c, ask_o, ask_h, ask_l, ask_c = np.ascontiguousarray(prices)
        return cls(time, bid_o, bid_h, bid_l, bid_c, ask_o, ask_h, ask_l, ask_c, volume)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The parts joined; the caller passes them in time order."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def slice(self, start: int, stop: int) -> Self:
        """Bars ``start`` up to but not including ``stop``, as views on the same arrays."""
        return type(self)(*(getattr(self, f.name)[start:stop] for f in fields(self)))

    def between(self, since: int, until: int | None = None) -> Self:
        """The bars with ``since <= start < until``, in seconds; without an end if None."""
        first = int(np.searchsorted(self.time, since, "left"))
        past = len(self) if until is None else int(np.searchsorted(self.time, until, "left"))
        return self.slice(first, max(first, past))

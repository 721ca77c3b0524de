"""Price ticks as arrays of whole points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ticks:
    """Ticks of one instrument in time order, arrays of shape (n,).

    ``time`` is in whole seconds since the epoch. ``bid`` and ``ask`` are in points, units of the
    last digit of the display precision, so that prices are exact.
    """

    time: Ints
    bid: Ints
    ask: Ints

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def empty(cls) -> Self:
        """No ticks."""
        none = np.empty(0, np.int64)
        return cls(none, none, none)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The parts in sequence; the caller passes them in time order."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([p.time for p in parts]),
            np.concatenate([p.bid for p in parts]),
            np.concatenate([p.ask for p in parts]),
        )

    def between(self, start_s: int, stop_s: int) -> Self:
        """The ticks of ``[start_s, stop_s)``, as views."""
        first, last = np.searchsorted(self.time, (start_s, stop_s), "left")
        return type(self)(self.time[first:last], self.bid[first:last], self.ask[first:last])

    def where(self, keep: npt.NDArray[np.bool_]) -> Self:
        """The ticks for which ``keep`` holds."""
        return type(self)(self.time[keep], self.bid[keep], self.ask[keep])

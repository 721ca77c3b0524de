"""A page of candles as the broker sent it, in columns.

A backfill reads a million candles, so prices are integers in units of their last digit: as
exact as decimals, and checked and stored thousands at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

UNTIMED = -1
"""Time of a row whose time can't be parsed."""

MAX_DIGITS = 9
LARGEST = 10**9
"""Prices below it fit into 64 bits with up to ``MAX_DIGITS`` decimals."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a candle can't be used: ``reason`` is a stable name, ``text`` the details."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class CandlePage:
    """Candles of one response, oldest first, n rows; a price is ``points`` / 10^``digits``.

    ``time_ns`` is each bar's start, ``points`` has the shape (n, 8): bid o,h,l,c, ask o,h,l,c.
    Rows in ``faults`` could not be parsed: their prices are meaningless, their time is set if
    it could be parsed.
    """

    time_ns: Ints
    complete: Flags
    points: Ints
    volume: Ints
    digits: int
    faults: Mapping[int, Fault]

    def __len__(self) -> int:
        return len(self.time_ns)

    @classmethod
    def empty(cls) -> Self:
        """No candles."""
        none = np.empty(0, np.int64)
        return cls(none, none.astype(np.bool_), none.reshape(0, 8), none, 0, {})

    @classmethod
    def of_fault(cls, time_ns: int | None, fault: Fault, *, complete: bool = True) -> Self:
        """One row whose values can't be parsed."""
        time_ns = UNTIMED if time_ns is None else time_ns
        return replace(cls._row(time_ns, complete, [0] * 8, 0, 0), faults={0: fault})

    @classmethod
    def of_incomplete(cls, time_ns: int) -> Self:
        """One row of an incomplete bar; its values are ignored."""
        return cls._row(time_ns, False, [0] * 8, 0, 0)

    @classmethod
    def of_complete(cls, time_ns: int, prices: tuple[Decimal, ...], volume: int) -> Self:
        """One row of decimals; a fault if they don't fit into the columns."""
        for price in prices:
            if not price.is_finite():
                return cls.of_fault(time_ns, Fault("not_finite", f"a price is {price}"))
        digits = max(0, *(-int(p.as_tuple().exponent) for p in prices))
        if digits > MAX_DIGITS:
            return cls.of_fault(time_ns, Fault("too_precise", f"more than {MAX_DIGITS} decimals"))
        if max(abs(p) for p in prices) >= LARGEST:
            return cls.of_fault(time_ns, Fault("too_large", f"a price is {max(prices)}"))
        points = [int(p.scaleb(digits)) for p in prices]
        return cls._row(time_ns, True, points, volume, digits)

    @classmethod
    def _row(
        cls, time_ns: int, complete: bool, points: list[int], volume: int, digits: int
    ) -> Self:
        return cls(
            np.array([time_ns], np.int64),
            np.array([complete]),
            np.array([points], np.int64),
            np.array([volume], np.int64),
            digits,
            {},
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The parts in order, at the precision of the most precise."""
        if not parts:
            return cls.empty()
        digits = max(p.digits for p in parts)
        faults: dict[int, Fault] = {}
        at = 0
        for part in parts:
            faults |= {at + row: fault for row, fault in part.faults.items()}
            at += len(part)
        return cls(
            np.concatenate([p.time_ns for p in parts]),
            np.concatenate([p.complete for p in parts]),
            np.concatenate([p.points * 10 ** (digits - p.digits) for p in parts]),
            np.concatenate([p.volume for p in parts]),
            digits,
            faults,
        )

    def without_first(self, count: int) -> Self:
        """The page without its first ``count`` rows."""
        return type(self)(
            self.time_ns[count:],
            self.complete[count:],
            self.points[count:],
            self.volume[count:],
            self.digits,
            {row - count: fault for row, fault in self.faults.items() if row >= count},
        )

    def prices(self, row: int) -> str:
        """A row's prices as text for a message."""
        bid, ask = np.split(self.points[row] / 10.0**self.digits, 2)
        return f"bid {bid.tolist()}, ask {ask.tolist()}"

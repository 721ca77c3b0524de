"""Rows that a format's reader yields: as they stand in a file, or unreadable."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Side(StrEnum):
    """The side of a row's prices; ``BOTH`` where it has bid and ask."""

    BOTH = "bid-ask"
    BID = "bid"
    ASK = "ask"
    MID = "mid"


class LeftOut(StrEnum):
    """Why a row was left out."""

    UNREADABLE = "UNREADABLE"
    NO_SUCH_TIME = "NO_SUCH_TIME"
    INCOMPLETE = "INCOMPLETE"
    NOT_A_PRICE = "NOT_A_PRICE"
    HIGH_LOW = "HIGH_LOW"
    CROSSED = "CROSSED"
    DUPLICATE = "DUPLICATE"
    DUPLICATE_DIFFERS = "DUPLICATE_DIFFERS"
    NO_OTHER_SIDE = "NO_OTHER_SIDE"
    CATALOGUE_DIFFERS = "CATALOGUE_DIFFERS"


@dataclass(slots=True)
class Row:
    """One bar of a file.

    Attributes:
        line: its line, or its index from 1 in a JSON array.
        stamp: seconds since the epoch, or a local time without a zone.
        prices: four prices of one side, or bid open, high, low, close and the ask's.
        spread: ask minus bid that the row itself states, in price units.
    """

    line: int
    stamp: int | datetime
    prices: tuple[float, ...]
    volume: int
    spread: float | None = None


@dataclass(slots=True)
class BadRow:
    """A row that was left out."""

    line: int
    reason: LeftOut
    detail: str

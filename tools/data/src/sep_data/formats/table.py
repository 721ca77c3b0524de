"""The table that every reader returns, and the parsing of cells that they share."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sep_fx.granularity import Granularity

from sep_data.rows import BadRow, LeftOut, Row, Side

TICKS = "holds ticks instead of bars: import candles, or build bars from the ticks first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of one file, and what the file itself states about them; None where it doesn't.

    Attributes:
        side: what the prices of its rows stand for.
        time_zone: zone of its local times.
    """

    rows: Iterable[Row | BadRow]
    side: Side | None = None
    time_zone: str | None = None
    instrument: str | None = None
    granularity: Granularity | None = None


def price(text: str) -> float:
    """A price; "nan" and "inf" are read, and left out later.

    Raises:
        ValueError: it is no number.
    """
    # float() accepts 1_0 for ten.
    if "_" in text:
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def volume(text: str) -> int:
    """A volume, rounded to a whole number.

    Raises:
        ValueError: it is no number, or below 0.
    """
    found = float(text)
    if not 0 <= found < 2**62:
        raise ValueError(f"volume is {text!r}, allowed is a number from 0")
    return round(found)


def day_and_time(day: str, time: str, order: str) -> datetime:
    """A local time of digits at fixed places.

    Args:
        day: eight digits, or ten characters with any separator.
        time: ``HHMM[SS]`` or ``HH:MM[:SS[.000]]``.
        order: ``ymd`` or ``dmy``.

    Raises:
        ValueError: there is no such time.
    """
    digits = "".join(c for c in day if c.isascii() and c.isdigit())
    clock = "".join(c for c in time.partition(".")[0] if c.isascii() and c.isdigit()).ljust(6, "0")
    if len(digits) != 8 or len(clock) != 6:
        raise ValueError(f"{day} {time} is not a time")
    if order == "ymd":
        year, month, date = int(digits[:4]), int(digits[4:6]), int(digits[6:])
    else:
        date, month, year = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if any(c not in "0." for c in time.partition(".")[2]):
        raise ValueError(f"{day} {time} is not a whole second")
    return datetime(year, month, date, int(clock[:2]), int(clock[2:4]), int(clock[4:]))  # noqa: DTZ001  local


def unreadable(line: int, error: Exception) -> BadRow:
    """A row that was left out because a cell can't be read."""
    return BadRow(line, LeftOut.UNREADABLE, str(error))

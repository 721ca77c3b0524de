"""``dukascopy``: exports of JForex and the web, one side a file, both joined on time."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sep_data.errors import FileRefusedError
from sep_data.formats.table import TICKS, Table, day_and_time, price, unreadable, volume
from sep_data.naming import parts_of
from sep_data.rows import BadRow, Row
from sep_data.text_files import lines_of

# The web's export names its zone in the header; "Local time" is the exporting machine's.
_ZONES = {"gmt time": "UTC", "time (utc)": "UTC", "utc": "UTC", "time (eet)": "Europe/Helsinki",
          "eet": "Europe/Helsinki", "time (est)": "America/New_York",
          "est": "America/New_York"}  # fmt: skip
_UNZONED = {"local time", "time", "timestamp", "date"}
_PRICES = ["open", "high", "low", "close"]


def read(path: Path, text: str) -> Table:
    """The rows of a file.

    Raises:
        FileRefusedError: other columns, or ticks.
    """
    lines = lines_of(text)
    number, first = next(lines)
    header = [cell.strip().strip('"').lower() for cell in first.split(",")]
    if {"ask", "bid"} <= set(header) or "askprice" in header:
        raise FileRefusedError(path, number, TICKS)
    known = header[0] in _ZONES or header[0] in _UNZONED
    if not known or header[1:5] != _PRICES or len(header) > 6:
        raise FileRefusedError(
            path, number, f"header is {first!r}, expected Gmt time,Open,High,Low,Close,Volume"
        )
    return Table(
        rows=_rows(lines, len(header)),
        side=parts_of(path).side,
        time_zone=_ZONES.get(header[0]),
    )


def _rows(lines: Iterator[tuple[int, str]], width: int) -> Iterator[Row | BadRow]:
    for number, line in lines:
        cells = [cell.strip().strip('"') for cell in line.split(",")]
        try:
            if len(cells) != width:
                raise ValueError(f"{len(cells)} fields, expected {width}")
            stamp = _stamp(cells[0])
            prices = tuple(map(price, cells[1:5]))
            count = volume(cells[5]) if width > 5 else 0
        except ValueError as error:
            yield unreadable(number, error)
            continue
        yield Row(number, stamp, prices, count)


def _stamp(text: str) -> int | datetime:
    if text.isascii() and text.isdigit() and len(text) == 13:
        seconds, rest = divmod(int(text), 1000)
        if rest:
            raise ValueError(f"time {text} is not a whole second")
        return seconds
    day, _, time = text.partition(" ")
    # Newer web exports append the offset: 01.01.2014 00:00:00.000 GMT+0100.
    time, _, offset = time.partition(" ")
    local = day_and_time(day, time, "dmy" if day[2:3] in {".", "-", "/"} else "ymd")
    if not offset:
        return local
    return _with_offset(local, offset)


def _with_offset(local: datetime, offset: str) -> int:
    digits = offset.removeprefix("GMT").replace(":", "")
    if len(digits) != 5 or digits[0] not in "+-" or not digits[1:].isdigit():
        raise ValueError(f"{offset!r} is not an offset like GMT+0100")
    minutes = int(digits[1:3]) * 60 + int(digits[3:])
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001  both are of the same clock
    wall = int((local - epoch).total_seconds())
    return wall - (60 * minutes if digits[0] == "+" else -60 * minutes)

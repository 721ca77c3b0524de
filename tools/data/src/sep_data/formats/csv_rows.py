"""``csv``: this project's candle files, and the usual ``time,open,high,low,close[,volume]``."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sep_fx.candle_csv import PRICE_COLUMNS
from sep_fx.instants import NS_PER_SECOND, parse_rfc3339

from sep_data.errors import FileRefusedError
from sep_data.formats.table import TICKS, Table, day_and_time, price, unreadable, volume
from sep_data.rows import BadRow, Row, Side
from sep_data.text_files import lines_of

_BOTH = ("time", *PRICE_COLUMNS)
_SINGLE = ("time", "open", "high", "low", "close")
_SHORT = ("time", "o", "h", "l", "c")
_TIME_NAMES = {"timestamp", "datetime", "date", "gmt time", "date time"}


def read(path: Path, text: str) -> Table:
    """The rows of a file.

    Raises:
        FileRefusedError: other columns, ticks, or times with and without zone in one file.
    """
    lines = lines_of(text)
    number, first = next(lines)
    header = [cell.strip().strip('"').lower() for cell in first.split(",")]
    if header[0] in _TIME_NAMES:
        header[0] = "time"
    columns = tuple(header)
    has_volume = columns[-1] == "volume"
    prices = columns[:-1] if has_volume else columns
    if prices not in (_BOTH, _SINGLE, _SHORT):
        if any("bid" in c for c in columns) and len(columns) <= 6:
            raise FileRefusedError(path, number, TICKS)
        raise FileRefusedError(
            path, number, f"header is {first!r}, expected {','.join(_BOTH)} or "
            f"{','.join(_SINGLE)}, and optionally volume",
        )  # fmt: skip
    side = Side.BOTH if prices == _BOTH else None
    return Table(rows=_rows(path, lines, len(columns), has_volume=has_volume), side=side)


def _rows(
    path: Path, lines: Iterator[tuple[int, str]], width: int, *, has_volume: bool
) -> Iterator[Row | BadRow]:
    zoned: bool | None = None
    offsets: dict[int, int] = {}
    for number, line in lines:
        cells = line.split(",")
        try:
            if len(cells) != width:
                raise ValueError(f"{len(cells)} fields, expected {width}")
            time = cells[0].strip().strip('"')
            stamp = _stamp(time)
            has_zone = not isinstance(stamp, datetime)
            if zoned is not None and has_zone != zoned:
                raise FileRefusedError(
                    path,
                    number,
                    f"time {time} is {'with' if has_zone else 'without'} a time zone, and those "
                    "before it are not: a file must have one or the other",
                )
            zoned = has_zone
            if has_zone:
                _check_offset(path, number, time, offsets)
            last = width - 1 if has_volume else width
            prices = tuple(price(cell) for cell in cells[1:last])
            count = volume(cells[last]) if has_volume else 0
        except ValueError as error:
            yield unreadable(number, error)
            continue
        yield Row(number, stamp, prices, count)


def _stamp(text: str) -> int | datetime:
    if text[10:11] == "T" and (text[-1:] == "Z" or text[-6:-5] in {"+", "-"}):
        instant = parse_rfc3339(text)
        if instant % NS_PER_SECOND:
            raise ValueError(f"time {text} is not a whole second")
        return instant // NS_PER_SECOND
    if text.isascii() and text.isdigit() and len(text) in (9, 10, 12, 13):
        # Seconds or milliseconds since the epoch.
        seconds, rest = divmod(int(text), 1 if len(text) < 12 else 1000)
        if rest:
            raise ValueError(f"time {text} is not a whole second")
        return seconds
    if text[-6:-5] in {"+", "-"} and text[10:11] == " ":
        return _stamp(f"{text[:10]}T{text[11:]}")
    day, time = text[:10], text[11:]
    if len(time) < 5 or text[10:11] not in {"T", " "}:
        raise ValueError(f"time is {text!r}, expected one like 2014-05-01T00:00:00Z")
    return day_and_time(day, time, "ymd")


def _check_offset(path: Path, line: int, time: str, seen: dict[int, int]) -> None:
    """Refuse a file whose offsets differ by more than daylight saving."""
    sign = {"+": 1, "-": -1}.get(time[-6:-5], 0)
    offset = sign * (int(time[-5:-3]) * 60 + int(time[-2:])) if sign else 0
    if offset in seen:
        return
    seen[offset] = line
    if max(seen) - min(seen) > 60 or len(seen) > 2:
        others = ", ".join(f"{m:+d} min in line {n}" for m, n in seen.items())
        raise FileRefusedError(path, line, f"mixes time zones: offsets {others}")

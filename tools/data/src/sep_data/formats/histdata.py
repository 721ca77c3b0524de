"""``histdata``: HistData's ASCII and MetaTrader bars: EST without daylight saving, bid prices."""

from collections.abc import Iterator
from pathlib import Path

from sep_data.errors import FileRefusedError
from sep_data.formats.table import TICKS, Table, day_and_time, price, unreadable, volume
from sep_data.rows import BadRow, Row
from sep_data.text_files import lines_of

_EXPECTED = (
    "expected 20120201 000000;1.3066;1.3066;1.3065;1.3065;0 or "
    "2012.02.01,00:00,1.3066,1.3066,1.3065,1.3065,0"
)


def read(path: Path, text: str) -> Table:
    """The rows of a file.

    Raises:
        FileRefusedError: the first row is no bar of HistData.
    """
    number, first = next(lines_of(text))
    cells = _cells(first)
    if len(cells) in (4, 5) and "," in first and len(first.split(",")[0]) == 18:
        raise FileRefusedError(path, number, TICKS)
    if len(cells) != 7:
        raise FileRefusedError(path, number, f"{first[:60]!r} is no bar of HistData; {_EXPECTED}")
    return Table(rows=_rows(text))


def _rows(text: str) -> Iterator[Row | BadRow]:
    for number, line in lines_of(text):
        try:
            day, time, *rest = _cells(line)
            if len(rest) != 5:
                raise ValueError(f"{len(rest) + 2} fields, {_EXPECTED}")
            stamp = day_and_time(day, time, "ymd")
            prices = tuple(map(price, rest[:4]))
            count = volume(rest[4])
        except ValueError as error:
            yield unreadable(number, error)
            continue
        yield Row(number, stamp, prices, count)


def _cells(line: str) -> list[str]:
    if ";" in line:
        first, *rest = line.strip().split(";")
        return [*first.split(" ", 1), *rest]
    return line.strip().split(",")

"""``mt5``: bars that MetaTrader 5 exports: server time, bid prices, spread in points."""

from collections.abc import Iterator
from pathlib import Path

from sep_data.errors import FileRefusedError
from sep_data.formats.table import TICKS, Table, day_and_time, price, unreadable, volume
from sep_data.rows import BadRow, Row
from sep_data.text_files import lines_of

_PRICES = ["open", "high", "low", "close"]
_EXPECTED = "<DATE>, <TIME>, <OPEN>, <HIGH>, <LOW>, <CLOSE>, <TICKVOL>, <VOL>, <SPREAD>"


def read(path: Path, text: str) -> Table:
    """The rows of a file.

    Raises:
        FileRefusedError: other columns, or ticks.
    """
    lines = lines_of(text)
    number, first = next(lines)
    mark = next((m for m in "\t;," if m in first), "\t")
    header = [cell.strip().strip("<>").lower() for cell in first.strip().split(mark)]
    if {"bid", "ask"} <= set(header):
        raise FileRefusedError(path, number, TICKS)
    days_only = header[:5] == ["date", *_PRICES]
    if header[:6] != ["date", "time", *_PRICES] and not days_only:
        raise FileRefusedError(path, number, f"header is {first!r}, expected {_EXPECTED}")
    return Table(rows=_rows(lines, mark, header, _digits(text, mark)))


def _digits(text: str, mark: str) -> int:
    """Digits after the point of the symbol's prices; a point is one of the last of them."""
    cells = (cell for _, line in lines_of(text) for cell in line.strip().split(mark)[2:6])
    return max(len(cell.partition(".")[2]) for cell in cells)


def _rows(
    lines: Iterator[tuple[int, str]], mark: str, header: list[str], digits: int
) -> Iterator[Row | BadRow]:
    at = {name: place for place, name in enumerate(header)}
    for number, line in lines:
        cells = line.strip().split(mark)
        try:
            if len(cells) != len(header):
                raise ValueError(f"{len(cells)} fields, expected {len(header)}")
            time = cells[at["time"]] if "time" in at else "00:00"
            stamp = day_and_time(cells[0], time, "ymd")
            prices = tuple(price(cells[at[name]]) for name in _PRICES)
            count = volume(cells[at["tickvol"]]) if "tickvol" in at else 0
            points = volume(cells[at["spread"]]) if "spread" in at else None
        except ValueError as error:
            yield unreadable(number, error)
            continue
        spread = None if points is None else points / 10**digits
        yield Row(number, stamp, prices, count, spread)

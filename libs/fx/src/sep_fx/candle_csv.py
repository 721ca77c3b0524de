"""Candle files in CSV, optionally gzipped: time, four bid and four ask prices, optional volume."""

import csv
import gzip
import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from sep_fx.bars import Bars
from sep_fx.candle_columns import parse_columns
from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_SECOND, parse_rfc3339

if TYPE_CHECKING:
    from _csv import Reader

PRICE_COLUMNS = ("bid_o", "bid_h", "bid_l", "bid_c", "ask_o", "ask_h", "ask_l", "ask_c")
_COLUMNS = ("time", *PRICE_COLUMNS)
_MAX_VOLUME = 2**63 - 1
_PROGRESS = 10_000  # rows
_FILE_NAME = re.compile(r"([A-Z0-9]+_[A-Z0-9]+)_([A-Z]+[0-9]*)(?:_.*)?\.csv(?:\.gz)?")


class MalformedCandleError(ValueError):
    """A row of a candle file is malformed; the message says which one and why."""


@dataclass(frozen=True, slots=True)
class CandleFile:
    """Content of a candle file, and how many malformed rows were skipped."""

    bars: Bars
    skipped: int


def instrument_of(path: Path) -> str:
    """Instrument in the name of a file such as ``EUR_USD_M1_2014-05.csv.gz``.

    Raises:
        ValueError: the name does not begin with an instrument and a granularity.
    """
    return _name_parts(path)[0]


def granularity_of(path: Path) -> Granularity:
    """Granularity in the name of a file.

    Raises:
        ValueError: the name does not begin with an instrument and a granularity.
    """
    return Granularity(_name_parts(path)[1])


def _name_parts(path: Path) -> tuple[str, str]:
    match = _FILE_NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path.name!r} is not named like EUR_USD_M1_2014-05.csv.gz")
    return match.group(1), match.group(2)


def candle_files(directory: Path) -> dict[str, list[Path]]:
    """The candle files in a directory by instrument, sorted by name.

    Raises:
        FileNotFoundError: the directory does not exist or contains no candle file.
    """
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not a directory")
    found: dict[str, list[Path]] = {}
    for path in sorted(directory.iterdir()):
        if _FILE_NAME.fullmatch(path.name):
            found.setdefault(instrument_of(path), []).append(path)
    if not found:
        raise FileNotFoundError(f"{directory} holds no file named like EUR_USD_M1_2014-05.csv.gz")
    return found


def read_candle_file(
    path: Path, *, skip_bad: bool = False, progress: Callable[[int], None] | None = None
) -> CandleFile:
    """Read a candle file; times must strictly increase and prices be possible.

    Args:
        skip_bad: skip and count malformed rows instead of raising.
        progress: called with the number of rows read, every 10,000 rows.

    Raises:
        MalformedCandleError: a row is malformed; has its line number and the reason.
        OSError: the file can't be read.
    """
    # A pipe can be read once only.
    usual = _read_columns(path) if path.is_file() else None
    if usual is None:
        return _read_rows(path, skip_bad=skip_bad, progress=progress)
    if progress is not None:
        for rows in range(_PROGRESS, len(usual) + 1, _PROGRESS):
            progress(rows)
    return CandleFile(usual, 0)


def _read_columns(path: Path) -> Bars | None:
    """The bars of a file in the usual form; None for any other."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None
    header, _, rows = content.partition(b"\n")
    fields = header.removesuffix(b"\r").decode("ascii", errors="replace").split(",")
    return parse_columns(rows, len(fields)) if _is_header(fields) else None


def _is_header(fields: list[str]) -> bool:
    return tuple(fields[:9]) == _COLUMNS and fields[9:] in ([], ["volume"])


def _read_rows(path: Path, *, skip_bad: bool, progress: Callable[[int], None] | None) -> CandleFile:
    times: list[int] = []
    rows: list[tuple[float, ...]] = []
    volumes: list[int] = []
    skipped = 0
    with _open(path) as text:
        reader = csv.reader(text)
        header = _next_row(reader, path) or []
        if not _is_header(header):
            raise MalformedCandleError(
                f"{path}: line 1: header is {','.join(header)!r}, expected "
                f"{','.join(_COLUMNS)} and optionally volume"
            )
        while (row := _next_row(reader, path)) is not None:
            try:
                time, prices, volume = _parse(row, len(header))
                if times and time <= times[-1]:
                    raise ValueError(f"time {row[0]} is not after the time of the previous row")
            except ValueError as error:
                if not skip_bad:
                    raise MalformedCandleError(f"{path}: line {reader.line_num}: {error}") from None
                skipped += 1
                continue
            times.append(time)
            rows.append(prices)
            volumes.append(volume)
            if progress is not None and len(times) % _PROGRESS == 0:
                progress(len(times))
    prices_ = np.array(rows, np.float64).reshape(len(rows), 8)
    bars = Bars.from_rows(np.array(times, np.int64), prices_.T, np.array(volumes, np.int64))
    return CandleFile(bars, skipped)


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="ascii", errors="replace", newline="")
    return path.open("rt", encoding="ascii", errors="replace", newline="")


def _next_row(reader: "Reader", path: Path) -> list[str] | None:
    try:
        return next(reader)
    except StopIteration:
        return None
    except (EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as error:
        # The rest of the file can't be split into rows, so there is no single row to skip.
        raise MalformedCandleError(f"{path}: after line {reader.line_num}: {error}") from None


def _parse(row: list[str], width: int) -> tuple[int, tuple[float, ...], int]:
    if len(row) != width:
        raise ValueError(f"{len(row)} fields, expected {width}")
    instant = parse_rfc3339(row[0])
    if instant % NS_PER_SECOND:
        raise ValueError(f"time {row[0]} is not a whole second")
    prices = tuple(_price(name, text) for name, text in zip(PRICE_COLUMNS, row[1:9], strict=True))
    check_prices(prices)
    volume = row[9] if width > 9 else "0"
    if not (volume.isdigit() and len(volume) <= 19 and int(volume) <= _MAX_VOLUME):
        raise ValueError(f"volume is {volume!r}, expected a whole number, 0 or more")
    return instant // NS_PER_SECOND, prices, int(volume)


def _price(name: str, text: str) -> float:
    try:
        # float() accepts 1_0 for ten.
        return float(text if "_" not in text else "")
    except ValueError:
        raise ValueError(f"{name} is {text!r}, expected a number") from None


def check_prices(prices: tuple[float, ...]) -> None:
    """Check that a market can have printed these prices.

    Args:
        prices: bid open, high, low, close, then the same of the ask.

    Raises:
        ValueError: a price is not finite and above 0, a high or low is not the extreme of its
            side, or a bid is above its ask.
    """
    for name, price in zip(PRICE_COLUMNS, prices, strict=True):
        if not (math.isfinite(price) and price > 0):
            raise ValueError(f"{name} is {price}, expected a finite price above 0")
    for side, (o, h, low, c) in (("bid", prices[:4]), ("ask", prices[4:])):
        if h < max(o, c, low):
            raise ValueError(f"{side} high {h} is below its open, close or low")
        if low > min(o, c):
            raise ValueError(f"{side} low {low} is above its open or close")
    for point, bid, ask in zip("ohlc", prices[:4], prices[4:], strict=True):
        if bid > ask:
            raise ValueError(f"crossed: bid_{point} {bid} is above ask_{point} {ask}")

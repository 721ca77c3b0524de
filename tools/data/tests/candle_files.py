"""Generated bars, written as the files of different sources."""

from pathlib import Path

import numpy as np
from sep_data.exporting import HEADER
from sep_fx.bars import Bars
from sep_fx.instants import format_seconds, parse_rfc3339
from sep_fx.sessions import fx_week_open

# A Monday.
MONDAY = parse_rfc3339("2024-03-04T00:00:00Z") // 10**9


def market_bars(days: float = 2.0, start: int = MONDAY, step: int = 60, seed: int = 1) -> Bars:
    """A random walk of bars in the FX week."""
    every = np.arange(start, start + int(days * 86_400), step)
    time = np.array([t for t in every if fx_week_open(int(t))], np.int64)
    random = np.random.default_rng(seed)
    close = np.round(1.1 + np.cumsum(random.normal(0, 2e-5, len(time))), 5)
    open_ = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(open_, close) + 1e-5, np.minimum(open_, close) - 1e-5
    bid = np.round([open_, high, low, close], 5)
    prices = np.vstack([bid, np.round(bid + 1e-4, 5)])
    return Bars.from_rows(time, prices, np.arange(len(time), dtype=np.int64) % 50)


def csv_lines(bars: Bars) -> list[str]:
    """This project's candle file, header first."""
    names = HEADER.split(",")[1:]
    columns = [getattr(bars, n).tolist() for n in names]
    rows = zip(bars.time.tolist(), *columns, strict=True)
    return [HEADER, *(",".join([format_seconds(t), *map(str, rest)]) for t, *rest in rows)]


def write(path: Path, lines: list[str], ending: str = "\n") -> Path:
    path.write_bytes((ending.join(lines) + ending).encode())
    return path

"""Candles to measure on: recorded minutes if ``SEP_SHARED`` has any, else a random walk."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from sep_fx.bars import Bars
from sep_fx.candle_csv import PRICE_COLUMNS, candle_files, read_candle_file

_SHARED = Path(os.environ.get("SEP_SHARED") or Path(__file__).parents[2] / "shared")
DAY = 86_400


def sources() -> tuple[list[Bars], str]:
    """One series per instrument, and a description of their origin."""
    folder = _SHARED / "data" / "candles"
    if folder.is_dir():
        files = candle_files(folder)
        bars = [Bars.concatenate([read_candle_file(p).bars for p in g]) for g in files.values()]
        return bars, "real minutes, repeated and scaled"
    return [_walk(seed, 15_000) for seed in range(2)], "random walk"


def series(count: int, length: int) -> tuple[dict[str, Bars], str]:
    """``count`` different instruments of ``length`` minutes each, and their origin."""
    found, kind = sources()
    return {
        f"I{i:02d}_USD": _stretched(found[i % len(found)], i, length) for i in range(count)
    }, kind


def _stretched(bars: Bars, number: int, length: int) -> Bars:
    """The bars from an offset on, repeated to ``length``, at a scaled price."""
    turned = bars.slice(number * 97 % (len(bars) // 2), len(bars))
    period = int(turned.time[-1] - turned.time[0]) // DAY * DAY + 7 * DAY
    parts = [
        replace(turned, time=turned.time + k * period) for k in range(-(-length // len(turned)))
    ]
    whole = Bars.concatenate(parts).slice(0, length)
    scale = 1.0 + number / 64
    return replace(whole, **{name: getattr(whole, name) * scale for name in PRICE_COLUMNS})


def _walk(seed: int, count: int) -> Bars:
    rng = np.random.default_rng(seed)
    close = 1.3 * np.exp(np.cumsum(rng.integers(-3, 4, count) * 3e-5))
    opens = np.concatenate([[1.3], close[:-1]])
    reach = np.abs(rng.normal(0, 3e-5, (2, count)))
    high, low = np.maximum(opens, close) * (1 + reach[0]), np.minimum(opens, close) * (1 - reach[1])
    bid = {"bid_o": opens, "bid_h": high, "bid_l": low, "bid_c": close}
    ask = {name.replace("bid", "ask"): column + 1e-4 for name, column in bid.items()}
    time = 1_398_902_400 + 60 * np.arange(count, dtype=np.int64)
    return Bars(time=time, **bid, **ask, volume=np.ones(count, np.int64))

"""Candles for the evaluator's tests: shared real ones and generated ones."""

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from sep_fx.bars import Bars
from sep_fx.candle_csv import read_candle_file

GOLDEN = Path(__file__).parent / "golden"
_REPOSITORY = Path(__file__).parents[3]
_SHARED = Path(os.environ.get("SEP_SHARED") or _REPOSITORY.parent / "shared")


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def candle_path(name: str) -> Path:
    """A shared candle file; skips the test if the file is missing."""
    path = _SHARED / "data" / "candles" / name
    if not path.exists():
        pytest.skip(f"no {path}: set SEP_SHARED to the folder that holds data/candles")
    return path


def real_bars(name: str) -> Bars:
    return _parsed(candle_path(name))


@cache
def _parsed(path: Path) -> Bars:
    return read_candle_file(path).bars


def random_walk(
    seed: int,
    count: int,
    *,
    start: int = 1_399_000_020,
    granularity: int = 60,
    step: float = 1e-4,
    flat: float = 0.2,
    gap: float = 0.05,
    longest_gap: int = 9,
    spread: float = 1e-4,
    wild: float = 0.02,
) -> Bars:
    """A random walk of candles.

    Args:
        step: size of a bar's move, relative.
        flat: share of bars that do not move.
        gap: share of bars that follow a gap of up to ``longest_gap`` bars.
        spread: usual spread, relative.
        wild: share of bars that jump, and of bars with a spread many times the usual.
    """
    rng = np.random.default_rng(seed)
    ticks = rng.integers(-3, 4, count) * (rng.random(count) >= flat)
    moves = ticks * step / 2 * np.where(rng.random(count) < wild, 20.0, 1.0)
    close = 1.3 * np.exp(np.cumsum(moves))
    opens = np.concatenate([[1.3], close[:-1]]) * (1 + rng.normal(0, step / 8, count))
    reach = np.abs(rng.normal(0, step / 2, (2, count)))
    high = np.maximum(opens, close) * (1 + reach[0])
    low = np.minimum(opens, close) * (1 - reach[1])
    wide = 1.3 * spread * np.where(rng.random(count) < wild, 30.0, rng.random(count))
    holes = np.where(rng.random(count) < gap, rng.integers(2, longest_gap + 2, count), 1)
    time = start + granularity * (np.cumsum(holes) - 1)
    return Bars(
        time.astype(np.int64),
        opens, high, low, close,
        opens + wide, high + wide, low + wide, close + wide,
        np.ones(count, np.int64),
    )  # fmt: skip


def shifted(bars: Bars, seconds: int) -> Bars:
    return replace(bars, time=bars.time + seconds)


# Starts: Friday evening, Thursday's daily break, Christmas Eve, a DST change, an ordinary Tuesday.
_STARTS = (1_399_060_800, 1_398_976_200, 1_387_900_800, 1_394_336_400, 1_399_371_600)


def walks(granularity: int, most: int = 300) -> st.SearchStrategy[Bars]:
    """Random walks with gaps, flat stretches, jumps, extreme spreads and session closes."""
    return st.builds(
        random_walk,
        seed=st.integers(0, 2**32),
        count=st.integers(1, most),
        start=st.sampled_from(_STARTS),
        granularity=st.just(granularity),
        step=st.sampled_from([1e-5, 1e-4, 1e-3]),
        flat=st.sampled_from([0.0, 0.3, 0.95]),
        gap=st.sampled_from([0.0, 0.05, 0.4]),
        longest_gap=st.sampled_from([3, 9, 300]),
        spread=st.sampled_from([0.0, 1e-5, 2e-4]),
        wild=st.sampled_from([0.0, 0.05]),
    )

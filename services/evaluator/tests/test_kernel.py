"""Window metrics against golden figures and the plain reference, and their properties."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sep_evaluator.domain import jit
from sep_evaluator.domain.kernel import (
    FIRST_WINDOW,
    KernelStream,
    WindowMetrics,
    live_window,
    momentum,
    window_metrics,
)
from sep_evaluator.domain.kernel_tables import kernel_tables
from sep_evaluator.domain.params import StrategyParams
from sep_fx.bars import Bars, Floats

from . import reference
from .candles import golden, random_walk, real_bars, walks

FIGURES = ("coherence", "stability", "rupture", "entropy", "hazard", "sigma_eff")
EUR_USD = "EUR_USD_M1_2014-05.csv.gz"
NZD_USD = "NZD_USD_M1_2014-05.csv.gz"


def same(a: WindowMetrics, b: WindowMetrics) -> bool:
    """Whether two metrics are bitwise equal, NaN equal to NaN."""
    return all(np.array_equal(getattr(a, f), getattr(b, f), equal_nan=True) for f in FIGURES)


def assert_as_reference(mid: Floats, indices: range) -> None:
    metrics, plain = window_metrics(mid), mid.tolist()
    for t in indices:
        expected = reference.window(plain, t)
        for name in FIGURES:
            assert getattr(metrics, name)[t] == pytest.approx(expected[name], abs=1e-12), (t, name)


def test_metrics_match_the_golden_file() -> None:
    metrics = window_metrics(real_bars(EUR_USD).mid)
    for window in golden("metrics_EUR_USD")["windows"]:
        for name in FIGURES:
            expected = window["lambda" if name == "hazard" else name]
            assert getattr(metrics, name)[window["index"]] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", [EUR_USD, NZD_USD])
def test_metrics_match_the_plain_reference_on_real_candles(name: str) -> None:
    mid = real_bars(name).mid
    assert_as_reference(mid, range(FIRST_WINDOW, 900))
    assert_as_reference(mid[-200:], range(FIRST_WINDOW, 200))


def test_figures_of_counts_alone_are_the_references_to_the_bit() -> None:
    mid = random_walk(9, 1300).mid
    metrics, plain = window_metrics(mid), mid.tolist()
    for t in range(FIRST_WINDOW, len(plain), 3):
        expected = reference.window(plain, t)
        for name in ("stability", "rupture", "hazard"):
            assert getattr(metrics, name)[t] == expected[name], (t, name)


@settings(max_examples=40)
@given(walks(60, most=140))
def test_metrics_match_the_plain_reference_on_random_candles(bars: Bars) -> None:
    assert_as_reference(bars.mid, range(FIRST_WINDOW, len(bars), 3))


@settings(max_examples=60)
@given(st.lists(st.booleans(), min_size=64, max_size=64))
def test_any_pattern_of_bits_matches_the_plain_reference(bits: list[bool]) -> None:
    """The prices are built so that the window has exactly these bits."""
    mid = [1.0 + i * 1e-4 for i in range(6)]
    for b in bits:
        # A large step follows the trend that it makes, a small one may go against the old trend.
        sizes = (1.1e-5, 1.3e-6, 1.7e-7, 3e-8) if b else (3e-3,)
        for step in (sign * size for size in sizes for sign in (1, -1)):
            if reference.bit([*mid, mid[-1] + step], len(mid)) == b:
                mid.append(mid[-1] + step)
                break
    assert len(mid) == 70
    assert [reference.bit(mid, t) for t in range(6, 70)] == bits
    assert_as_reference(np.array(mid), range(FIRST_WINDOW, 70))


def test_nothing_is_defined_before_the_first_window() -> None:
    metrics = window_metrics(random_walk(1, 71).mid)
    for name in FIGURES:
        column = getattr(metrics, name)
        assert np.isnan(column[:FIRST_WINDOW]).all()
        assert np.isfinite(column[FIRST_WINDOW:]).all()
    assert len(window_metrics(np.empty(0))) == 0
    assert np.isnan(window_metrics(np.ones(69)).coherence).all()


@settings(max_examples=60)
@given(walks(60, most=1200), st.lists(st.integers(1, 400), min_size=1, max_size=12))
def test_a_stream_is_bitwise_equal_to_the_batch(bars: Bars, sizes: list[int]) -> None:
    mid, stream, at = bars.mid, KernelStream(capacity=8), 0
    while at < len(mid):
        for size in sizes:
            stream.extend(mid[at : at + size])
            at += size
    assert np.array_equal(stream.mid, mid)
    assert same(stream.metrics, window_metrics(mid))


def test_a_stream_after_a_drop_equals_one_that_began_there() -> None:
    mid, stream = random_walk(5, 900).mid, KernelStream()
    stream.extend(mid[:500])
    before = stream.metrics
    kept = before.coherence.copy()
    for drop in (0, 1, 300, 199):
        stream.drop(drop)
    stream.extend(mid[500:])
    assert same(stream.metrics, window_metrics(mid[500:]))
    assert np.array_equal(before.coherence, kept, equal_nan=True)


def test_returned_views_stay_valid_after_growth() -> None:
    mid, stream = random_walk(6, 600).mid, KernelStream(capacity=100)
    stream.extend(mid[:100])
    before = stream.metrics
    stream.extend(mid[100:])
    assert same(before, window_metrics(mid[:100]))


def test_the_live_window_is_the_batch_with_a_provisional_last_bar() -> None:
    mid = random_walk(7, 400).mid
    for provisional in (mid[-1], mid[-1] * 1.0003, mid[-1] * 0.9):
        extended = np.append(mid, provisional)
        tail = extended[-(FIRST_WINDOW + 1) :].copy()
        before = tail.copy()
        live, batch = live_window(tail), window_metrics(extended)
        assert np.array_equal(tail, before)
        for name in FIGURES:
            assert getattr(live, name) == getattr(batch, name)[-1]
        assert live == live_window(extended)


def test_the_live_window_refuses_too_few_mids() -> None:
    with pytest.raises(ValueError, match="69 mids; one window needs 70"):
        live_window(np.ones(69))


@settings(max_examples=60)
@given(walks(60, most=400))
def test_every_figure_stays_in_its_range(bars: Bars) -> None:
    metrics = window_metrics(bars.mid)
    for name, low, high in (
        ("coherence", 0.0, 1.0),
        ("stability", 0.0, 1.0),
        ("rupture", 0.0, 1.0),
        ("entropy", 0.05, 1.0),
        ("hazard", 0.0, 1.0),
        ("sigma_eff", 0.0, math.inf),
    ):
        column = getattr(metrics, name)[FIRST_WINDOW:]
        assert ((column >= low) & (column <= high)).all(), name


def test_a_window_does_not_depend_on_earlier_bars() -> None:
    mid = random_walk(8, 2000).mid
    whole = window_metrics(mid)
    for start in (1, 64, 257, 1500):
        part = window_metrics(mid[start:])
        for name in FIGURES:
            assert np.array_equal(
                getattr(part, name)[FIRST_WINDOW:], getattr(whole, name)[start + FIRST_WINDOW :]
            )


def test_sigma_has_no_trace_of_a_crash_that_left_the_window() -> None:
    """Running sums would keep the rounding error of a huge return."""
    quiet = 1.3 + 1e-6 * np.sin(np.arange(400))
    crashed = np.concatenate([[1e9, 1e-9, 1e9], quiet])
    assert np.array_equal(
        window_metrics(crashed).sigma_eff[-300:], window_metrics(quiet).sigma_eff[-300:]
    )


@pytest.mark.parametrize("growth", [1.0, 1.00001, 1.001, 1.019, 1.03, 1.5])
def test_a_steady_climb_has_no_sigma(growth: float) -> None:
    sigma = window_metrics(growth ** np.arange(120.0)).sigma_eff[FIRST_WINDOW:]
    assert sigma == pytest.approx(0.0, abs=1e-15)


def test_constant_prices_are_all_null_events() -> None:
    metrics = window_metrics(np.full(100, 1.25))
    assert metrics.rupture[-1] == metrics.hazard[-1] == metrics.sigma_eff[-1] == 0.0
    assert metrics.entropy[-1] == 0.05
    assert metrics.coherence[-1] == pytest.approx(0.7 * 0.97 + 0.3)


def test_damping_takes_50_values() -> None:
    tables = kernel_tables()
    assert len(tables.decay) == 50 * 8 * 4
    assert len(tables.byte_sums) == 50 * 256 * 4


def test_the_machine_code_cache_checks_every_source_file() -> None:
    """numba itself checks only the file of the function and would run stale code."""
    folder = Path(jit.__file__).parent
    watched = {path.stem for pattern in jit._COMPILED for path in folder.glob(pattern)}
    compiled = {p.stem for p in folder.glob("*.py") if "@jit\n" in p.read_text()}
    imported = {
        str(node.module).rpartition(".")[2]
        for name in compiled
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sep_evaluator.domain.")
    }
    assert {"kernel_loops", "backtest_loop", "drawdown"} <= compiled <= watched
    assert imported <= watched


@settings(max_examples=40)
@given(walks(60, most=250), st.integers(1, 90), st.sampled_from([0.0, 0.5, 2.0]))
def test_momentum_is_the_sign_of_a_slope_above_the_threshold(
    bars: Bars, lookback: int, least: float
) -> None:
    params = StrategyParams(direction_lookback=lookback, dir_threshold_bps=least)
    mid = bars.mid
    coherence = window_metrics(mid).coherence
    slope, direction = momentum(mid, coherence, params)
    for t in range(len(mid)):
        if t < lookback:
            assert np.isnan(slope[t])
            assert direction[t] == 0
            continue
        expected = 1e4 * (mid[t] / mid[t - lookback] - 1)
        assert slope[t] == pytest.approx(expected, abs=1e-12)
        counts = abs(expected) >= least and coherence[t] >= coherence[t - lookback]
        assert direction[t] == (np.sign(expected) if counts else 0)

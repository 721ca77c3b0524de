"""Window metrics, the live cycle and the first result, against their goals."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

import numpy as np
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.kernel import FIRST_WINDOW, KernelStream, live_window, window_metrics
from sep_evaluator.domain.kernel_tables import Floats
from sep_evaluator.domain.params import StrategyParams
from sep_fx.bars import Bars
from sep_fx.sessions import SessionCalendar

from bench.minutes import series
from bench.runner import Figure, Options, best_seconds

TITLE = "kernel: window metrics, live cycle, first result"

_REPOSITORY = Path(__file__).parents[1]
_FIRST_RESULT = """
import time
started = time.perf_counter()
import numpy as np
from sep_evaluator.domain.kernel import window_metrics
window_metrics(1.3 + 1e-4 * np.sin(np.arange(500.0)))
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.params import StrategyParams
from sep_fx.bars import Bars
from sep_fx.sessions import SessionCalendar
p = 1.3 + 1e-4 * np.sin(np.arange(500.0))
run = StrictSpanRun(StrategyParams(), 60, "EUR_USD", SessionCalendar(), 5)
run.extend(Bars(np.arange(500) * 60, *[p] * 8, np.ones(500, np.int64)))
run.spans()
print(time.perf_counter() - started)
"""


def measure(options: Options) -> list[Figure]:
    """All figures of this suite."""
    return [*_throughput(options), *_single(options), *_cycles(options), *_first_result()]


def _throughput(options: Options) -> list[Figure]:
    bars, kind = series(1, 200_000)
    mid = bars["I00_USD"].mid
    windows = len(mid) - FIRST_WINDOW
    metrics = window_metrics(mid)
    rate = windows / best_seconds(lambda: window_metrics(mid), 10 * options.repeats)
    part = mid[:20_000]
    vector = (len(part) - FIRST_WINDOW) / best_seconds(lambda: _vectorised(part), 2)
    plain = _reference()
    checked = range(FIRST_WINDOW, FIRST_WINDOW + (200 if options.quick else 1000))
    prices = mid[: checked.stop].tolist()
    started = time.perf_counter()
    slow = [plain.window(prices, t) for t in checked]
    slow_rate = len(checked) / (time.perf_counter() - started)
    worst = max(
        abs(float(getattr(metrics, name)[t]) - figures[name])
        for t, figures in zip(checked, slow, strict=True)
        for name in figures
    )
    long = series(1, 2_000_000)[0]["I00_USD"].mid
    long_rate = (len(long) - FIRST_WINDOW) / best_seconds(
        lambda: window_metrics(long), options.repeats
    )
    return [
        Figure("windows, six figures, one core", rate / 1e6, "M/s", 20.0, note=kind),
        Figure("the same, 2,000,000 bars at once", long_rate / 1e6, "M/s", 80.0),
        Figure("the same", rate / 1e6, "M/s", vector / 1e6, "numpy, vectorised"),
        Figure("the same", rate / 1e6, "M/s", slow_rate / 1e6, "plain Python"),
        Figure("largest difference from plain Python", worst, "", 1e-9, "goal", True),
    ]


def _single(options: Options) -> list[Figure]:
    mid = series(1, 5000)[0]["I00_USD"].mid
    stream = KernelStream(capacity=200_000)
    stream.extend(mid)
    one = mid[:1]

    def append() -> None:
        for _ in range(1000):
            stream.extend(one)

    def live() -> None:
        for _ in range(1000):
            live_window(mid[-70:])

    return [
        Figure("one more bar, six figures", best_seconds(append, options.repeats) * 1e3, "us"),
        Figure("a live window", best_seconds(live, options.repeats) * 1e3, "us"),
    ]


def _cycles(options: Options) -> list[Figure]:
    """One candle for every instrument, then its spans, integrity and momentum."""
    figures = []
    minutes = 60 if options.quick else 300
    for count, goal_ms in ((8, 50.0), (68, 400.0)):
        length = 90 * 1440 * 5 // 7
        bars, _ = series(count, length + minutes)
        calendar = SessionCalendar()
        runs = {}
        started = time.perf_counter()
        for instrument, whole in bars.items():
            run = StrictSpanRun(StrategyParams(), 60, instrument, calendar, 5, long_run_days=90)
            run.extend(whole.slice(0, length))
            runs[instrument] = run
        built = time.perf_counter() - started
        taken = [_cycle(runs, bars, length + i) for i in range(minutes)]
        p50, p99 = np.percentile(taken, [50, 99])
        note = f"numeric core alone; median {p50 * 1e3:.1f} ms; history built in {built:.1f} s"
        name = f"new candle on {count} instruments x 90 days, p99"
        figures.append(Figure(name, float(p99) * 1e3, "ms", goal_ms, "goal", True, note))
    return figures


def _cycle(runs: dict[str, StrictSpanRun], bars: dict[str, Bars], at: int) -> float:
    candles = {instrument: whole.slice(at, at + 1) for instrument, whole in bars.items()}
    started = time.perf_counter()
    for instrument, run in runs.items():
        run.extend(candles[instrument])
        run.spans()
        run.integrity()
        _ = run.momentum
    return time.perf_counter() - started


def _first_result() -> list[Figure]:
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        cold, warm = (
            float(
                subprocess.run(
                    [sys.executable, "-c", _FIRST_RESULT],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _ in range(2)
        )
    return [
        Figure("first result of a new process", warm, "s", 5.0, "goal", True),
        Figure("first result ever (compiling)", cold, "s", note="once per machine, then cached"),
    ]


def _reference() -> ModuleType:
    path = _REPOSITORY / "services" / "evaluator" / "tests" / "reference.py"
    spec = importlib.util.spec_from_file_location("kernel_reference", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses looks the module up there
    spec.loader.exec_module(module)
    return module


def _vectorised(mid: Floats) -> tuple[Floats, ...]:
    """The same six figures in vectorised numpy, which computes every window in full."""
    step, trend = mid[6:] - mid[5:-1], mid[6:] - mid[:-6]
    step[np.abs(step) < 1e-9] = 0
    trend[np.abs(trend) < 1e-9] = 0
    bits = np.lib.stride_tricks.sliding_window_view((step * trend < 0).astype(np.int8), 64)
    rupture = (bits[:, :-1] & bits[:, 1:]).astype(bool)
    flip = bits[:, :-1] != bits[:, 1:]

    def entropy(ruptures: Floats, flips: Floats) -> Floats:
        kinds = np.stack([1 - ruptures - flips, flips, ruptures])
        logs = np.log2(kinds, out=np.zeros_like(kinds), where=kinds > 0)
        clipped: Floats = np.clip(-(kinds * logs).sum(axis=0) / np.log2(3), 0.05, 1)
        return clipped

    r, f = rupture.mean(axis=1), flip.mean(axis=1)
    h = entropy(r, f)
    head = entropy(rupture[:, :19].mean(axis=1), flip[:, :19].mean(axis=1))
    damping = np.clip(0.5 * head, 0.01, 1)
    decay = np.exp(-damping[:, None] * np.arange(64))
    v = np.cumsum((bits - bits[:, :1]) * decay, axis=1)
    v[:, 0] = bits[:, 0]
    pattern = np.clip(0.6 * (1 - h) + 0.3 * (1 - r) + 0.1 * (1 - f), 0.01, 0.99)
    c = 0.7 * pattern + 0.3 / (1 + v.var(axis=1))
    end = np.abs(v[:, 63])
    c = np.clip(np.where(end < 2, c / (1 + 0.1 * end), c), 0, 1)
    calm = ~rupture[:, :-1]
    hazard = (rupture[:, 1:] & calm).sum(axis=1) / np.maximum(calm.sum(axis=1), 1)
    returns = np.lib.stride_tricks.sliding_window_view(np.diff(np.log(mid))[5:], 64)
    return c, 1 - r, r, h, hazard, returns.std(axis=1)

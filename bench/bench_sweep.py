"""Sweep of 28 instruments x 25 combinations x 20,000 minutes, compared with other backtesters."""

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sep_evaluator.cli.sweep import Market, SweepRow, combinations, sweep
from sep_evaluator.domain.kernel import WindowMetrics, momentum, window_metrics
from sep_evaluator.domain.kernel_tables import Floats
from sep_evaluator.domain.params import StrategyParams
from sep_fx.bars import Bars
from sep_fx.sessions import MarketCalendar, SessionCalendar

from bench.minutes import series
from bench.runner import Figure, Options, best_seconds

TITLE = "sweep: 28 instruments x 25 combinations x 20,000 minutes, five summary figures each"

os.environ["TQDM_DISABLE"] = "1"  # backtesting.py's progress bars would be printed into our table

_INSTRUMENTS, _BARS = 28, 20_000
_GRID = {"c_min": [0.5, 0.52, 0.54, 0.55, 0.56], "max_entropy": [0.75, 0.8, 0.85, 0.9, 1.0]}
_NEAR = [0.53 + i / 500 for i in range(25)]
_LONG = 700_000
_MARKET = Market(granularity_s=60, calendar=SessionCalendar(MarketCalendar.ALWAYS), exit_minutes=5)

# Runs each combination and returns its number of trades; computes the other figures as well.
Peer = Callable[[Bars, WindowMetrics, Sequence[StrategyParams]], list[int]]


def measure(options: Options) -> list[Figure]:
    """All figures of this suite."""
    bars, kind = series(_INSTRUMENTS, _BARS)
    grid = combinations(_GRID)
    work = _INSTRUMENTS * len(grid) * _BARS

    def run(workers: int) -> list[SweepRow]:
        return list(sweep(bars.items(), grid, _MARKET, workers=workers))

    rows = run(2)
    trades = sum(row.summary.trades for row in rows) / len(rows)
    both = work / best_seconds(lambda: run(2), 2 * options.repeats) / 1e6
    one = work / best_seconds(lambda: run(1), options.repeats) / 1e6
    note = f"metrics included; {kind}; {trades:.0f} trades a run"
    figures = [
        Figure("two cores", both, "M bars/s", 100.0, note=note),
        Figure("one core", one, "M bars/s"),
    ]
    near = combinations({"c_min": _NEAR})
    near_defaults = best_seconds(
        lambda: list(sweep(bars.items(), near, _MARKET, workers=2)), options.repeats
    )
    figures.append(
        Figure("two cores, near the defaults", work / near_defaults / 1e6, "M bars/s", 100.0)
    )
    figures += _long_tape(options)
    for name, prepare, instruments, combos in (
        ("vectorbt", _vectorbt, 1 if options.quick else 4, len(grid)),
        ("backtesting.py", _backtesting, 1, 1 if options.quick else 3),
    ):
        figures.append(_compare(name, prepare, bars, grid[:combos], instruments, rows, one))
    return figures


def _long_tape(options: Options) -> list[Figure]:
    """The loop alone: what the other sets of a grid add to the first one."""
    bars, _ = series(1, _LONG)
    figures = []
    for kind, sets in (("wide", _GRID), ("near the defaults", {"c_min": _NEAR})):
        grid = combinations(sets)

        def seconds(of: Sequence[StrategyParams]) -> float:
            return best_seconds(
                lambda: list(sweep(bars.items(), of, _MARKET, workers=1)), options.repeats
            )

        loop = seconds(grid) - seconds(grid[:1])
        rate = (len(grid) - 1) * _LONG / loop / 1e6
        figures.append(Figure(f"loop on 700,000 bars, one core, {kind}", rate, "M bars/s", 450.0))
    return figures


def _compare(
    name: str,
    prepare: Callable[[], Peer],
    bars: Mapping[str, Bars],
    grid: Sequence[StrategyParams],
    instruments: int,
    rows: Sequence[SweepRow],
    ours: float,
) -> Figure:
    """One core of ours against one of the peer, on the part of the sweep that it soon finishes."""
    try:
        peer = prepare()
    except ImportError as error:
        return Figure(f"compared with {name}", None, "", note=f"not measured: {error}")
    names = list(bars)[:instruments]
    metrics = {i: window_metrics(bars[i].mid) for i in names}  # given to the peer for free
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer(bars[names[0]].slice(0, 2000), window_metrics(bars[names[0]].mid[:2000]), grid)
        started = time.perf_counter()
        counts = [count for i in names for count in peer(bars[i], metrics[i], grid)]
        taken = time.perf_counter() - started
    rate = instruments * len(grid) * _BARS / taken / 1e6
    wanted = dict.fromkeys(grid)
    expected = [r.summary.trades for r in rows if r.instrument in names and r.params in wanted]
    note = (
        f"{instruments} x {len(grid)} runs, metrics given; "
        f"{np.mean(counts):.0f} trades a run, ours {np.mean(expected):.0f}"
    )
    return Figure(f"one core, compared with {name}", ours, "M bars/s", rate, name, note=note)


def _signals(
    bars: Bars, metrics: WindowMetrics, params: StrategyParams
) -> tuple[Floats, Floats, Floats]:
    """Entry side and broken flag at each bar, and the stop distance as a share of the mid."""
    _, direction = momentum(bars.mid, metrics.coherence, params)
    broken = (metrics.rupture > params.max_rupture) | (metrics.stability < params.min_stability)
    distance = params.bracket_sigma_k * metrics.sigma_eff * np.sqrt(params.bracket_horizon_bars)
    spread = (bars.ask_c - bars.bid_c) / bars.mid
    allowed = (
        ~broken
        & (metrics.coherence >= params.c_min)
        & (metrics.entropy <= params.max_entropy)
        & (1e4 * spread <= params.max_spread_bps)
        & (distance >= params.min_stop_spreads * spread)
    )
    return np.where(allowed, direction, 0), np.where(broken, 2, direction), distance


def _vectorbt() -> Peer:
    """vectorbt, vectorised over the combinations.

    It has no cooldown, fills across gaps, trades at the mid with the spread as slippage, and fills
    stops without regard to bid and ask.
    """
    import vectorbt as vbt  # type: ignore[import-not-found, unused-ignore]

    def run(bars: Bars, metrics: WindowMetrics, grid: Sequence[StrategyParams]) -> list[int]:
        def later(column: Any) -> Any:
            return np.vstack([np.zeros((1, column.shape[1]), column.dtype), column[:-1]])

        entry, state, distance = (
            np.stack(columns, axis=1)
            for columns in zip(*(_signals(bars, metrics, p) for p in grid), strict=True)
        )
        entry, state = later(entry), later(state)
        stop = np.nan_to_num(later(distance), nan=0.01)
        mids = {
            name: ((getattr(bars, f"bid_{name}") + getattr(bars, f"ask_{name}")) / 2)[:, None]
            for name in "ohlc"
        }
        portfolio = vbt.Portfolio.from_signals(
            close=np.repeat(mids["c"], len(grid), axis=1),
            open=mids["o"],
            high=mids["h"],
            low=mids["l"],
            price=mids["o"],
            entries=entry > 0,
            short_entries=entry < 0,
            exits=(state == -1) | (state == 2),
            short_exits=(state == 1) | (state == 2),
            slippage=((bars.ask_o - bars.bid_o) / 2 / mids["o"][:, 0])[:, None],
            sl_stop=stop,
            tp_stop=stop * np.array([p.reward_risk for p in grid]),
            upon_opposite_entry="close",
            size=1.0,
            init_cash=1e6,
            freq="1min",
        )
        profit, fall = portfolio.total_profit(), portfolio.max_drawdown()
        _ = portfolio.trades.win_rate(), profit / fall
        return [int(count) for count in portfolio.trades.count()]

    return run


def _backtesting() -> Peer:
    """backtesting.py: one Python loop a run, one constant spread, fills at the next open."""
    import pandas as pd  # type: ignore[import-not-found, import-untyped, unused-ignore]
    from backtesting import Backtest, Strategy  # type: ignore[import-not-found, unused-ignore]

    def run(bars: Bars, metrics: WindowMetrics, grid: Sequence[StrategyParams]) -> list[int]:
        frame = pd.DataFrame(
            {
                "Open": (bars.bid_o + bars.ask_o) / 2,
                "High": (bars.bid_h + bars.ask_h) / 2,
                "Low": (bars.bid_l + bars.ask_l) / 2,
                "Close": (bars.bid_c + bars.ask_c) / 2,
            },
            index=pd.to_datetime(bars.time, unit="s"),
        )
        spread = float(np.median((bars.ask_c - bars.bid_c) / bars.mid))
        return [_one(frame, spread, _signals(bars, metrics, params), params) for params in grid]

    def _one(frame: Any, spread: float, signals: tuple[Floats, ...], params: StrategyParams) -> int:
        entry, state, distance = signals

        class Strict(Strategy):  # type: ignore[misc, unused-ignore]
            def init(self) -> None:
                pass

            def next(self) -> None:
                t = len(self.data) - 1
                if self.position:
                    side = 1 if self.position.is_long else -1
                    if state[t] in (-side, 2):
                        self.position.close()
                elif entry[t]:
                    price, reach = float(self.data.Close[-1]), float(distance[t])
                    far = reach * params.reward_risk
                    if entry[t] > 0:
                        self.buy(size=1, sl=price * (1 - reach), tp=price * (1 + far))
                    else:
                        self.sell(size=1, sl=price * (1 + reach), tp=price * (1 - far))

        figures = Backtest(frame, Strict, cash=1e6, spread=spread).run()
        return int(figures["# Trades"])

    return run

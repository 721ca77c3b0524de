"""The commands ``windows``, ``backtest`` and ``sweep``: read candles, compute, write JSON."""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import chain

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from sep_fx.candle_csv import candle_files
from sep_fx.instants import format_seconds

from sep_evaluator.cli.files import (
    CommandFailedError,
    UsageError,
    json_array,
    parsed_series,
    read_bars,
    write_out,
)
from sep_evaluator.cli.inputs import grid_of, instrument_of, market_of, params_of
from sep_evaluator.cli.sweep import sweep as run_sweep
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.backtest_state import REASONS
from sep_evaluator.domain.kernel import FIRST_WINDOW, window_metrics


def windows(arguments: argparse.Namespace) -> None:
    """Write the metrics of every window of a candle file."""
    bars = read_bars(arguments.candles, skip_bad=arguments.skip_bad)

    mid = bars.mid
    metrics = window_metrics(mid)
    rows = (
        {
            "index": i,
            "time": format_seconds(int(bars.time[i])),
            "mid": float(mid[i]),
            "coherence": float(metrics.coherence[i]),
            "stability": float(metrics.stability[i]),
            "rupture": float(metrics.rupture[i]),
            "entropy": float(metrics.entropy[i]),
            "lambda": float(metrics.hazard[i]),
            "sigma_eff": float(metrics.sigma_eff[i]),
        }
        for i in range(FIRST_WINDOW, len(bars))
    )
    write_out(arguments.json, json_array(rows))


def backtest(arguments: argparse.Namespace) -> None:
    """Write the summary and all trades of one strict-span run."""
    params = params_of(arguments.params)
    market = market_of(arguments, arguments.candles)
    instrument = instrument_of(arguments)
    bars = read_bars(arguments.candles, skip_bad=arguments.skip_bad)

    run = StrictSpanRun(
        params, market.granularity_s, instrument, market.calendar, market.exit_minutes,
        costs=market.costs.of(instrument),
    )  # fmt: skip
    run.extend(bars)
    summary = run.summary()
    result = {
        "instrument": instrument,
        "source": arguments.candles.name,
        "market_calendar": arguments.market_calendar,
        "params": params.as_dict(),
        "trades": summary.trades,
        "wins": summary.wins,
        "win_rate": summary.win_rate,
        "pnl_total": summary.pnl_total,
        "max_drawdown": summary.max_drawdown,
        "calmar": summary.calmar,
        "all": [
            {
                "entry_time": format_seconds(int(trade["entry_time"])),
                "exit_time": format_seconds(int(trade["exit_time"])),
                "side": int(trade["side"]),
                "entry": float(trade["entry"]),
                "exit": float(trade["exit"]),
                "ret": float(trade["ret"]),
                "reason": REASONS[trade["reason"]],
            }
            for trade in run.trades
        ],
    }
    write_out(arguments.json, [json.dumps(result, indent=1), "\n"])


def sweep(arguments: argparse.Namespace) -> None:
    """Write the summary of every parameter combination on every instrument."""
    if arguments.workers < 1:
        raise UsageError("--workers is below 1; give the number of cores to use")
    names, grid = grid_of(arguments.grid)
    try:
        files = candle_files(arguments.candles)
    except OSError as error:
        raise CommandFailedError(f"{error}; give --candles a directory of candle files") from None
    market = market_of(arguments, next(iter(files.values()))[0])

    results = []
    with ExitStack() as stack:
        file_read, runs_done = stack.enter_context(_progress_bars(len(files), len(grid)))
        series = parsed_series(
            files, skip_bad=arguments.skip_bad, workers=arguments.workers, progress=file_read
        )
        stack.enter_context(closing(series))
        rows = run_sweep(series, grid, market, workers=arguments.workers, progress=runs_done)
        stack.enter_context(closing(rows))
        for row in rows:
            summary, params = row.summary, row.params.as_dict()
            results.append(
                {
                    "instrument": row.instrument,
                    "params": {name: params[name] for name in names},
                    "trades": summary.trades,
                    "win_rate": summary.win_rate,
                    "pnl_total": summary.pnl_total,
                    "max_drawdown": summary.max_drawdown,
                    "calmar": summary.calmar,
                }
            )
    head = {
        "market_calendar": arguments.market_calendar,
        "granularity_seconds": market.granularity_s,
        "instruments": list(files),
        "combinations": len(grid),
    }
    opening = json.dumps(head)[:-1] + ', "results": '
    write_out(arguments.json, chain([opening], json_array(results, end="}\n")))


@contextmanager
def _progress_bars(
    files: int, grid: int
) -> Iterator[tuple[Callable[[], None], Callable[[int], None]]]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        reading = progress.add_task("candle files", total=files)
        running = progress.add_task("backtests", total=files * grid)
        yield (
            lambda: progress.advance(reading),
            lambda count: progress.advance(running, count),
        )

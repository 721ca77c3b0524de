"""Command line of the numeric core: ``windows``, ``backtest`` and ``sweep`` over candle files.

Exit codes: 0 done, 1 the work could not be done, 2 the command was wrong, 130 interrupted.
Errors are one line on stderr. Nothing heavy is imported before a command runs, so that
``--help`` answers at once.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sep_evaluator.cli_io import (
    FailedError,
    WrongUseError,
    json_array,
    parsed_series,
    read_bars,
    write_out,
)

if TYPE_CHECKING:
    from sep_evaluator.domain.params import StrategyParams
    from sep_evaluator.sweep import Market

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except WrongUseError as error:
        return _say(error, USAGE)
    except FailedError as error:
        return _say(error, FAILED)
    except BrokenPipeError:
        # Whoever read stdout has enough; keep the interpreter from flushing into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _say("interrupted, nothing was written", INTERRUPTED)
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="sep-evaluator", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    windows = commands.add_parser("windows", help="the metrics of every window of a candle file")
    _add_candles(windows)
    windows.set_defaults(run=_windows)

    backtest = commands.add_parser("backtest", help="one strict-span run over a candle file")
    _add_candles(backtest)
    backtest.add_argument(
        "--params",
        default="{}",
        metavar="JSON",
        help="parameters as a JSON object, or @FILE that holds one; defaults for the rest",
    )
    backtest.add_argument(
        "--instrument", help="where the file's name does not begin with it, e.g. EUR_USD"
    )
    _add_market(backtest)
    backtest.set_defaults(run=_backtest)

    sweep = commands.add_parser("sweep", help="every combination of a grid on every instrument")
    sweep.add_argument(
        "--candles",
        required=True,
        type=Path,
        metavar="DIR",
        help="directory of files named like EUR_USD_M1_2014-05.csv.gz",
    )
    sweep.add_argument(
        "--grid",
        required=True,
        type=Path,
        metavar="YAML",
        help="file that maps parameter names to a value or a list of values",
    )
    _add_output(sweep)
    _add_market(sweep)
    sweep.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="cores to use, by default all"
    )
    sweep.set_defaults(run=_sweep)
    return parser


def _add_candles(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--candles", required=True, type=Path, metavar="FILE", help="candle CSV, gzipped or not"
    )
    _add_output(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", required=True, metavar="OUT", help="where to write; - for stdout")
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave malformed rows out and report their number instead of refusing the file",
    )


def _add_market(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--market-calendar",
        choices=("fx", "24x7"),
        default="fx",
        help="sessions of the FX week (default), or a market that is always open",
    )
    parser.add_argument(
        "--granularity", metavar="G", help="length of a bar: by default from the file's name, or M1"
    )
    parser.add_argument(
        "--exit-minutes",
        type=float,
        default=5.0,
        metavar="N",
        help="leave this long before a session's close (default 5)",
    )


def _windows(arguments: argparse.Namespace) -> None:
    bars = read_bars(arguments.candles, skip_bad=arguments.skip_bad)
    from sep_fx.instants import format_seconds

    from sep_evaluator.domain.kernel import FIRST_WINDOW, window_metrics

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


def _backtest(arguments: argparse.Namespace) -> None:
    params = _params(arguments.params)
    market = _market(arguments, arguments.candles)
    instrument = _instrument(arguments)
    bars = read_bars(arguments.candles, skip_bad=arguments.skip_bad)
    from sep_fx.instants import format_seconds

    from sep_evaluator.domain.backtest import StrictSpanRun
    from sep_evaluator.domain.backtest_state import REASONS

    run = StrictSpanRun(
        params, market.granularity_s, instrument, market.calendar, market.exit_minutes
    )
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


def _sweep(arguments: argparse.Namespace) -> None:
    from sep_fx.candle_csv import candle_files

    if arguments.workers < 1:
        raise WrongUseError("--workers is below 1; give the number of cores to use")
    names, grid = _grid(arguments.grid)
    try:
        files = candle_files(arguments.candles)
    except OSError as error:
        raise FailedError(f"{error}; give --candles a directory of candle files") from None
    market = _market(arguments, next(iter(files.values()))[0])
    from sep_evaluator.sweep import sweep

    results = []
    with ExitStack() as stack:
        read, done = stack.enter_context(_progress(len(files), len(grid)))
        series = parsed_series(
            files, skip_bad=arguments.skip_bad, workers=arguments.workers, progress=read
        )
        stack.enter_context(closing(series))
        rows = sweep(series, grid, market, workers=arguments.workers, progress=done)
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
def _progress(files: int, grid: int) -> Iterator[tuple[Callable[[], None], Callable[[int], None]]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

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


def _params(text: str) -> "StrategyParams":
    from sep_evaluator.domain.params import StrategyParams

    try:
        if text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("expected a JSON object")
        return StrategyParams.from_mapping(fields)
    except (OSError, ValueError) as error:
        raise WrongUseError(f"--params: {error}") from None


def _grid(path: Path) -> "tuple[list[str], list[StrategyParams]]":
    import yaml

    from sep_evaluator.sweep import combinations

    try:
        grid = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(grid, dict) or not grid:
            raise ValueError("expected parameter names, each with a value or a list of values")
        return list(grid), combinations(grid)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise WrongUseError(f"--grid: {' '.join(str(error).split())}") from None


def _market(arguments: argparse.Namespace, path: Path) -> "Market":
    from sep_fx.granularity import Granularity
    from sep_fx.sessions import MarketCalendar, SessionCalendar

    from sep_evaluator.sweep import Market

    named = path.name.split("_")[2:3]
    name = arguments.granularity or (named[0].split(".")[0] if named else "M1")
    if name not in list(Granularity):
        if arguments.granularity:
            known = ", ".join(Granularity)
            raise WrongUseError(f"--granularity is {name!r}, allowed are {known}")
        name = "M1"
    if not 0 <= arguments.exit_minutes <= 1440:
        raise WrongUseError(f"--exit-minutes is {arguments.exit_minutes}, allowed is 0 to 1440")
    calendar = SessionCalendar(MarketCalendar(arguments.market_calendar))
    return Market(Granularity(name).seconds, calendar, arguments.exit_minutes)


def _instrument(arguments: argparse.Namespace) -> str:
    from sep_fx.candle_csv import instrument_of
    from sep_fx.instrument import is_instrument_name

    if arguments.instrument is None:
        try:
            return instrument_of(arguments.candles)
        except ValueError as error:
            if arguments.market_calendar == "24x7":
                return "UNNAMED"
            raise WrongUseError(f"{error}; say --instrument") from None
    name: str = arguments.instrument
    if not is_instrument_name(name):
        raise WrongUseError(f"--instrument is {name!r}, write it like EUR_USD")
    return name


def _say(message: object, code: int) -> int:
    print(f"sep-evaluator: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Arguments, exit codes and error messages of ``sep-research``."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sep_fx.granularity import Granularity
from sep_fx.instants import parse_day_or_time
from sep_fx.sessions import MarketCalendar

from sep_research.errors import ResearchError, SchedulerUnreachableError, StackUnreachableError
from sep_research.folds import WalkForward, seconds_of

if TYPE_CHECKING:
    from sep_research.engine import Engine

OK, FAILED, NO_ANSWER, INTERRUPTED = 0, 1, 69, 130

_EPILOG = """\
  sep-research sweep catalogue --grid grid.yaml --walk-forward 60d/30d --null 99 --out run
  sep-research repeat run catalogue --out again
  sep-research report live --from 2026-01-01 --out live.html

exit codes: 0 done, whatever the verdict; 1 failed; 2 wrong usage; 69 no scheduler or stack answers
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    args = _parser().parse_args(argv)
    # Imported here: --help and wrong usage need not wait for the numeric packages.
    from sep_data.errors import DataError

    from sep_research import commands

    try:
        with _progress() as progress:
            lines = commands.COMMANDS[args.command](args, _engine(args), progress)
        print(*lines, sep="\n")
    except (SchedulerUnreachableError, StackUnreachableError) as error:
        return _fail(error, NO_ANSWER)
    except (ResearchError, DataError, OSError) as error:
        return _fail(error, FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was written", INTERRUPTED)
    return OK


def _engine(args: argparse.Namespace) -> "Engine":
    from sep_research.engine import ClusterEngine, ThreadEngine

    return ClusterEngine(args.scheduler) if args.scheduler else ThreadEngine(args.workers)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sep-research",
        description="Search for parameters, and judge what was found.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sweep = commands.add_parser("sweep", help="every combination of a grid on every instrument")
    sweep.add_argument("catalogue", type=Path, metavar="CATALOGUE")
    sweep.add_argument(
        "--grid", required=True, type=Path, metavar="YAML",
        help="file that maps parameter names to a value or a list of values",
    )  # fmt: skip
    sweep.add_argument(
        "--adaptive", type=_sets, metavar="N",
        help="let Optuna choose N sets of the grid by their training windows, instead of all",
    )  # fmt: skip
    sweep.add_argument(
        "--walk-forward", type=_windows, default="60d/30d", metavar="TRAIN/TEST",
        help="lengths of training and test windows (default %(default)s)",
    )  # fmt: skip
    sweep.add_argument(
        "--embargo", type=_span, default="1d", metavar="SPAN",
        help="between training and test, at least the longest holding (default %(default)s)",
    )  # fmt: skip
    sweep.add_argument("--anchored", action="store_true", help="training begins with the candles")
    sweep.add_argument(
        "--null", type=_count, default=99, metavar="N",
        help="null tapes to compare with; below 19 nothing is promoted (default 99)",
    )  # fmt: skip
    sweep.add_argument(
        "--market-calendar", choices=[c.value for c in MarketCalendar], default="fx",
        help="sessions of the FX week (default), or a market that is always open",
    )  # fmt: skip
    sweep.add_argument("--exit-minutes", type=_minutes, default=5.0, metavar="N")
    sweep.add_argument("--seed", type=_count, default=1, help="of the null runs (default 1)")
    sweep.add_argument("--instruments", type=lambda t: t.split(","), default=[], metavar="A_B,C_D")
    sweep.add_argument("--granularity", type=_granularity, help="where the catalogue has several")
    for name, target in (("--from", "since"), ("--to", "until")):
        sweep.add_argument(name, dest=target, type=_instant, metavar="TIME", help="2026-01-01")
    sweep.add_argument(
        "--costs", metavar="SPEC",
        help="beside the spread: journal (as live trades had them), a JSON file by instrument, or "
        "slippage_bps=0.2,slippage_spreads=0.1,financing_bps=0.5,delay_sec=60 (default: none)",
    )  # fmt: skip
    _add_url(sweep)
    _add_running(sweep)
    repeat = commands.add_parser("repeat", help="run again what a manifest describes")
    repeat.add_argument("run", type=Path, metavar="RUN")
    repeat.add_argument("catalogue", type=Path, metavar="CATALOGUE")
    _add_running(repeat)
    report = commands.add_parser("report", help="one HTML file of a replay's or the live results")
    report.add_argument("source", metavar="RUN|live", help="folder of a replay, or live")
    report.add_argument("--out", required=True, type=Path, metavar="FILE", help="a new file")
    for name, target in (("--from", "since"), ("--to", "until")):
        report.add_argument(
            name, dest=target, type=_instant, metavar="TIME", help="of live results"
        )
    report.add_argument(
        "--candles", type=Path, metavar="CATALOGUE", help="draw the trades on these candles"
    )
    report.add_argument("--granularity", type=_granularity, help="where the catalogue has several")
    _add_url(report)
    report.set_defaults(scheduler=None, workers=1)
    return parser


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url", default=os.environ.get("SEP_URL", "http://127.0.0.1:8000"),
        help="where Envoy listens, for the journal; SEP_URL, or %(default)s",
    )  # fmt: skip


def _add_running(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="a new folder")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster, such as tcp://10.0.0.1:8786"
    )
    parser.add_argument(
        "--workers", type=_workers, default=os.cpu_count() or 1, metavar="N",
        help="threads, without a cluster (default: one a core)",
    )  # fmt: skip


@contextmanager
def _progress() -> "Iterator[Callable[[int, int], None]]":
    from rich.console import Console
    from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sweep", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _windows(text: str) -> WalkForward:
    train, slash, test = text.partition("/")
    if not slash:
        raise argparse.ArgumentTypeError(f"{text!r} is not TRAIN/TEST like 60d/30d")
    return WalkForward(train_s=_span(train), test_s=_span(test), embargo_s=0)


def _span(text: str) -> int:
    try:
        seconds = seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return seconds


def _number(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
    return value


def _count(text: str) -> int:
    return _number(text, 0, 1_000_000)


def _sets(text: str) -> int:
    return _number(text, 2, 1_000_000)


def _workers(text: str) -> int:
    return _number(text, 1, 1024)


def _minutes(text: str) -> float:
    return float(_number(text, 0, 1440))


def _granularity(text: str) -> Granularity:
    if text not in list(Granularity):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed are {', '.join(Granularity)}")
    return Granularity(text)


def _instant(text: str) -> int:
    try:
        return parse_day_or_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fail(message: object, code: int) -> int:
    print(f"sep-research: {message}", file=sys.stderr)
    return code

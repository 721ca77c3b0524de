"""``sep-replay``: see the effect of a knob on recorded candles before it goes live."""

import argparse
import json
import os
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sep_fx.granularity import Granularity
from sep_fx.instants import parse_day_or_time
from sep_kit.settings.loading import load_settings

from sep_replay.command_line import (
    add_set_option,
    given_settings,
    report_console,
    run_reporting_errors,
)

_EPILOG = """\
Knobs come from the environment, as for the services, or with --set:

  sep-replay candles/ --set ALLOC_TOP_K=1 --set HYSTERESIS_DEFAULT=0.2 --json log.json

Files are named like EUR_USD_M1_2014-05.csv.gz, with the columns
time,bid_o,bid_h,bid_l,bid_c,ask_o,ask_h,ask_l,ask_c. Instead of a folder of files, a catalogue of
sep-data will do. The same candles and knobs give the same output. Two runs are compared by

  sep-replay catalogue/ --out old
  sep-replay catalogue/ --params winners.json --out new
  sep-replay compare old new

What was traded is compared with the replay of its day by

  sep-replay parity --day 2026-03-02
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command: 0 played, 1 not playable, 2 bad arguments, 130 interrupted."""
    given = sys.argv[1:] if argv is None else argv
    if given[:1] == ["compare"]:
        return _compare_main(given[1:])
    if given[:1] == ["parity"]:
        from sep_replay.parity.command import parity_main

        return parity_main(given[1:])
    args = _parser().parse_args(given)
    return run_reporting_errors(lambda: _replay(args))


def _compare_main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="sep-replay compare", description="Compare two runs that --out wrote."
    )
    parser.add_argument("a", type=Path, metavar="A")
    parser.add_argument("b", type=Path, metavar="B")
    parser.add_argument("--json", action="store_true", help="write the result as JSON to stdout")
    args = parser.parse_args(argv)
    return run_reporting_errors(lambda: _compare(args))


def _compare(args: argparse.Namespace) -> int:
    from sep_replay.comparison import Run, compare, print_comparison

    a, b = Run.read(args.a), Run.read(args.b)
    found = compare(a, b)
    if args.json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        print_comparison(report_console(), a, b, found)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sep-replay",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "candles", type=Path, metavar="CATALOGUE|DIR", help="catalogue, or folder of candle files"
    )
    add_set_option(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the whole decision log")
    parser.add_argument(
        "--params", type=Path, metavar="FILE",
        help="JSON object of promoted parameters by instrument, as in opt:best_config",
    )  # fmt: skip
    parser.add_argument(
        "--open-gates", action="store_true", help="publish every gate as open: what would trade"
    )
    parser.add_argument("--balance", type=_amount, default=Decimal(100_000), metavar="USD")
    parser.add_argument("--skip-bad", action="store_true", help="leave malformed rows out")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the run, to be compared")
    parser.add_argument("--instruments", type=lambda t: t.split(","), default=[], metavar="A_B,C_D")
    parser.add_argument(
        "--granularity", type=Granularity, metavar="G", help="where there are several"
    )
    for name, target in (("--from", "since"), ("--to", "until")):
        parser.add_argument(name, dest=target, type=_instant, metavar="TIME", help="2026-01-01")
    return parser


def _replay(args: argparse.Namespace) -> int:
    # Imported here: --help and bad arguments need not wait for the numeric packages.
    from sep_allocator.settings import AllocatorSettings
    from sep_evaluator.settings import EvaluatorSettings
    from sep_guard.settings import GuardSettings
    from sep_kit.logging import LogFormat, configure_logging

    from sep_replay.engine import Replay, ReplaySettings
    from sep_replay.report import print_report
    from sep_replay.run_folder import write_events, write_run
    from sep_replay.sources import Selection, read_tape
    from sep_replay.winners import read_winners

    configure_logging("replay", LogFormat.CONSOLE, "WARNING")
    given = given_settings(args)
    selection = Selection(
        instruments=args.instruments, granularity=args.granularity, since=args.since,
        until=args.until,
    )  # fmt: skip
    tape = read_tape(args.candles, selection, skip_bad=args.skip_bad)
    environ = {"CANDLE_GRANULARITY": tape.granularity.value, **os.environ, **given}
    if environ["CANDLE_GRANULARITY"] != tape.granularity.value:
        raise ValueError(
            f"CANDLE_GRANULARITY is {environ['CANDLE_GRANULARITY']}, but the candles are "
            f"{tape.granularity.value}"
        )
    settings = ReplaySettings(
        load_settings(EvaluatorSettings, environ),
        load_settings(AllocatorSettings, environ),
        load_settings(GuardSettings, environ),
        args.balance,
        params=read_winners(args.params) if args.params else {},
        open_gates=args.open_gates,
    )
    replay = Replay(tape, settings)
    columns = (
        TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TextColumn("bars"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replay", total=len(tape))
        journal = replay.run(lambda bars: progress.advance(task, bars))
    print_report(report_console(), journal, replay.evaluations.values())
    if args.out is not None:
        write_run(args.out, tape, settings, journal)
    if args.json is not None:
        write_events(args.json, journal)
        print(f"{len(journal.events)} events in {args.json}", file=sys.stderr)
    return 0


def _instant(text: str) -> int:
    try:
        return parse_day_or_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount") from None
    if not amount.is_finite() or amount <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount above 0")
    return amount

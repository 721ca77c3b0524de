"""``sep-replay``: see the effect of a knob on recorded candles before it goes live."""

import argparse
import json
import os
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sep_kit.settings.loading import InvalidSettingsError, load_settings, unknown_name
from sep_kit.settings.names import unknown_names

_EPILOG = """\
Knobs come from the environment, as for the services, or with --set:

  sep-replay candles/ --set ALLOC_TOP_K=1 --set HYSTERESIS_DEFAULT=0.2 --json log.json

Files are named like EUR_USD_M1_2014-05.csv.gz, with the columns
time,bid_o,bid_h,bid_l,bid_c,ask_o,ask_h,ask_l,ask_c. The same files and knobs give the same output.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command: 0 played, 1 not playable, 2 bad arguments, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="sep-replay",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("candles", type=Path, metavar="DIR", help="folder of candle files")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", type=_pair)
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
    args = parser.parse_args(argv)
    try:
        return _replay(args)
    except InvalidSettingsError as error:
        print("The settings can't be used:", *error.faults, sep="\n  ", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"sep-replay: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sep-replay: interrupted; nothing was written", file=sys.stderr)
        return 130


def _replay(args: argparse.Namespace) -> int:
    # Imported here: --help and bad arguments need not wait for the numeric packages.
    from sep_allocator.settings import AllocatorSettings
    from sep_evaluator.settings import EvaluatorSettings
    from sep_guard.settings import GuardSettings
    from sep_kit.logging import LogFormat, configure_logging

    from sep_replay.engine import Replay, ReplaySettings
    from sep_replay.report import print_report
    from sep_replay.tape import load_tape
    from sep_replay.winners import read_winners

    configure_logging("replay", LogFormat.CONSOLE, "WARNING")
    # A misspelled name in the environment may be another program's; here it was meant.
    if unknown := unknown_names(name for name, _ in args.set):
        raise InvalidSettingsError([unknown_name(name) for name in unknown])
    tape = load_tape(args.candles, skip_bad=args.skip_bad)
    environ = {"CANDLE_GRANULARITY": tape.granularity.value, **os.environ, **dict(args.set)}
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
    console = Console()
    if not console.is_terminal:
        # A pipe has no width, and wrapped tables can't be compared or searched.
        console = Console(width=160)
    print_report(console, journal, replay.evaluations.values())
    if args.json is not None:
        with args.json.open("w", encoding="utf-8") as out:
            # One event per line, so that two logs can be compared by line.
            lines = (json.dumps(e.as_json()) for e in journal.events)
            out.write('{"events": [\n' + ",\n".join(lines) + "\n]}\n")
        print(f"{len(journal.events)} events in {args.json}", file=sys.stderr)
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount") from None
    if not amount.is_finite() or amount <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount above 0")
    return amount

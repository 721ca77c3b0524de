"""Arguments, exit codes and error messages of ``sep-data``."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sep_fx.granularity import Granularity
from sep_fx.instants import parse_day_or_time
from sep_fx.sessions import MarketCalendar
from sep_kit.clock import Clock

OK, FAILED, NO_ANSWER, INTERRUPTED = 0, 1, 69, 130

_EPILOG = """\
  sep-data import csv candles/*.csv.gz --out catalogue
  sep-data import histdata DAT_ASCII_EURUSD_M1_2012.zip --spread 0.8 --out catalogue
  sep-data check catalogue
  sep-data pull catalogue --instruments EUR_USD --from 2026-01-01 --to 2026-04-01

exit codes: 0 done, 1 failed or a check found something, 2 wrong usage, 69 the stack does not answer
"""


def run(argv: Sequence[str] | None, clock: Clock) -> int:
    """Run a command and return its exit code."""
    args = _parser().parse_args(argv)
    # Imported here: --help and wrong usage need not wait for the columnar packages.
    from sep_data import commands
    from sep_data.errors import DataError
    from sep_data.pulling import NoAnswerFromStackError

    try:
        return int(getattr(commands, f"{args.command}_command")(args, clock))
    except NoAnswerFromStackError as error:
        return _fail(error, NO_ANSWER)
    except DataError as error:
        return _fail(error, FAILED)
    except OSError as error:
        return _fail(error, FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted; what was complete is stored", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sep-data",
        description="Fill and check a catalogue of candles.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_import(commands.add_parser("import", help="take in candle files"))
    check = commands.add_parser("check", help="look for faults; exit 1 when there are any")
    _add_catalogue(check)
    _add_json(check)
    check.add_argument(
        "--market-calendar", choices=[c.value for c in MarketCalendar], default="fx",
        help="hours of the market (default: the FX week)",
    )  # fmt: skip
    listing = commands.add_parser("list", help="what a catalogue holds")
    _add_catalogue(listing)
    _add_json(listing)
    export = commands.add_parser("export", help="write candle CSV files")
    _add_catalogue(export)
    export.add_argument("--out", required=True, type=Path, metavar="DIR")
    _add_selection(export, required=False)
    pull = commands.add_parser("pull", help="get candles through the gateway, by dates")
    _add_catalogue(pull)
    _add_selection(pull, required=True)
    pull.add_argument(
        "--url", default=os.environ.get("SEP_URL", "http://127.0.0.1:8000"),
        help="where Envoy listens; SEP_URL, or %(default)s",
    )  # fmt: skip
    return parser


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "format", choices=("csv", "histdata", "dukascopy", "mt5", "oanda-json"), metavar="FORMAT",
        help="csv, histdata, dukascopy, mt5 or oanda-json",
    )  # fmt: skip
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="plain, .gz, .zip, or a folder of these"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="CATALOGUE")
    parser.add_argument("--time-zone", metavar="ZONE", help="UTC, Europe/London, +02:00, NewYork+7")
    parser.add_argument("--prices", choices=("bid", "ask", "mid"), help="of single prices")
    parser.add_argument(
        "--spread", type=_spread, metavar="PIPS", help="makes the other side of single prices"
    )
    parser.add_argument(
        "--label", choices=("start", "end"), default="start",
        help="whether a time is that of the bar's start (default) or end",
    )  # fmt: skip
    parser.add_argument("--instrument", help="where the file's name has none")
    parser.add_argument("--granularity", type=_granularity, help="where the file's name has none")
    _add_json(parser)


def _add_selection(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--instruments", type=lambda text: text.split(","), default=[], required=required,
        metavar="A_B,C_D",
    )  # fmt: skip
    parser.add_argument("--granularity", type=_granularity, default="M1" if required else None)
    for name, target in (("--from", "since"), ("--to", "until")):
        parser.add_argument(
            name, dest=target, type=_instant, required=required and target == "since",
            metavar="TIME", help="2026-01-01, or with a time: 2026-01-01T08:00:00Z",
        )  # fmt: skip


def _add_catalogue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("catalogue", type=Path, metavar="CATALOGUE")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write the result as JSON to stdout")


def _granularity(text: str) -> str:
    if text not in list(Granularity):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed are {', '.join(Granularity)}")
    return text


def _spread(text: str) -> float:
    try:
        pips = float(text)
    except ValueError:
        pips = -1.0
    if not 0 <= pips < 1e4:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of pips from 0 to 10000")
    return pips


def _instant(text: str) -> int:
    try:
        return parse_day_or_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fail(message: object, code: int) -> int:
    print(f"sep-data: {message}", file=sys.stderr)
    return code

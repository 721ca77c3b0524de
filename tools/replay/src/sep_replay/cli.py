"""``sep-replay``: see the effect of a knob on recorded candles before it goes live."""

import argparse
import json
import os
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path

from sep_fx.granularity import Granularity
from sep_fx.instants import parse_day_or_time

from sep_replay.command_line import add_set_option, report_console, run_reporting_errors

_EPILOG = """\
Knobs come from the environment, as for the services, or with --set:

  sep-replay candles/ --set ALLOC_TOP_K=1 --set HYSTERESIS_DEFAULT=0.2 --json log.json

Files are named like EUR_USD_M1_2014-05.csv.gz, with the columns
time,bid_o,bid_h,bid_l,bid_c,ask_o,ask_h,ask_l,ask_c. Instead of a folder of files, a catalogue of
sep-data will do. The same candles and knobs give the same output. Two runs are compared by

  sep-replay catalogue/ --out old
  sep-replay catalogue/ --params winners.json --out new
  sep-replay compare old new

Several settings are played in one pass, each into a folder of its own:

  sep-replay catalogue/ --set ALLOC_TOP_K=1 --set ALLOC_TOP_K=3 --out runs

What was traded is compared with the replay of its day by

  sep-replay parity --day 2026-03-02

What live trades paid beside the spread is measured by

  sep-replay costs
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command: 0 played, 1 not playable, 2 bad arguments, 130 interrupted."""
    given = sys.argv[1:] if argv is None else argv
    if given[:1] == ["compare"]:
        return _compare_main(given[1:])
    if given[:1] == ["parity"]:
        from sep_replay.parity.command import parity_main

        return parity_main(given[1:])
    if given[:1] == ["costs"]:
        from sep_replay.measured import costs_main

        return costs_main(given[1:])
    args = _parser().parse_args(given)

    def played() -> int:
        # Imported here: --help and bad arguments need not wait for the numeric packages.
        from sep_replay.playing import play

        return play(args, report_console())

    return run_reporting_errors(played)


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
    add_set_option(
        parser, "a knob; a name that is given several times makes a setting of each value"
    )
    parser.add_argument(
        "--variants", type=Path, metavar="FILE",
        help="JSON object of knobs by the name of the variant; each is played on the same candles",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the whole decision log")
    parser.add_argument(
        "--params", type=Path, metavar="FILE",
        help="JSON object of promoted parameters by instrument, as in opt:best_config",
    )  # fmt: skip
    parser.add_argument(
        "--open-gates", action="store_true", help="publish every gate as open: what would trade"
    )
    parser.add_argument("--balance", type=_amount, default=Decimal(100_000), metavar="CASH")
    parser.add_argument(
        "--home", type=_currency, default="USD", metavar="CUR",
        help="the account's currency (default %(default)s); what converts into it is loaded too",
    )  # fmt: skip
    parser.add_argument(
        "--costs", metavar="SPEC",
        help="beside the spread: journal (as live trades had them), a JSON file by instrument, or "
        "slippage_bps=0.2,slippage_spreads=0.1,financing_bps=0.5,delay_sec=60 (default: those of "
        "EVAL_COSTS_JSON)",
    )  # fmt: skip
    parser.add_argument(
        "--url", default=os.environ.get("SEP_URL", "http://127.0.0.1:8000"),
        help="of the stack whose journal --costs asks; SEP_URL, or %(default)s",
    )  # fmt: skip
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="file of an API key for it")
    parser.add_argument("--skip-bad", action="store_true", help="leave malformed rows out")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the run, to be compared")
    parser.add_argument("--instruments", type=lambda t: t.split(","), default=[], metavar="A_B,C_D")
    parser.add_argument(
        "--granularity", type=Granularity, metavar="G", help="where there are several"
    )
    for name, target in (("--from", "since"), ("--to", "until")):
        parser.add_argument(name, dest=target, type=_instant, metavar="TIME", help="2026-01-01")
    return parser


def _instant(text: str) -> int:
    try:
        return parse_day_or_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _currency(text: str) -> str:
    if not (len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a currency like EUR")
    return text


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount") from None
    if not amount.is_finite() or amount <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount above 0")
    return amount

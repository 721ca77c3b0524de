"""Arguments, exit codes and error messages of the ``sep-evaluator`` command line.

Exit codes: 0 success, 1 the command failed, 2 wrong usage, 130 interrupted. An error is one
line on stderr. numpy, numba and rich are imported only when a command runs, which keeps
``--help`` fast.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from sep_evaluator.cli.files import CommandFailedError, UsageError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_DESCRIPTION = "Metrics, backtests and parameter sweeps over candle files."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        commands = import_module("sep_evaluator.cli.commands")
        getattr(commands, arguments.command)(arguments)
    except UsageError as error:
        return _fail(error, USAGE)
    except CommandFailedError as error:
        return _fail(error, FAILED)
    except BrokenPipeError:
        # The reader of stdout has closed it. Redirect stdout, or the interpreter flushes into
        # the closed pipe at exit and prints a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _fail("interrupted, nothing was written", INTERRUPTED)
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="sep-evaluator", description=_DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    windows = commands.add_parser("windows", help="the metrics of every window of a candle file")
    _add_candles(windows)

    backtest = commands.add_parser("backtest", help="one strict-span run over a candle file")
    _add_candles(backtest)
    backtest.add_argument(
        "--params",
        default="{}",
        metavar="JSON",
        help="parameters as a JSON object, or @FILE that holds one; others keep their default",
    )
    backtest.add_argument(
        "--instrument",
        help="e.g. EUR_USD; needed when the file's name does not begin with the instrument",
    )
    _add_market(backtest)

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
        "--workers", type=int, default=os.cpu_count() or 1, help="cores to use (default: all)"
    )
    return parser


def _add_candles(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--candles", required=True, type=Path, metavar="FILE", help="candle CSV, gzipped or not"
    )
    _add_output(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", required=True, metavar="OUT", help="file to write, or - for stdout"
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="skip malformed rows and report their number instead of refusing the file",
    )


def _add_market(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--market-calendar",
        choices=("fx", "24x7"),
        default="fx",
        help="sessions of the FX week (default), or a market that is always open",
    )
    parser.add_argument(
        "--granularity",
        metavar="G",
        help="length of a bar (default: taken from the file's name, or M1)",
    )
    parser.add_argument(
        "--exit-minutes",
        type=float,
        default=5.0,
        metavar="N",
        help="close positions this long before the session closes (default 5)",
    )
    parser.add_argument(
        "--costs",
        metavar="SPEC",
        help="beside the spread: slippage_bps=0.2,financing_bps=0.5,delay_sec=60, or a JSON file "
        "of costs by instrument (default: none)",
    )


def _fail(message: object, code: int) -> int:
    print(f"sep-evaluator: {message}", file=sys.stderr)
    return code

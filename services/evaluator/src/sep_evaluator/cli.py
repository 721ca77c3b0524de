"""Command line of the numeric core: ``windows``, ``backtest`` and ``sweep`` over candle files.

Exit codes: 0 done, 1 the work could not be done, 2 the command was wrong, 130 interrupted.
Errors are one line on stderr. Nothing heavy is imported before a command runs, so that
``--help`` answers at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from sep_evaluator.cli_io import FailedError, WrongUseError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        commands = import_module("sep_evaluator.cli_commands")
        getattr(commands, arguments.command)(arguments)
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    windows = commands.add_parser("windows", help="the metrics of every window of a candle file")
    _add_candles(windows)

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


def _say(message: object, code: int) -> int:
    print(f"sep-evaluator: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

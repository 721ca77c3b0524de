"""Entry point of ``sep-params``."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from sep_ops.connection import add_connection_options
from sep_ops.interrupts import run_interruptible
from sep_ops.parameters import commands

_EXIT_CODES = """\
exit codes:
  0    done
  1    refused, with the reasons; of diff: something differs
  2    the call itself is wrong; nothing was sent
  69   the stack does not answer
  130  stopped with Ctrl-C; `sep-params history` tells whether a change was made

Parameters come from the folder of a `sep-research sweep`. A change closes the gates of its
instruments until two evaluations under the new parameters pass. Every change is on record.
"""
_INSTRUMENT = re.compile(r"[A-Z0-9]{2,12}_[A-Z0-9]{2,12}")


def main() -> None:
    """Run ``sep-params`` and exit the process with its exit code."""
    options = _parser().parse_args(sys.argv[1:])
    run_interruptible(
        lambda: options.command(options), "`sep-params history` tells whether a change was made"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sep-params",
        description="Put parameters into force that a research run judged, and take them back.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands_of = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    def add(
        name: str, summary: str, command: Callable[[argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        added = commands_of.add_parser(name, help=summary, description=command.__doc__)
        added.set_defaults(command=command)
        add_connection_options(added, Path.cwd())
        added.add_argument("--json", action="store_true", help="print JSON")
        return added

    promoting = add("promote", "put the winners of a run into force", commands.promote)
    promoting.add_argument("run", type=commands.run_folder, metavar="RUN", help="folder of the run")
    promoting.add_argument("instruments", type=_instrument, nargs="+", metavar="INSTRUMENT")
    _add_change_options(promoting)
    promoting.add_argument(
        "--forced-by", default="", metavar="NAME", help="promote against the verdict, on record"
    )
    showing = add("show", "print the parameters in force", commands.show)
    showing.add_argument("instrument", type=_instrument, nargs="?", metavar="INSTRUMENT")
    telling = add("history", "print the changes, the newest first", commands.history)
    telling.add_argument("instrument", type=_instrument, nargs="?", metavar="INSTRUMENT")
    telling.add_argument("--limit", type=_limit, metavar="N", help="at most N (1 to 1000)")
    comparing = add("diff", "print what a run would change", commands.difference)
    comparing.add_argument("run", type=commands.run_folder, metavar="RUN", help="folder of the run")
    comparing.add_argument("instruments", type=_instrument, nargs="*", metavar="INSTRUMENT")
    taking_back = add("rollback", "take a change back", commands.roll_back)
    taking_back.add_argument(
        "change", metavar="CHANGE", help="id of a change, or an instrument for its last one"
    )
    _add_change_options(taking_back)
    return parser


def _add_change_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reason", required=True, type=_reason, metavar="TEXT", help="for the record"
    )
    parser.add_argument("--dry-run", action="store_true", help="check, and change nothing")


def _instrument(text: str) -> str:
    if not _INSTRUMENT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no instrument such as EUR_USD")
    return text


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must say why")
    return text


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number, 1 to 1000")
    return int(text)

"""Entry point of ``sep-ops`` and of the scripts that carry a single command's earlier name."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sep_kit.clock import SystemClock

from sep_ops import (
    alert,
    drain,
    flatten,
    kill_switch,
    locks,
    notify,
    snapshot,
    verification,
    warm_up,
    why_no_trade,
)
from sep_ops.command import Command
from sep_ops.interrupts import run_interruptible

COMMANDS = {
    command.name: command
    for command in (
        warm_up.COMMAND,
        verification.COMMAND,
        kill_switch.COMMAND,
        drain.COMMAND,
        flatten.COMMAND,
        locks.COMMAND,
        notify.COMMAND,
        alert.COMMAND,
        why_no_trade.COMMAND,
        snapshot.COMMAND,
    )
}

_EXIT_CODES = """\
exit codes:
  0    done
  1    the command failed, or something it checked is at fault
  2    the call itself is wrong; nothing was sent
  3    drain only: the kill switch is not engaged
  130  stopped with Ctrl-C

SEP_URL names the stack (default http://127.0.0.1:8000), SEP_KEY_FILE the file with the key for
calls that change something. Without it the key that `make run` or deploy.sh left in .run of the
current folder is used.
"""


def main() -> None:
    """Run ``sep-ops`` and exit the process with its exit code."""
    parser = argparse.ArgumentParser(
        prog="sep-ops",
        description="Operate a SEP stack through its public API.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    for command in COMMANDS.values():
        subparser = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_options(subparser, Path.cwd())
        subparser.set_defaults(prog=subparser.prog)
    _run(parser, sys.argv[1:], None)


def run_script(name: str, script: str, prog: str | None = None) -> None:
    """Run one command as a script of ``scripts/ops`` and exit the process with its exit code.

    Args:
        name: the command's name.
        script: path of the script, two folders below the project's.
        prog: name to show in messages; the script's file name if not given.
    """
    command, path = COMMANDS[name], Path(script)
    parser = argparse.ArgumentParser(
        prog=prog or path.name,
        description=command.description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_options(parser, path.parents[2])
    parser.set_defaults(prog=parser.prog)
    _run(parser, sys.argv[1:], command)


def _run(
    parser: argparse.ArgumentParser, arguments: Sequence[str], command: Command | None
) -> None:
    options = parser.parse_args(arguments)
    chosen = command or COMMANDS[options.name]
    run_interruptible(
        lambda: chosen.run(options, SystemClock()),
        chosen.interrupted.format(prog=options.prog),
    )


if __name__ == "__main__":
    main()

"""List locked instruments, lock one by hand, or lift the locks of one.

A locked instrument takes no entry; its position is managed and closed as ever. A lock for a news
release has an end: `sep-ops locks set USD_JPY --minutes 90 --reason "payrolls"`. Exits with 0 once
the locks are as requested, with 1 when they can't be read or set, with 2 when the call itself is
wrong.
"""

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sep_client.models import Lock
from sep_kit.clock import Clock, now_ms

from sep_ops.command import DONE, FAILED, Command
from sep_ops.connection import CallError, add_connection_options, connect

_MINUTE_MS = 60_000
_LONGEST_MINUTES = 60 * 24 * 30


def run(options: argparse.Namespace, clock: Clock) -> int:
    """Change a lock if requested, print the running ones and return the exit code."""
    console = Console()
    try:
        with connect(options) as client:
            if options.action == "set":
                until = None
                if options.minutes is not None:
                    until = float(now_ms(clock) + options.minutes * _MINUTE_MS)
                client.set_lock(
                    options.instrument, locked=True, reason=options.reason, until_ms=until
                )
            elif options.action == "lift":
                client.set_lock(options.instrument, locked=False, reason=options.reason)
            held = client.locks().locks
    except CallError as error:
        console.print(f"FAILED: {error}", style="red", markup=False, soft_wrap=True)
        return FAILED
    if held:
        console.print(_table(held))
    else:
        console.print("no instrument is locked")
    return DONE


def _table(held: Iterable[Lock]) -> Table:
    table = Table("instrument", "cause", "until (UTC)", "by", "reason")
    for lock in held:
        table.add_row(lock.instrument, lock.cause, _end(lock.until_ms), lock.actor, lock.reason)
    return table


def _end(until_ms: float | None) -> str:
    if until_ms is None:
        return "lifted by hand"
    return f"{datetime.fromtimestamp(until_ms / 1000, tz=UTC):%Y-%m-%d %H:%M}"


def add_options(parser: argparse.ArgumentParser, project: Path) -> None:
    """Add ``list``, ``set`` and ``lift`` with their options."""
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="print the running locks")
    add_connection_options(listing, project)
    for name, summary in (("set", "lock an instrument"), ("lift", "lift all of its locks")):
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("instrument", help="such as EUR_USD")
        action.add_argument("--reason", required=True, metavar="TEXT", help="recorded with it")
        if name == "set":
            action.add_argument(
                "--minutes", type=_minutes, metavar="N",
                help="when the lock ends by itself; without it a person has to lift it",
            )  # fmt: skip
        add_connection_options(action, project)


def _minutes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _LONGEST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text!r}: whole minutes, 1 to {_LONGEST_MINUTES}")
    return int(text)


COMMAND = Command(
    name="locks",
    summary="list, set or lift locks of instruments",
    description=__doc__,
    add_options=add_options,
    run=run,
    interrupted="`{prog} list` prints the locks",
)

"""Engage the kill switch, then close everything that the stack manages.

With --instrument that one alone is closed, and locked against entries until `sep-ops locks lift`;
the kill switch is engaged only if the lock can't be stored. The plan is printed first; with
--dry-run nothing else happens. A run that was stopped, or got no answer, goes on with --flatten-id,
which is printed before anything is sent: no close is sent twice.
A close that the broker refused needs a new run without it. Exits with 0 once nothing is left (or
with --dry-run), with 1 when something is left or a call failed, with 2 when the call itself is
wrong, and with 130 after Ctrl-C: the kill switch may then be engaged or the instrument locked, and
orders filled.
"""

import argparse
import re
import uuid
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sep_client.models import DrainClose, FlattenResponse
from sep_fx.instrument import is_instrument_name
from sep_kit.clock import Clock

from sep_ops.command import DONE, FAILED, Command
from sep_ops.connection import CallError, StackClient, add_connection_options, connect

_ATTEMPTS = 3
_OUTCOME_UNKNOWN = {"TIMEOUT", "UNREACHABLE"}


def run(options: argparse.Namespace, _clock: Clock) -> int:
    """Plan, execute unless it is a dry run, and return the exit code."""
    console = Console()
    flatten_id = options.flatten_id or uuid.uuid4().hex
    try:
        with connect(options) as client:
            plan = client.flatten(
                reason=options.reason,
                include_manual=options.include_manual,
                instrument=options.instrument,
                dry_run=True,
            )
            console.print(_table(plan.remaining, "flatten"))
            if options.dry_run:
                console.print(f"dry run: {_nothing(options)}, nothing was sent")
                return DONE
            console.print(f"flatten id {flatten_id}")
            done = _execute(client, options, flatten_id)
    except CallError as error:
        console.print(
            f"FAILED: {error}; go on with --flatten-id {flatten_id}",
            style="red", markup=False, soft_wrap=True,
        )  # fmt: skip
        return FAILED
    for close in done.closes:
        console.print(_line(close), soft_wrap=True)
    if done.remaining:
        console.print(_table(done.remaining, "still held"))
        console.print(f"{_halted(options)}; run it again to go on", style="red")
        return FAILED
    held = "nothing is held" if options.instrument is None else "nothing of it is held"
    console.print(f"{held}; {_halted(options)}")
    return DONE


def _nothing(options: argparse.Namespace) -> str:
    return "nothing was engaged" if options.instrument is None else "nothing was locked"


def _halted(options: argparse.Namespace) -> str:
    """What stops new entries from here on."""
    if options.instrument is None:
        return "the kill switch is engaged"
    return f"{options.instrument} takes no entry until `sep-ops locks lift`"


def _execute(client: StackClient, options: argparse.Namespace, flatten_id: str) -> FlattenResponse:
    """Flatten; the id makes it safe to repeat a call without an answer."""
    for attempt in range(_ATTEMPTS):
        try:
            return client.flatten(
                reason=options.reason,
                include_manual=options.include_manual,
                flatten_id=flatten_id,
                instrument=options.instrument,
            )
        except CallError as error:
            if error.reason not in _OUTCOME_UNKNOWN or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _table(closes: Iterable[DrainClose], title: str) -> Table:
    table = Table("instrument", "units", "margin freed", title=title)
    for close in closes:
        table.add_row(close.instrument, f"{close.current_units:f}", f"{close.margin_freed:,.2f}")
    return table


def _line(close: DrainClose) -> str:
    style = "green" if close.order_state == "FILLED" else "red"
    return (
        f"close {close.instrument} {close.close_units:f}:"
        f" [{style}]{close.order_state}[/] {close.order_reason} {close.client_order_id}"
    )


def add_options(parser: argparse.ArgumentParser, project: Path) -> None:
    """Add reason, scope and the connection options."""
    parser.add_argument(
        "--reason", required=True, type=_reason, metavar="TEXT",
        help="recorded with the kill switch",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="print the plan, change nothing")
    parser.add_argument(
        "--include-manual", action="store_true", help="close positions opened by hand, too"
    )
    parser.add_argument(
        "--instrument", type=_instrument, metavar="NAME",
        help="close this one alone, and lock it instead of engaging the kill switch",
    )  # fmt: skip
    parser.add_argument(
        "--flatten-id", type=_id, metavar="ID", help="go on with an earlier run of this id"
    )
    add_connection_options(parser, project)


def _reason(text: str) -> str:
    if not 1 <= len(text.strip()) <= 400:
        raise argparse.ArgumentTypeError("a text of 1 to 400 characters")
    return text.strip()


def _instrument(text: str) -> str:
    if not is_instrument_name(text):
        raise argparse.ArgumentTypeError(f"{text!r}: a name such as EUR_USD")
    return text


def _id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: the 32 digits that the earlier run printed")
    return text


COMMAND = Command(
    name="flatten",
    summary="engage the kill switch and close everything that the stack manages",
    description=__doc__,
    add_options=add_options,
    run=run,
    interrupted=(
        "the kill switch may be engaged or the instrument locked, and orders filled. "
        "Run it again with the id it printed."
    ),
)

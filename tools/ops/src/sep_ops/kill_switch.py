"""Show, engage or release the kill switch. It stops entries; reductions go on.

The stack records who changed it (the name of the key), when and why, and keeps that over restarts.
Exits with 0 once the switch is as requested, with 1 when it can't be read or set, with 2 when the
call itself is wrong. While the breaker is tripped, a release needs --acknowledge-breaker.
"""

import argparse
from pathlib import Path

from rich.console import Console
from sep_client.models import GetKillSwitchResponse, SetKillSwitchResponse
from sep_kit.clock import Clock

from sep_ops.command import DONE, FAILED, Command
from sep_ops.connection import CallError, add_connection_options, connect

_ACTIONS = (
    ("show", "print its state, who set it and why"),
    ("engage", "refuse every entry from now on"),
    ("release", "let entries pass again"),
)


def run(options: argparse.Namespace, _clock: Clock) -> int:
    """Set the switch if requested, print its state and return the exit code."""
    console = Console(soft_wrap=True, highlight=False)
    state: GetKillSwitchResponse | SetKillSwitchResponse
    try:
        with connect(options) as client:
            if options.action == "show":
                state = client.kill_switch()
            else:
                engaged = options.action == "engage"
                state = client.set_kill_switch(
                    engaged=engaged,
                    reason=options.reason,
                    acknowledge_breaker=True if _acknowledges(options) else None,
                )
    except CallError as error:
        console.print(f"FAILED: {error}", style="red", markup=False)
        return FAILED
    position = "engaged" if state.kill_switch else "RELEASED"
    actor = f" by {state.actor}" if state.actor else ""
    reason = state.reason or "no reason"
    console.print(f"kill switch {position}{actor}: {reason}", markup=False)
    return DONE


def _acknowledges(options: argparse.Namespace) -> bool:
    return options.action == "release" and bool(options.acknowledge_breaker)


def add_options(parser: argparse.ArgumentParser, project: Path) -> None:
    """Add ``show``, ``engage`` and ``release`` with their options."""
    actions = parser.add_subparsers(dest="action", required=True)
    for name, summary in _ACTIONS:
        action = actions.add_parser(name, help=summary, description=summary)
        if name != "show":
            action.add_argument(
                "--reason", required=True, metavar="TEXT", help="recorded with the change"
            )
        if name == "release":
            action.add_argument(
                "--acknowledge-breaker", action="store_true",
                help="reset a tripped breaker: its limits are measured anew from now on",
            )  # fmt: skip
        add_connection_options(action, project)


COMMAND = Command(
    name="kill-switch",
    summary="show, engage or release the kill switch",
    description=__doc__,
    add_options=add_options,
    run=run,
    interrupted="`{prog} show` prints the state of the switch",
)

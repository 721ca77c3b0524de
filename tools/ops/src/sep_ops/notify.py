"""Send a test message to every destination of notifications, and print each outcome.

The journal sends it, with the URLs of NOTIFY_URLS and NOTIFY_URLS_FILE; they are never shown. Exits
with 0 if every destination took it, with 1 if one did not, if there is none, or if the stack does
not answer, with 2 when the call itself is wrong.
"""

import argparse
from pathlib import Path

from rich.console import Console
from sep_kit.clock import Clock

from sep_ops.command import DONE, FAILED, Command
from sep_ops.connection import CallError, add_connection_options, connect


def run(options: argparse.Namespace, _clock: Clock) -> int:
    """Send the test, print the outcomes and return the exit code."""
    console = Console(soft_wrap=True, highlight=False)
    try:
        with connect(options) as client:
            results = client.test_notifications().results
    except CallError as error:
        console.print(f"FAILED: {error}", style="red", markup=False)
        return FAILED
    if not results:
        console.print("FAILED: no destination; set NOTIFY_URLS_FILE or NOTIFY_URLS", style="red")
        return FAILED
    for result in results:
        outcome = "delivered" if result.delivered else f"FAILED: {result.error}"
        console.print(f"{result.destination}: {outcome}", markup=False)
    return DONE if all(result.delivered for result in results) else FAILED


def add_options(parser: argparse.ArgumentParser, project: Path) -> None:
    """Add ``--test``; without it nothing would be sent, so it is required."""
    parser.add_argument(
        "--test", action="store_true", required=True, help="send a test message now"
    )
    add_connection_options(parser, project)


COMMAND = Command(
    name="notify",
    summary="send a test message to every destination of notifications",
    description=__doc__,
    add_options=add_options,
    run=run,
    interrupted="a message may have been sent; nothing else was changed",
)

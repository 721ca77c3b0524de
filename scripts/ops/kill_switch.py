"""Show, engage or release the kill switch. It stops entries; reductions go on.

The stack keeps who did it (the name of the key), when and why, over restarts too. Exits with 0
once the switch stands as asked for, with 1 when it can't be read or set, with 2 when the call
itself is wrong.
"""

import argparse
from collections.abc import Sequence

from rich.console import Console
from stack_api import ApiError, Json, StackApi, add_connection_options
from stoppable import run


def main(argv: Sequence[str] | None = None) -> int:
    """Set the switch if asked to, and print how it stands; the exit code."""
    arguments = _parser().parse_args(argv)
    console = Console(soft_wrap=True, highlight=False)
    api = StackApi(arguments.url, arguments.key_file)
    try:
        if arguments.command == "show":
            state = api.get("/api/kill-switch")
        else:
            body = {"kill_switch": arguments.command == "engage", "reason": arguments.reason}
            state = api.post("/api/kill-switch", body)
    except ApiError as error:
        console.print(f"FAILED: {error}", style="red", markup=False)
        return 1
    console.print(_told(state), markup=False)
    return 0


def _told(state: Json) -> str:
    stands = "engaged" if state["kill_switch"] else "RELEASED"
    by = f" by {state['actor']}" if state["actor"] else ""
    return f"kill switch {stands}{by}: {state['reason'] or 'no reason'}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kill_switch.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, does in (
        ("show", "how it stands, who set it and why"),
        ("engage", "no entry passes from now on"),
        ("release", "entries may pass again"),
    ):
        command = commands.add_parser(name, help=does, description=does)
        if name != "show":
            command.add_argument("--reason", required=True, metavar="TEXT", help="kept with it")
        add_connection_options(command)
    return parser


if __name__ == "__main__":
    run(main, stopped="`kill_switch.py show` tells how the switch stands")

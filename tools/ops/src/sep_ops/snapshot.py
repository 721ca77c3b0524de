"""Write the daily snapshot: every read of the API as one JSON file.

The file is named after the time of the snapshot, so that snapshots can be compared later. Exits
with 0 when every read was answered, with 1 when one is missing, with 2 when the call itself is
wrong.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from sep_client.call import Call
from sep_kit.clock import Clock

from sep_ops.command import DONE, FAILED, Command
from sep_ops.connection import CallError, StackClient, add_connection_options, connect
from sep_ops.health import part_states

ROUTES = (
    "/api/status",
    "/api/pairs",
    "/api/ranking/active",
    "/api/risk/allocation-status",
    "/api/risk/budget",
    "/api/kill-switch",
    "/api/coherence/status",
    "/api/trade/readiness",
    "/api/oanda/account",
    "/api/oanda/positions",
    "/api/oanda/open-trades",
)


def run(options: argparse.Namespace, _clock: Clock) -> int:
    """Read every route, write the file and return the exit code."""
    with connect(options) as client:
        try:
            taken = datetime.fromtimestamp(client.status().ts_ms / 1000, UTC)
        except CallError as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return FAILED
        content: dict[str, object] = {"taken": taken.isoformat(), "health": part_states(client)}
        failures = []
        for route in ROUTES:
            try:
                content[route] = _read(client, route)
            except CallError as error:
                content[route] = {"error": str(error)}
                failures.append(f"{route}: {error}")
    folder: Path = options.out
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{taken:%Y-%m-%dT%H%M%SZ}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"wrote {path}")
    for failure in failures:
        print(f"missing {failure}", file=sys.stderr)
    return FAILED if failures else DONE


def _read(client: StackClient, route: str) -> object:
    """The answer as the API sends it, with fields that this client does not know.

    Raises:
        CallError: the call was refused, or the answer is no JSON.
    """
    try:
        answer: object = json.loads(client.send(Call(str, route)))
    except ValueError as error:
        raise CallError(f"GET {route}", "answered no JSON", "MALFORMED") from error
    return answer


def add_options(parser: argparse.ArgumentParser, project: Path) -> None:
    """Add ``--out`` and the connection options."""
    parser.add_argument(
        "--out", type=Path, default=Path(".run/snapshots"), metavar="FOLDER", help="(%(default)s)"
    )
    add_connection_options(parser, project)


COMMAND = Command(
    name="snapshot",
    summary="write every read of the API to one JSON file",
    description=__doc__,
    add_options=add_options,
    run=run,
    interrupted="the snapshot is not complete",
)

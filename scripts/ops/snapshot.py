"""Write the daily snapshot: every read of the API, and the metrics, as one JSON file.

The file is named after the moment, so that snapshots can be kept and compared.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from stack_api import ApiError, Json, StackApi, add_connection_options
from stoppable import run

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


def main(argv: Sequence[str] | None = None) -> int:
    """Take it and write it; the exit code."""
    parser = argparse.ArgumentParser(prog="snapshot.py", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path(".run/snapshots"), metavar="FOLDER", help="(%(default)s)"
    )
    add_connection_options(parser)
    arguments = parser.parse_args(argv)
    api = StackApi(arguments.url, arguments.key_file)
    moment = datetime.fromtimestamp(_now(api) / 1000, UTC)
    taken: Json = {"taken": moment.isoformat(), "health": api.health()}
    failed = []
    for route in ROUTES:
        try:
            taken[route] = api.get(route)
        except ApiError as error:
            taken[route] = {"error": str(error)}
            failed.append(f"{route}: {error}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{moment:%Y-%m-%dT%H%M%SZ}.json"
    path.write_text(json.dumps(taken, indent=1) + "\n")
    print(f"wrote {path}")
    for fault in failed:
        print(f"missing {fault}", file=sys.stderr)
    return 1 if failed else 0


def _now(api: StackApi) -> float:
    try:
        return float(api.get("/api/status")["ts_ms"])
    except ApiError as error:
        sys.exit(f"FAILED: {error}")


if __name__ == "__main__":
    run(main, stopped="the snapshot is not whole")

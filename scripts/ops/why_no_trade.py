"""One row an instrument: gate, weight, position, and everything that stands in an entry's way.

For "no positions while gates are green", and for "why that one and not this one". Reads only.
"""

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from stack_api import ApiError, StackApi, add_connection_options
from stoppable import run

Row = tuple[str, str, str, str, str, str]


def rows(api: StackApi) -> list[Row]:
    """Instrument, session, gate, weight, units held, and reasons.

    Raises:
        ApiError: the stack does not answer.
    """
    ranking = api.get("/api/ranking/active")["ranking"]
    readiness = {r["instrument"]: r for r in api.get("/api/trade/readiness")["readiness"]}
    pairs = {p["instrument"]: p["open"] for p in api.get("/api/pairs")["pairs"]}
    held: dict[str, str] = {}
    for p in api.get("/api/oanda/positions")["positions"]:
        held[p["instrument"]] = " ".join(
            units for units in (p["long_units"], p["short_units"]) if units not in {"", "0"}
        )
    found = []
    for r in ranking:
        name = r["instrument"]
        ready = readiness.get(name, {})
        reasons = [*r["gate_reasons"], *ready.get("reasons", ["NOT_READ"])]
        if not r["selected"]:
            reasons.append("NOT_SELECTED")
        found.append(
            (
                name,
                "open" if pairs.get(name) else "shut",
                "1" if r["eligible"] else "0",
                f"{r['weight']:.4f}",
                held.get(name, ""),
                " ".join(dict.fromkeys(reasons)) or "none: an entry would pass",
            )
        )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="why_no_trade.py", description=__doc__)
    add_connection_options(parser)
    arguments = parser.parse_args(argv)
    console = Console()
    try:
        found = rows(StackApi(arguments.url, arguments.key_file))
    except ApiError as error:
        console.print(f"FAILED: {error}", style="red")
        return 1
    table = Table("instrument", "session", "gate", "weight", "held", "in the way")
    for row in found:
        table.add_row(*row)
    console.print(table)
    return 0


if __name__ == "__main__":
    run(main, stopped="nothing was changed")

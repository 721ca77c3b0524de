"""Print one row per instrument: gate, weight, position, parameters, and all that blocks an entry.

For "no positions while gates are green", and for "why that one and not this one". It only reads.
Exits with 0 when the table is printed, with 1 when the stack does not answer, with 2 when the call
itself is wrong.
"""

import argparse
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from sep_client.models import Position, Readiness
from sep_kit.clock import Clock

from sep_ops.command import DONE, FAILED, Command
from sep_ops.connection import CallError, StackClient, add_connection_options, connect


class Row(NamedTuple):
    """A row of the table."""

    instrument: str
    session: str
    gate: str
    weight: str
    held: str
    parameters: str
    reasons: str


def rows(client: StackClient) -> list[Row]:
    """A row for each instrument, in the order of the ranking.

    Raises:
        CallError: the stack does not answer.
    """
    ranking = client.ranking().ranking
    readiness = {ready.instrument: ready for ready in client.readiness().readiness}
    pairs = {pair.instrument: pair.open for pair in client.pairs().pairs}
    held = {position.instrument: _units(position) for position in client.positions().positions}
    table = []
    for ranked in ranking:
        name = ranked.instrument
        ready = readiness.get(name)
        reasons = [*ranked.gate_reasons, *(("NOT_READ",) if ready is None else ready.reasons)]
        if not ranked.selected:
            reasons.append("NOT_SELECTED")
        table.append(
            Row(
                instrument=name,
                session="open" if pairs.get(name) else "shut",
                gate="1" if ranked.eligible else "0",
                weight=f"{ranked.weight:.4f}",
                held=held.get(name, ""),
                parameters="" if ready is None else _parameters(ready),
                reasons=" ".join(dict.fromkeys(reasons)) or "none: an entry would pass",
            )
        )
    return table


def _parameters(ready: Readiness) -> str:
    """The run in force and the digest of its parameters."""
    return " ".join(part for part in (ready.parameters_run, ready.parameters_digest) if part)


def _units(position: Position) -> str:
    """Units of the sides that are open, the long one first."""
    return " ".join(f"{u:f}" for u in (position.long_units, position.short_units) if u)


def run(options: argparse.Namespace, _clock: Clock) -> int:
    """Print the table and return the exit code."""
    console = Console()
    try:
        with connect(options) as client:
            found = rows(client)
    except CallError as error:
        console.print(f"FAILED: {error}", style="red")
        return FAILED
    table = Table("instrument", "session", "gate", "weight", "held")
    for name in ("parameters", "in the way"):
        table.add_column(name, overflow="fold")  # names are searched for: none is cut short
    for row in found:
        table.add_row(*row)
    console.print(table)
    return DONE


COMMAND = Command(
    name="why-no-trade",
    summary="print what blocks an entry in each instrument",
    description=__doc__,
    add_options=add_connection_options,
    run=run,
    interrupted="nothing was changed",
)

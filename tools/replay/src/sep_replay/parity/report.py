"""A divergence as JSON and as tables."""

from datetime import date
from typing import Any

from rich.console import Console
from rich.table import Table
from sep_fx.instants import format_seconds

from sep_replay.parity.differences import Divergence

_MAX_ROWS = 40


def as_json(day: str, found: Divergence) -> dict[str, Any]:
    """As plain JSON values; decimals as strings."""
    return {
        "day": day,
        "live_net": f"{found.live_net:f}",
        "replay_net": f"{found.replay_net:f}",
        "live_trades": found.live_trades,
        "replay_trades": found.replay_trades,
        "causes": [
            {"cause": cause.value, "differences": count, "cash": f"{cash:f}"}
            for cause, (count, cash) in found.by_cause().items()
        ],
        "differences": [
            {
                "cause": d.cause.value,
                "cash": f"{d.cash:f}",
                "instrument": d.instrument,
                "ts_ms": d.ts_ms,
                "what": d.what,
                "live_id": d.live_id,
                "replay_id": d.replay_id,
            }
            for d in found.differences
        ],
    }


def print_divergence(console: Console, day: date, found: Divergence) -> None:
    """Print the causes with their cash, and the differences with the most of it."""
    table = Table(title=f"Live against replay, {day}", title_justify="left")
    for column in ("cause", "differences", "cash"):
        table.add_column(column, justify="left" if column == "cause" else "right")
    for cause, (count, cash) in found.by_cause().items():
        table.add_row(cause.value, str(count), f"{cash:.2f}")
    table.add_row("all", str(len(found.differences)), f"{found.live_net - found.replay_net:.2f}")
    console.print(table)
    console.print(
        f"live: {found.live_trades} trades, {found.live_net:.2f}; "
        f"replay: {found.replay_trades} trades, {found.replay_net:.2f}"
    )
    worst = sorted(found.differences, key=lambda d: -abs(d.cash))[:_MAX_ROWS]
    table = Table(title="Differences, largest first", title_justify="left")
    for column in ("time", "instrument", "cause", "cash", "what"):
        table.add_column(column, overflow="fold")
    for d in worst:
        at = format_seconds(d.ts_ms // 1000)
        table.add_row(at, d.instrument, d.cause.value, f"{d.cash:.2f}", d.what)
    if worst:
        console.print(table)

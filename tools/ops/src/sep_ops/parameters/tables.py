"""Tables of parameters and their changes, for people."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from rich.table import Table
from sep_client.models import ParameterChange, ParametersInForce


def in_force_table(found: Iterable[ParametersInForce]) -> Table:
    """The parameters of each instrument, and where they come from."""
    table = Table("instrument", "digest", "from", "since (UTC)", "reason")
    for p in found:
        if p.fault:
            table.add_row(p.instrument, "INVALID", "set by hand", "", p.fault)
        elif p.change is None:
            table.add_row(p.instrument, p.digest, "defaults, or set by hand", "", "")
        else:
            c = p.change
            table.add_row(p.instrument, p.digest, _origin(c), _time(c.ts_ms), c.reason)
    return table


def history_table(changes: Iterable[ParameterChange]) -> Table:
    """Changes, one line per instrument."""
    table = Table("time (UTC)", "change", "instrument", "from", "by", "reason")
    for change in changes:
        by = f"{change.actor}, forced by {change.forced_by}" if change.forced_by else change.actor
        for c in change.changed:
            table.add_row(
                _time(change.ts_ms), change.id, c.instrument, _origin(change), by, change.reason
            )
    return table


def difference_table(
    instrument: str, before: Mapping[str, float], after: Mapping[str, float]
) -> Table:
    """The parameters that differ; all others are equal."""
    table = Table("parameter", "before", "after", title=instrument)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            table.add_row(name, _number(before.get(name)), _number(after.get(name)))
    if not table.row_count:
        table.add_row("all", "equal", "equal")
    return table


def _origin(change: ParameterChange) -> str:
    return f"takes back {change.rolls_back}" if change.rolls_back else change.run or "no run"


def _time(ts_ms: float) -> str:
    return f"{datetime.fromtimestamp(ts_ms / 1000, tz=UTC):%Y-%m-%d %H:%M:%S}"


def _number(value: float | None) -> str:
    return "invalid" if value is None else f"{value:g}"

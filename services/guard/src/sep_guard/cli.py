"""``sep-guard``: why the guard did, or did not, trade."""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from sep_fx.instants import NS_PER_MS, format_rfc3339
from sep_kit.errors import SepError
from sep_kit.store.connection import open_valkey

from sep_guard.adapters.decision_log import DecisionRecord, DrainRecord, Entry, find_entries
from sep_guard.domain.cycle import Action
from sep_guard.domain.drain import Close

SAME, NOT_FOUND, DIFFERS, UNREADABLE = 0, 1, 3, 4
_STOPPED = 130  # as a shell says of Ctrl-C

_EPILOG = """\
The id stands in guard:decisions, and in the answer of POST /api/trade/reconcile beside
every entry, reduction and refusal; an instrument that stays as it is has none. The decision
is made again from its record, by the same functions that made it.

exit codes: 0 found, and made again the same · 1 not found · 3 made again, it differs · 4 Valkey is
away, or the record can't be read
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="sep-guard", description=__doc__)
    commands = parser.add_subparsers(required=True)
    explain = commands.add_parser(
        "explain",
        help="show a decision: inputs, checks, result",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    explain.add_argument("decision_id", metavar="DECISION_ID")
    explain.add_argument(
        "--valkey-url",
        default=os.environ.get("VALKEY_URL", "redis://127.0.0.1:16379/0"),
        help="VALKEY_URL when not given",
    )
    args = parser.parse_args(argv)
    try:
        entries = asyncio.run(_find(args.valkey_url, args.decision_id))
    except (SepError, ValueError) as error:
        print(f"sep-guard: {error}", file=sys.stderr)
        return UNREADABLE
    except KeyboardInterrupt:
        return _STOPPED
    if not entries:
        print(f"sep-guard: {args.decision_id} is not in guard:decisions", file=sys.stderr)
        return NOT_FOUND
    console = Console()
    if not console.is_terminal:
        # A pipe has no width; wrapped tables can't be searched.
        console = Console(width=120)
    # What was written while nobody could tell whether it had been may be there twice.
    return max(_explain(console, entry) for entry in dict.fromkeys(entries))


async def _find(url: str, decision_id: str) -> list[Entry]:
    store = open_valkey(url)
    try:
        return await find_entries(store, decision_id)
    finally:
        await store.aclose()


def _explain(console: Console, entry: Entry) -> int:
    if isinstance(entry, DecisionRecord):
        return _explain_decision(console, entry)
    if isinstance(entry, DrainRecord):
        return _explain_drain(console, entry)
    rows = [(n, _shown(getattr(entry, n))) for n in type(entry).model_fields if n != "event"]
    console.print(_table(f"Order at {_time(entry.ts)}", ("field", "value"), rows))
    return SAME


def _explain_drain(console: Console, record: DrainRecord) -> int:
    console.print(f"[bold]{record.id}[/bold]: close of a drain in {record.instrument}")
    parts = (
        ("account", record.account),
        *((f"market {m.instrument.name}", m) for m in record.markets),
        ("limits", record.limits),
        ("limits", record.portfolio),
    )
    inputs = (row for name, part in parts for row in _flat(name, part))
    console.print(_table(f"Inputs at {_time(record.ts)}", ("input", "value"), inputs))
    again = record.planned_again()
    rows = (
        (f.name, _shown(before := getattr(record.close, f.name)), _again(before, again, f.name))
        for f in fields(Close)
    )
    console.print(_table("Result", ("result", "recorded", "made again"), rows))
    return _verdict(console, same=again == record.close)


def _explain_decision(console: Console, record: DecisionRecord) -> int:
    console.print(f"[bold]{record.id}[/bold]: {record.kind} of {record.instrument}")
    console.print(_table(f"Inputs at {_time(record.ts)}", ("input", "value"), _inputs(record)))
    console.print(
        _table(
            "Checks of an entry",
            ("check", "verdict", "observed", "allowed"),
            (
                (c.reason, "passed" if c.passed else "FAILED", c.observed, c.allowed)
                for c in record.action.checks
            ),
        )
        if record.action.checks
        else "No entry was asked for: its checks were not needed."
    )
    again = record.decided_again()
    columns = ("result", "recorded", "made again")
    rows = _results(record.action, again)
    console.print(_table("Result", columns, rows))
    return _verdict(console, same=again == record.action)


def _verdict(console: Console, *, same: bool) -> int:
    if same:
        console.print("Made again from its record, the decision is the same.")
        return SAME
    console.print(
        "[bold red]MADE AGAIN FROM ITS RECORD, THE DECISION DIFFERS:[/bold red] the guard that "
        "made it had other rules than this one, or the record was changed."
    )
    return DIFFERS


def _inputs(record: DecisionRecord) -> Iterable[tuple[str, str]]:
    yield "weight", _shown(record.weight)
    yield "weights made at", _time(record.weights_ts)
    yield "gates made at", _time(record.gates_ts)
    yield "weights held", _shown(record.weights_held)
    yield "margin gate before", "open" if record.margin_was_open else "closed"
    yield "broker link", "sound" if record.link_sound else "broken"
    yield "budget left", _shown(record.action.room.headroom)
    yield "margin available once the weights are filled", _shown(record.action.room.base)
    for name, part in (
        ("account", record.account),
        ("market", record.market),
        ("controls", record.controls),
        ("limits", record.limits.entry),
        ("limits", record.limits.portfolio),
    ):
        yield from _flat(name, part)


def _flat(name: str, value: object) -> Iterable[tuple[str, str]]:
    if not is_dataclass(value):
        yield name, _shown(value)
        return
    for field in fields(value):
        yield from _flat(f"{name}.{field.name}", getattr(value, field.name))


def _results(recorded: Action, again: Action) -> Iterable[tuple[str, str, str]]:
    for field in fields(Action):
        if field.name in ("checks", "room"):
            continue
        before, after = getattr(recorded, field.name), getattr(again, field.name)
        yield field.name, _shown(before), "same" if before == after else _shown(after)
    failed = [{c.reason: c.observed for c in a.checks if not c.passed} for a in (recorded, again)]
    same = recorded.checks == again.checks
    yield "failed checks", _shown(failed[0]), "same" if same else _shown(failed[1])


def _again(before: object, again: Close | None, name: str) -> str:
    after = getattr(again, name, None)
    return "same" if before == after else _shown(after)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if is_dataclass(value):
        return ", ".join(f"{f.name} {_shown(getattr(value, f.name))}" for f in fields(value))
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{k} ({v})" for k, v in value.items()) or "-"
    return str(value)


def _time(ts_ms: int | None) -> str:
    return "-" if ts_ms is None else format_rfc3339(ts_ms * NS_PER_MS)


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    sys.exit(main())

"""Shows a record of ``guard:decisions``, and makes its decision again."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from sep_fx.instants import NS_PER_MS, format_rfc3339

from sep_guard.adapters.decision_records import DecisionRecord, DrainRecord, LogRecord
from sep_guard.adapters.remade_decisions import decide_again, plan_again
from sep_guard.domain.actions import Action
from sep_guard.domain.drain import Close


def explain(console: Console, record: LogRecord) -> bool:
    """Print a record; returns whether its decision, made again, is the same."""
    if isinstance(record, DecisionRecord):
        return _explain_decision(console, record)
    if isinstance(record, DrainRecord):
        return _explain_drain(console, record)
    rows = [(n, _text(getattr(record, n))) for n in type(record).model_fields if n != "event"]
    title = f"{record.event.capitalize()} at {_time(record.ts)}"
    console.print(_table(title, ("field", "value"), rows))
    return True


def _explain_drain(console: Console, record: DrainRecord) -> bool:
    console.print(f"[bold]{record.id}[/bold]: close of a drain in {record.instrument}")
    parts = (
        ("account", record.account),
        *((f"market {m.instrument.name}", m) for m in record.markets),
        ("limits", record.limits),
        ("limits", record.portfolio),
    )
    inputs = (row for name, part in parts for row in _flat(name, part))
    console.print(_table(f"Inputs at {_time(record.ts)}", ("input", "value"), inputs))
    again = plan_again(record)
    rows = (
        _comparison(f.name, getattr(record.close, f.name), getattr(again, f.name, None))
        for f in fields(Close)
    )
    console.print(_table("Result", ("result", "recorded", "made again"), rows))
    return _verdict(console, same=again == record.close)


def _explain_decision(console: Console, record: DecisionRecord) -> bool:
    console.print(f"[bold]{record.id}[/bold]: {record.kind} of {record.instrument}")
    console.print(_table(f"Inputs at {_time(record.ts)}", ("input", "value"), _inputs(record)))
    recorded = record.to_action()
    console.print(
        _table(
            "Checks of an entry",
            ("check", "verdict", "observed", "allowed"),
            (
                (c.reason, "passed" if c.passed else "FAILED", c.observed, c.allowed)
                for c in recorded.checks
            ),
        )
        if recorded.checks
        else "The decision was made without the checks of an entry."
    )
    again = decide_again(record)
    columns = ("result", "recorded", "made again")
    console.print(_table("Result", columns, _results(recorded, again)))
    return _verdict(console, same=again == recorded)


def _verdict(console: Console, *, same: bool) -> bool:
    console.print(
        "Made again from its record, the decision is the same."
        if same
        else "[bold red]MADE AGAIN FROM ITS RECORD, THE DECISION DIFFERS:[/bold red] the guard "
        "that made it had other rules than this one, or the record was changed."
    )
    return same


def _inputs(record: DecisionRecord) -> Iterable[tuple[str, str]]:
    yield "weight", _text(record.weight)
    yield "weights made at", _time(record.weights_ts)
    yield "gates made at", _time(record.gates_ts)
    yield "weights held", _text(record.weights_held)
    yield "weight of this instrument held", _text(record.weight_held)
    yield "margin gate before", "open" if record.margin_was_open else "closed"
    yield "broker link", "sound" if record.link_sound else "broken"
    yield "budget left", _text(record.action.room.headroom)
    yield "margin available once the weights are filled", _text(record.action.room.base)
    for name, part in (
        ("account", record.account),
        ("market", record.market),
        ("controls", record.controls),
        ("limits", record.limits.entry),
        ("limits", record.limits.portfolio),
        ("limits", record.limits.risk),
        ("risk", record.risk),
    ):
        yield from _flat(name, part)


def _flat(name: str, value: object) -> Iterable[tuple[str, str]]:
    if not is_dataclass(value):
        yield name, _text(value)
        return
    for field in fields(value):
        yield from _flat(f"{name}.{field.name}", getattr(value, field.name))


def _results(recorded: Action, again: Action) -> Iterable[tuple[str, str, str]]:
    for field in fields(Action):
        if field.name not in ("checks", "capacity"):
            yield _comparison(field.name, getattr(recorded, field.name), getattr(again, field.name))
    failed = [{c.reason: c.observed for c in a.checks if not c.passed} for a in (recorded, again)]
    same = recorded.checks == again.checks
    yield "failed checks", _text(failed[0]), "same" if same else _text(failed[1])


def _comparison(name: str, recorded: object, again: object) -> tuple[str, str, str]:
    return name, _text(recorded), "same" if recorded == again else _text(again)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if is_dataclass(value):
        return ", ".join(f"{f.name} {_text(getattr(value, f.name))}" for f in fields(value))
    if isinstance(value, tuple):
        return ", ".join(map(_text, value)) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{k} ({v})" for k, v in value.items()) or "-"
    return "-" if value is None else str(value)


def _time(ts_ms: int | None) -> str:
    return "-" if ts_ms is None else format_rfc3339(ts_ms * NS_PER_MS)


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table

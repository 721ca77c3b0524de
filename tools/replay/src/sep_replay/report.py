"""Prints the journal as tables."""

from collections.abc import Iterable
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from sep_evaluator.domain.evaluation import Evaluation
from sep_fx.instants import format_seconds

from sep_replay.journal import Event, Journal, Topic

_MAX_ROWS = 40


def print_report(console: Console, journal: Journal, evaluations: Iterable[Evaluation]) -> None:
    """Print gates with their figures and changes, weights, orders, and NAV by day."""
    console.print(_gates(evaluations))
    changes = [e for e in journal.of(Topic.GATE) if e.data["flipped"]]
    _print_rows(
        console,
        "Gate changes",
        ("time", "instrument", "gate", "reasons"),
        map(_gate_change, changes),
    )
    _print_rows(
        console, "Selections", ("time", "weights"), map(_weights, journal.of(Topic.WEIGHTS))
    )
    _print_rows(
        console,
        "Orders",
        ("time", "instrument", "kind", "units", "price", "reasons", "NAV"),
        map(_order, journal.of(Topic.ORDER)),
    )
    _print_rows(
        console,
        "Limits that bound or tripped",
        ("limit", "what", "times", "first", "last", "last instrument", "last figures"),
        _limits(journal.of(Topic.LIMIT)),
        max_rows=100,
    )
    _print_rows(
        console,
        "NAV by day",
        ("day", "NAV", "change", "balance"),
        _days(journal.of(Topic.NAV)),
        max_rows=10_000,
    )


def _gates(evaluations: Iterable[Evaluation]) -> Table:
    table = _table(
        "Gates at the end of the tape",
        ("instrument", "gate", "trades", "Calmar", "return", "floors (trades, Calmar, return)",
         "reasons"),
    )  # fmt: skip
    for e in evaluations:
        summary, floors = e.summary, e.floors
        table.add_row(
            e.instrument,
            "open" if e.gate else "closed",
            str(summary.trades) if summary else "-",
            f"{summary.calmar:.4f}" if summary else "-",
            f"{summary.pnl_total:.6f}" if summary else "-",
            f"{floors.min_trades:g}, {floors.calmar:.4f}, {floors.pnl:.6f} ±{e.buffer:.0%}",
            ", ".join(e.reasons) or "-",
        )
    return table


def _gate_change(event: Event) -> tuple[str, ...]:
    gate = "open" if event.data["gate"] else "closed"
    return format_seconds(event.time), event.subject, gate, ", ".join(event.data["reasons"]) or "-"


def _weights(event: Event) -> tuple[str, ...]:
    weights = event.data["weights"]
    text = "  ".join(f"{i} {w:.4f}" for i, w in weights.items()) or "none"
    return format_seconds(event.time), text


def _order(event: Event) -> tuple[str, ...]:
    data = event.data
    price = getattr(data["answer"], "price", None)
    return (
        format_seconds(event.time),
        event.subject,
        str(data["kind"]).lower(),
        f"{data['units']:f}",
        str(price) if data["filled"] else "not filled",
        ", ".join(data["reasons"]),
        f"{data['nav']:.2f}",
    )


def _limits(events: list[Event]) -> Iterable[tuple[str, ...]]:
    by_kind: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        by_kind.setdefault((event.data["limit"], event.data["kind"]), []).append(event)
    for (limit, kind), found in sorted(by_kind.items()):
        last = found[-1]
        figures = last.data["reason"] or " of ".join(
            _figure(last.data[name]) for name in ("observed", "allowed")
        )
        times = format_seconds(found[0].time), format_seconds(last.time)
        yield limit, kind.lower(), str(len(found)), *times, last.subject, figures


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, Decimal) else str(value)


def _days(events: list[Event]) -> Iterable[tuple[str, ...]]:
    before: Decimal | None = None
    for event in events:
        nav = event.data["nav"]
        change = "" if before is None else f"{nav - before:+.2f}"
        before = nav
        yield event.subject, f"{nav:.2f}", change, f"{event.data['balance']:.2f}"


def _print_rows(
    console: Console,
    title: str,
    columns: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
    max_rows: int = _MAX_ROWS,
) -> None:
    found = list(rows)
    table = _table(f"{title} ({len(found)})", columns)
    for row in found[-max_rows:]:
        table.add_row(*row)
    console.print(table)
    if len(found) > max_rows:
        console.print(f"  the last {max_rows} of {len(found)}; --json FILE has them all")


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table

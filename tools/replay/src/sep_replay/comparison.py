"""Compares two runs: NAV, drawdown, trades, settings, and the first decision that differs."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sep_replay.run_folder import EVENTS, MANIFEST, TRADES

# What a decision is; its figures may differ in the last digit and mean the same.
_SAME = ("time", "subject", "kind", "target", "order", "reasons")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """Figures of a run.

    Attributes:
        nav: at the end, home currency.
        drawdown_pct: the largest fall of NAV, seen at orders and ends of days, in percent.
        trades, wins: closed parts of trades, and those with a profit.
        realized_pl: their sum.
    """

    nav: Decimal
    drawdown_pct: Decimal
    trades: int
    wins: int
    realized_pl: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as read from its folder."""

    name: str
    manifest: dict[str, Any]
    events: list[dict[str, Any]]
    figures: RunFigures

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Read a folder that ``--out`` wrote.

        Raises:
            ValueError: it is no such folder; names the file.
        """
        path = folder / MANIFEST
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            path = folder / EVENTS
            events = json.loads(path.read_text(encoding="utf-8"))["events"]
            path = folder / TRADES
            with path.open(encoding="utf-8", newline="") as file:
                trades = list(csv.DictReader(file))
            figures = _figures(manifest, events, trades)
        except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise ValueError(
                f"{path} can't be read: {error!r}; give folders that sep-replay --out wrote"
            ) from None
        return cls(name=str(folder), manifest=manifest, events=events, figures=figures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        settings: each setting, parameter or candle series that differs: a's value and b's.
        first_difference: the first decision that one run has and the other has not, or has
            otherwise; None where all are the same.
    """

    a: RunFigures
    b: RunFigures
    settings: dict[str, tuple[Any, Any]]
    first_difference: tuple[dict[str, Any] | None, dict[str, Any] | None] | None

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values; decimals as strings."""
        difference = self.first_difference
        return {
            "a": _plain(self.a),
            "b": _plain(self.b),
            "settings": {n: {"a": a, "b": b} for n, (a, b) in self.settings.items()},
            "first_difference": None
            if difference is None
            else {"a": difference[0], "b": difference[1]},
        }


def compare(a: Run, b: Run) -> Comparison:
    """Compare two runs."""
    return Comparison(
        a=a.figures,
        b=b.figures,
        settings=dict(_differing(a.manifest, b.manifest)),
        first_difference=_first_difference(a.events, b.events),
    )


def print_comparison(console: Console, a: Run, b: Run, found: Comparison) -> None:
    """Print a comparison as tables."""
    table = Table(title="Figures", title_justify="left")
    for column in ("", a.name, b.name, "difference"):
        table.add_column(column, overflow="fold")
    for name, one in asdict(found.a).items():
        other = getattr(found.b, name)
        table.add_row(
            name.replace("_", " "),
            *(f"{v:.6g}" for v in (one, other)),
            f"{float(other - one):+.6g}",
        )
    console.print(table)
    if found.settings:
        table = Table(title="What differs between them", title_justify="left")
        for column in ("setting", a.name, b.name):
            table.add_column(column, overflow="fold")
        for name, (one, other) in found.settings.items():
            table.add_row(name, _shown(one), _shown(other))
        console.print(table)
    if found.first_difference is None:
        console.print("All decisions are the same.")
        return
    console.print("The first decision that differs:")
    for name, decision in zip((a.name, b.name), found.first_difference, strict=True):
        console.print(f"  {name}: {'none' if decision is None else _decision(decision)}")


def _figures(
    manifest: dict[str, Any], events: list[dict[str, Any]], trades: list[dict[str, str]]
) -> RunFigures:
    navs = [Decimal(manifest["balance"]), *(Decimal(e["nav"]) for e in events if "nav" in e)]
    peak, drawdown = navs[0], Decimal(0)
    for nav in navs:
        peak = max(peak, nav)
        drawdown = max(drawdown, 1 - nav / peak)
    results = [Decimal(t["realized_pl"]) for t in trades]
    return RunFigures(
        nav=navs[-1],
        drawdown_pct=drawdown * 100,
        trades=len(results),
        wins=sum(r > 0 for r in results),
        realized_pl=sum(results, Decimal(0)),
    )


def _differing(a: Any, b: Any, name: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Leaves of two manifests that differ, by their dotted names."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            yield from _differing(a.get(key), b.get(key), f"{name}.{key}" if name else key)
    elif a != b:
        yield name.removeprefix("settings."), (a, b)


def _first_difference(
    a: Iterable[dict[str, Any]], b: Iterable[dict[str, Any]]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None] | None:
    for one, other in zip_longest(_decisions(a), _decisions(b)):
        if one != other:
            # The earlier of the two is the one that the other run does not have.
            if one and other and one["time"] != other["time"]:
                return (one, None) if one["time"] < other["time"] else (None, other)
            return one, other
    return None


def _decisions(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return ({n: e[n] for n in _SAME} for e in events if e["topic"] == "decision")


def _decision(found: dict[str, Any]) -> str:
    return (
        f"{found['time']} {found['subject']} {found['kind']} order {found['order']} "
        f"target {found['target']} {', '.join(found['reasons'])}"
    )


def _plain(figures: RunFigures) -> dict[str, Any]:
    return {n: f"{v:f}" if isinstance(v, Decimal) else v for n, v in asdict(figures).items()}


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)

"""Shared by the suites: figures, timing, a description of the machine, table and JSON output."""

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

_PACKAGES = ("numpy", "numba", "llvmlite", "vectorbt", "backtesting")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a run: ``quick`` means fewer repeats and shorter baselines.

    ``baseline`` is another checkout, with its own ``.venv``, that the guard is compared with;
    ``nautilus`` an interpreter that has NautilusTrader.
    """

    quick: bool = False
    baseline: Path | None = None
    nautilus: Path | None = None

    @property
    def repeats(self) -> int:
        return 3 if self.quick else 10


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    ``target`` is what it is compared with: a goal, or a peer named by ``against``. ``value`` is
    None if nothing could be measured. ``ratio`` is above 1 if the figure is better than its target.
    """

    name: str
    value: float | None
    unit: str
    target: float | None = None
    against: str = "goal"
    lower_is_better: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        if self.target is None or not self.value or not self.target:
            return None
        return self.target / self.value if self.lower_is_better else self.value / self.target


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest of several runs, which other load on the machine affects least."""
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def percentile_ms(seconds: Sequence[float], percentile: float) -> float:
    """A percentile of times in seconds, in milliseconds."""
    return float(np.percentile(seconds, percentile)) * 1000


def machine() -> dict[str, Any]:
    """Hardware, system and package versions that the figures were measured with."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def show(title: str, figures: list[Figure], console: Console) -> None:
    """Print the figures as a table; those that miss their goal are marked."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column, justify in (("what", "left"), ("measured", "right"), ("compared with", "right")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("ratio", justify="right")
    table.add_column("", overflow="fold")
    for figure in figures:
        ratio, missed = figure.ratio, False
        if ratio is not None:
            missed = ratio < 1 and figure.against == "goal"
        table.add_row(
            figure.name,
            "-" if figure.value is None else f"{_digits(figure.value)} {figure.unit}",
            "" if figure.target is None else f"{figure.against} {_digits(figure.target)}",
            "" if ratio is None else f"{_digits(ratio)} x",
            f"MISSES THE GOAL {figure.note}".strip() if missed else figure.note,
            style="red" if missed else "",
        )
    console.print(table)


def save(path: Path, title: str, measured_on: dict[str, Any], figures: list[Figure]) -> None:
    """Write the figures and the machine as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [asdict(figure) | {"ratio": figure.ratio} for figure in figures]
    content = {"title": title, "machine": measured_on, "figures": rows}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _digits(value: float) -> str:
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

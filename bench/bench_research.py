"""The quant's commands from their start to their file, the catalogue, and a replay of the chain.

The peers of the sweep's loop are in the suite ``sweep``. Beside a replay stands NautilusTrader, an
engine with a chain of events, if ``--nautilus`` names an interpreter that has it: it gets the same
bars and the entries of our replay, and only carries these out. It has no gates, no allocator and
no guard, and its strategy looks nothing up, so the ratio flatters it. vectorbt has no decision that
depends on the account, backtesting.py one instrument a run.
"""

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from sep_allocator.settings import AllocatorSettings
from sep_data.catalogue import Catalogue
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.bars import Bars
from sep_fx.candle_csv import PRICE_COLUMNS
from sep_fx.granularity import Granularity
from sep_fx.instants import format_seconds
from sep_guard.domain.actions import Kind
from sep_guard.settings import GuardSettings
from sep_kit.settings.loading import load_settings
from sep_paper_broker.market.instruments import EVERY_LISTING
from sep_replay.engine import Replay, ReplaySettings
from sep_replay.journal import Journal, Topic
from sep_replay.tape import Tape

from bench.minutes import series
from bench.runner import Figure, Options, best_seconds

TITLE = "research: commands from start to file, catalogue, replay"

_YEARS_BARS = 28 * 2 * 365 * 1440 * 5 // 7  # 28 pairs, 2 years, five days of seven
_REPLAY_GOAL_S = 300
_GRID = "c_min: [0.5, 0.52, 0.54, 0.55, 0.56]\nmax_entropy: [0.75, 0.8, 0.85, 0.9, 1.0]\n"
_PAIRS = tuple(name for name in EVERY_LISTING if not name.startswith("X"))


def measure(options: Options) -> list[Figure]:
    """All figures of this suite."""
    return [*_commands(options), *_replays(options)]


def _commands(options: Options) -> list[Figure]:
    days = 9 if options.quick else 90
    bars, kind = series(8, days * 1440 * 5 // 7)
    # The last goals are those of the whole length.
    goal, load_goal = (None, None) if options.quick else (2.0, 0.3)
    work = f"8 pairs x {days} days"
    with tempfile.TemporaryDirectory() as name:
        csv, catalogue = Path(name, "csv"), Path(name, "catalogue")
        csv.mkdir()
        for pair, whole in zip(_PAIRS, bars.values(), strict=False):
            _write(csv / f"{pair}_M1_x.csv", whole)
        grid = Path(name, "grid.yaml")
        grid.write_text(_GRID, encoding="utf-8")
        _run("sep_data", "import", "csv", str(csv), "--out", str(catalogue))
        sweep = ("sep_evaluator.cli", "sweep", "--candles", str(csv), "--grid", str(grid))
        of_csv = min(_run(*sweep, "--json", os.devnull) for _ in range(3))
        folds = ("--walk-forward", "3d/1d") if options.quick else ()
        search = ("sep_research", "sweep", str(catalogue), "--grid", str(grid), "--null", "0")
        of_catalogue = min(
            _run(*search, *folds, "--out", str(Path(name, f"run{at}"))) for at in range(3)
        )
        found = Catalogue.existing(catalogue)

        def load() -> None:
            for pair in found.instruments():
                found.load(pair, Granularity.M1)

        loaded = best_seconds(load, options.repeats)
    return [
        Figure(
            f"sep-research sweep of {work} x 25 sets, whole command", of_catalogue, "s", goal,
            lower_is_better=True, note=f"no null runs; {kind}",
        ),
        Figure(
            f"sep-evaluator sweep of {work} x 25 sets, whole command", of_csv, "s", goal,
            lower_is_better=True, note="from CSV",
        ),
        Figure(
            f"loading {work} from a catalogue", loaded, "s", load_goal, lower_is_better=True,
        ),
    ]  # fmt: skip


def _run(module: str, *arguments: str) -> float:
    """Seconds that a command takes, its start included."""
    started = time.perf_counter()
    command = [sys.executable, "-P", "-m", module, *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def _write(path: Path, bars: Bars) -> None:
    columns = [getattr(bars, name).tolist() for name in PRICE_COLUMNS]
    with path.open("w", encoding="ascii") as text:
        text.write(",".join(("time", *PRICE_COLUMNS)) + "\n")
        for at, *prices in zip(bars.time.tolist(), *columns, strict=True):
            text.write(f"{format_seconds(at)}," + ",".join(f"{p:.5f}" for p in prices) + "\n")


def _replays(options: Options) -> list[Figure]:
    tape = _tape(300 if options.quick else 2880)
    figures = []
    peer = None if options.nautilus is None else _Peer(options.nautilus, tape)
    Replay(_tape(30), _settings(open_gates=True)).run()  # loads compiled code
    for name, open_gates in (("gates as they are", False), ("every gate open", True)):
        gc.collect()
        replay = Replay(tape, _settings(open_gates=open_gates))
        started = time.process_time()  # one thread: what else runs on the machine does not count
        journal = replay.run()
        taken = time.process_time() - started
        whole = taken / len(tape) * _YEARS_BARS
        note = f"extrapolated to 2 years: {whole / 60:.0f} min; goal {_REPLAY_GOAL_S / 60:.0f}"
        figures.append(
            Figure(
                f"replay of 28 pairs, {name}", len(tape) / taken / 1e3, "k bars/s",
                _YEARS_BARS / _REPLAY_GOAL_S / 1e3, note=note,
            )
        )  # fmt: skip
        if peer is not None:
            rate, carried = peer.rate(journal)
            figures.append(
                Figure(
                    f"replay of 28 pairs, {name}", len(tape) / taken / 1e3, "k bars/s",
                    rate / 1e3, against="NautilusTrader",
                    note=f"it only carries out our {carried} entries",
                )
            )  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures.append(Figure("memory of this process at most", peak, "MB"))
    return figures


class _Peer:
    """NautilusTrader over the bars of a tape; see ``nautilus_peer.py``."""

    def __init__(self, python: Path, tape: Tape) -> None:
        self._python = python
        self._tape = tape

    def rate(self, journal: Journal) -> tuple[float, int]:
        """Bars a second of its processor time, and how many entries it was given."""
        entries: dict[str, list[tuple[float, ...]]] = {pair: [] for pair in self._tape.bars}
        for event in journal.of(Topic.DECISION):
            stops = event.data["brackets"]
            if event.data["kind"] is Kind.ENTRY and stops is not None:
                order = (event.data["order"], stops.stop_loss, stops.take_profit)
                entries[event.subject].append((event.time, *map(float, order)))
        work: dict[str, Any] = {}
        for pair, bars in self._tape.bars.items():
            work[f"{pair}/bars"] = np.stack([getattr(bars, name) for name in PRICE_COLUMNS])
            work[f"{pair}/time"] = bars.time + self._tape.granularity.seconds
            work[f"{pair}/entries"] = np.array(entries[pair]).reshape(-1, 4)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "work.npz")
            np.savez(file, **work)
            script = Path(__file__).with_name("nautilus_peer.py")
            command = (self._python, "-P", script, file)
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        return len(self._tape) / answer["seconds"], sum(map(len, entries.values()))


def _tape(length: int) -> Tape:
    """Each pair with a bar every minute, as 28 liquid pairs have."""
    bars, _ = series(28, length)
    time = next(iter(bars.values())).time
    named: Mapping[str, Bars] = {
        pair: _at_level(replace(found, time=time), 100.0 if pair.endswith("JPY") else 1.0)
        for pair, found in zip(_PAIRS, bars.values(), strict=False)
    }
    return Tape(Granularity.M1, named)


def _at_level(bars: Bars, factor: float) -> Bars:
    return replace(bars, **{name: getattr(bars, name) * factor for name in PRICE_COLUMNS})


def _settings(*, open_gates: bool) -> ReplaySettings:
    environ = {"CANDLE_GRANULARITY": "M1", "MARKET_CALENDAR": "24x7"}
    return ReplaySettings(
        load_settings(EvaluatorSettings, environ),
        load_settings(AllocatorSettings, environ),
        load_settings(GuardSettings, environ),
        Decimal(100_000),
        open_gates=open_gates,
    )

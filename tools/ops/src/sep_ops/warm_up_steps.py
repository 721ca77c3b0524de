"""The three steps of a warm-up: backfill, prime, hydrate."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sep_client.models import CoherenceStatus, RankedInstrument
from sep_kit.clock import Clock, now_s

from sep_ops.candle_history import CandleHistory, History
from sep_ops.connection import CallError, StackClient

POLL_S = 1.0
"""Seconds between two looks at the stack."""


@dataclass(frozen=True)
class Missing:
    """Something that is not there when a step ends."""

    step: str
    what: str
    why: str


Check = Callable[[], dict[str, str]]
"""Returns what is still missing, with the reason; empty once nothing is."""


class WarmUp:
    """The steps, for one stack.

    Each step checks first what is there already, so a repeated step does nothing.

    Args:
        wait_s: longest wait of ``prime`` and ``hydrate``, each.
    """

    def __init__(
        self,
        client: StackClient,
        pairs: Sequence[str],
        console: Console,
        wait_s: float,
        clock: Clock,
    ) -> None:
        self._client = client
        self._pairs = tuple(pairs)
        self._console = console
        self._wait_s = wait_s
        self._clock = clock

    def backfill(self, history: History) -> list[Missing]:
        """Store the history of every pair where it is not stored yet."""
        missing = []
        candles = CandleHistory(self._client, history)
        with _progress(self._console) as progress:
            task = progress.add_task("backfill", total=len(self._pairs), what="")
            for pair in self._pairs:
                progress.update(task, what=f"{pair} {history.count} x {history.granularity}")
                if why := candles.complete(pair, now_s(self._clock)):
                    missing.append(Missing("backfill", pair, why))
                progress.advance(task)
        return missing

    def prime(self) -> list[Missing]:
        """Wait until signals, blob, weights and budget are made from fresh data."""
        wanted = [*self._pairs, "gates_blob", "weights", "budget"]
        return self._wait_for("prime", wanted, self._not_primed)

    def hydrate(self) -> list[Missing]:
        """Wait until every pair has coherence, coefficients and a rank."""
        return self._wait_for("hydrate", [*self._pairs, "allocation"], self._not_hydrated)

    def _not_primed(self) -> dict[str, str]:
        missing = {}
        verdicts = {f.name: f.verdict for f in self._client.status().freshness}
        closed = self._closed()
        for name in ("gates_blob", "weights"):
            if verdicts.get(name) != "fresh":
                missing[name] = verdicts.get(name, "missing")
        for pair in self._pairs:
            verdict = verdicts.get(f"signal:{pair}", "missing")
            # A closed market makes no candles: its last signal is as old as its close.
            if verdict != "fresh" and not (verdict == "stale" and pair in closed):
                missing[pair] = f"signal {verdict}"
        if not missing:
            # A dry run orders nothing, and makes the guard read account, prices and weights once.
            actions = self._client.reconcile(dry_run=True).actions
            seen = {action.instrument for action in actions}
            missing |= {p: "the guard does not look at it" for p in self._pairs if p not in seen}
            if self._client.budget().budget <= 0:
                missing["budget"] = "the risk budget is zero"
        return missing

    def _not_hydrated(self) -> dict[str, str]:
        missing = {}
        closed = self._closed()
        statuses = {status.instrument: status for status in self._client.coherence().statuses}
        ranking = {ranked.instrument: ranked for ranked in self._client.ranking().ranking}
        for pair in self._pairs:
            why = _not_shown(pair, statuses, ranking, fresh=pair not in closed)
            if not why:
                try:
                    self._client.manifold_coeffs(pair)
                except CallError as error:
                    why = str(error)
            if why:
                missing[pair] = why
        allocation = self._client.allocation_status()
        if allocation.held:
            missing["allocation"] = f"held: {allocation.held_reason}"
        return missing

    def _closed(self) -> set[str]:
        return {pair.instrument for pair in self._client.pairs().pairs if not pair.open}

    def _wait_for(self, step: str, wanted: Sequence[str], check: Check) -> list[Missing]:
        deadline = time.monotonic() + self._wait_s
        with _progress(self._console) as progress:
            task = progress.add_task(step, total=len(wanted), what="")
            while True:
                try:
                    missing = check()
                except CallError as error:
                    missing = dict.fromkeys(wanted, str(error))
                progress.update(
                    task, completed=len(wanted) - len(missing), what=", ".join(missing)[:40]
                )
                if not missing:
                    return []
                if time.monotonic() > deadline:
                    return [Missing(step, what, why) for what, why in missing.items()]
                time.sleep(POLL_S)


def _not_shown(
    pair: str,
    statuses: Mapping[str, CoherenceStatus],
    ranking: Mapping[str, RankedInstrument],
    *,
    fresh: bool,
) -> str:
    """Why coherence or ranking of a pair is incomplete, or ""; ``fresh`` if it must be fresh."""
    status, ranked = statuses.get(pair), ranking.get(pair)
    if status is None or status.metrics is None:
        return "no coherence"
    if fresh and not status.fresh:
        return "coherence is not fresh"
    if ranked is None or ranked.metrics is None:
        return "not ranked"
    return ""


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}"),
        console=console,
    )

"""Warm the stack up after a deploy: candles, then the loop, then what operators read.

Three steps, in this order:

  backfill  history of every instrument is stored (fetched only where it is missing)
  prime     evaluator, allocator and guard work on it: signals, blob, weights, budget
  hydrate   coherence, coefficients and ranking are real for every instrument

Each step first asks the stack what is there already, so a run that was stopped goes on where it
stopped, and a run after a good one does nothing. Exits with 0 when everything is there, with 1
and a table of what is missing otherwise, with 2 when the call itself is wrong.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from candle_history import MAX_COUNT, CandleHistory, History
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sep_fx.granularity import Granularity
from stack_api import ApiError, StackApi, add_connection_options
from stoppable import run

STEPS = ("backfill", "prime", "hydrate")

_POLL_S = 1.0
_BEGIN_S = 20.0
_UNAVAILABLE = 503


@dataclass(frozen=True)
class Missing:
    """What a step could not bring about."""

    step: str
    what: str
    why: str


Check = Callable[[], dict[str, str]]
"""What is still missing, with the reason; empty once nothing is."""


class WarmUp:
    """The steps, against one stack."""

    def __init__(self, api: StackApi, pairs: Sequence[str], console: Console, wait_s: float):
        self._api = api
        self._pairs = tuple(pairs)
        self._console = console
        self._wait_s = wait_s

    def backfill(self, history: History) -> list[Missing]:
        """Store the history of every pair, where it is not stored yet."""
        missing = []
        candles = CandleHistory(self._api, history)
        with _progress(self._console) as progress:
            task = progress.add_task("backfill", total=len(self._pairs), what="")
            for pair in self._pairs:
                progress.update(task, what=f"{pair} {history.count} x {history.granularity}")
                if why := candles.complete(pair, _now_s()):
                    missing.append(Missing("backfill", pair, why))
                progress.advance(task)
        return missing

    def prime(self) -> list[Missing]:
        """Wait until the loop works on fresh data for every pair."""
        return self._wait_for("prime", [*self._pairs, "gates_blob", "weights", "budget"], self._raw)

    def hydrate(self) -> list[Missing]:
        """Wait until what operators read is real for every pair."""
        return self._wait_for("hydrate", [*self._pairs, "allocation"], self._unreal)

    def _raw(self) -> dict[str, str]:
        """What the loop has not made yet."""
        missing = {}
        verdicts = {
            f["name"]: f["verdict"] for f in self._api.get("/api/status").get("freshness", [])
        }
        shut = self._shut()
        for name in ("gates_blob", "weights"):
            if verdicts.get(name) != "fresh":
                missing[name] = verdicts.get(name, "missing")
        for pair in self._pairs:
            verdict = verdicts.get(f"signal:{pair}", "missing")
            # No candle, no signal: a shut market's last signal is as old as its close.
            if verdict != "fresh" and not (verdict == "stale" and pair in shut):
                missing[pair] = f"signal {verdict}"
        if not missing:
            # A cycle that orders nothing: the guard reads account, prices and weights once.
            actions = self._api.post("/api/trade/reconcile", {"dry_run": True}).get("actions", [])
            seen = {a["instrument"] for a in actions}
            missing |= {p: "the guard does not look at it" for p in self._pairs if p not in seen}
            if float(self._api.get("/api/risk/budget")["budget"]) <= 0:
                missing["budget"] = "the risk budget is zero"
        return missing

    def _unreal(self) -> dict[str, str]:
        """What operators can't read yet."""
        missing = {}
        shut = self._shut()
        statuses = {
            s["instrument"]: s for s in self._api.get("/api/coherence/status").get("statuses", [])
        }
        ranking = {
            r["instrument"]: r for r in self._api.get("/api/ranking/active").get("ranking", [])
        }
        for pair in self._pairs:
            status, ranked = statuses.get(pair, {}), ranking.get(pair, {})
            if not status.get("metrics"):
                missing[pair] = "no coherence"
            elif not status.get("fresh") and pair not in shut:
                missing[pair] = "coherence is not fresh"
            elif not ranked.get("metrics"):
                missing[pair] = "not ranked"
            else:
                try:
                    self._api.get("/api/manifold/coeffs", instrument=pair)
                except ApiError as error:
                    missing[pair] = str(error)
        allocation = self._api.get("/api/risk/allocation-status")
        if allocation["held"]:
            missing["allocation"] = f"held: {allocation['held_reason']}"
        return missing

    def _shut(self) -> set[str]:
        pairs = self._api.get("/api/pairs")["pairs"]
        return {p["instrument"] for p in pairs if not p["open"]}

    def _wait_for(self, step: str, wanted: Sequence[str], check: Check) -> list[Missing]:
        deadline = time.monotonic() + self._wait_s
        with _progress(self._console) as progress:
            task = progress.add_task(step, total=len(wanted), what="")
            while True:
                try:
                    missing = check()
                except ApiError as error:
                    missing = dict.fromkeys(wanted, str(error))
                progress.update(
                    task, completed=len(wanted) - len(missing), what=", ".join(missing)[:40]
                )
                if not missing:
                    return []
                if time.monotonic() > deadline:
                    return [Missing(step, what, why) for what, why in missing.items()]
                time.sleep(_POLL_S)


def _now_s() -> int:
    return time.time_ns() // 1_000_000_000


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}"),
        console=console,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the steps; the exit code."""
    arguments = _parser().parse_args(argv)
    console = Console(stderr=True)
    api = StackApi(arguments.url, arguments.key_file)
    try:
        pairs, history = _begin(api, arguments)
    except ApiError as error:
        console.print(f"can't begin: {error}", style="red")
        return 1
    warm_up = WarmUp(api, pairs, console, arguments.wait)
    steps = {
        "backfill": lambda: warm_up.backfill(history),
        "prime": warm_up.prime,
        "hydrate": warm_up.hydrate,
    }
    for step in STEPS:
        if step in arguments.steps and (missing := steps[step]()):
            console.print(_missing_table(missing))
            return 1
    console.print(f"warm: {', '.join(arguments.steps)} for {len(pairs)} instruments")
    return 0


def _missing_table(missing: Sequence[Missing]) -> Table:
    table = Table("step", "missing", "why", title="not warm")
    for row in missing:
        table.add_row(row.step, row.what, row.why)
    return table


def _begin(api: StackApi, arguments: argparse.Namespace) -> tuple[list[str], History]:
    """What to warm up. A stack that has just come up may not know all its parts yet."""
    deadline = time.monotonic() + min(_BEGIN_S, arguments.wait)
    while True:
        try:
            pairs = arguments.pairs or [p["instrument"] for p in api.get("/api/pairs")["pairs"]]
            return list(pairs), _history(api, pairs, arguments)
        except ApiError as error:
            if error.status < _UNAVAILABLE or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


def _history(api: StackApi, pairs: Sequence[str], arguments: argparse.Namespace) -> History:
    granularity = arguments.granularity or Granularity(
        api.get("/api/candles", instrument=pairs[0], limit=1)["granularity"]
    )
    if arguments.count:
        return History.of_count(granularity, arguments.count)
    sessions = [pair["session"]["active"] for pair in api.get("/api/pairs")["pairs"]]
    always = any("24x7" in active for active in sessions)
    return History.of_days(granularity, arguments.days, _now_s(), always=always)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="warmup_orchestrator.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--steps", type=_steps, default=STEPS, metavar="LIST", help=f"of {','.join(STEPS)}; all"
    )
    parser.add_argument(
        "--pairs", type=_names, metavar="LIST", help="such as EUR_USD,USD_JPY; all of the stack's"
    )
    parser.add_argument(
        "--days", type=_positive, default=90, metavar="N",
        help=f"history to have, up to {MAX_COUNT} candles (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--count", type=_count, metavar="N", help="candles to have, over --days")
    parser.add_argument(
        "--granularity", type=_granularity, metavar="M1", help="bars; the stack's own"
    )
    parser.add_argument(
        "--wait", type=_positive, default=300, metavar="SECONDS",
        help="give prime and hydrate this long each (%(default)s)",
    )  # fmt: skip
    add_connection_options(parser)
    return parser


def _steps(text: str) -> tuple[str, ...]:
    steps = _names(text)
    if bad := [s for s in steps if s not in STEPS]:
        raise argparse.ArgumentTypeError(f"{', '.join(bad)}: not one of {', '.join(STEPS)}")
    return steps


def _names(text: str) -> tuple[str, ...]:
    if not (names := tuple(name.strip() for name in text.split(",") if name.strip())):
        raise argparse.ArgumentTypeError(f"{text!r}: names with commas between them")
    return names


def _granularity(text: str) -> Granularity:
    try:
        return Granularity(text)
    except ValueError as error:
        allowed = ", ".join(Granularity)
        raise argparse.ArgumentTypeError(f"{text!r} is none of {allowed}") from error


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_COUNT:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1 to {MAX_COUNT}")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r}: a number above 0")
    return number


if __name__ == "__main__":
    run(main, stopped="run it again to go on where it was")

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
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from stack_api import ApiError, StackApi, add_connection_options

STEPS = ("backfill", "prime", "hydrate")
MAX_COUNT = 200_000
"""Candles that one fetch may ask for."""

_SECONDS = {
    **{f"S{n}": n for n in (5, 10, 15, 30)},
    **{f"M{n}": n * 60 for n in (1, 2, 4, 5, 10, 15, 30)},
    **{f"H{n}": n * 3600 for n in (1, 2, 3, 4, 6, 8, 12)},
    "D": 86_400,
}
_EXACT = 5_000  # up to here candles are counted, beyond it days are
_ATTEMPTS = 3
# The broker makes one instrument's candles while another's are stored.
_AT_ONCE = 2
_POLL_S = 1.0
_SATURDAY = 5
# From Friday 22:00 to Sunday 21:00 UTC no FX market trades, whatever the season.
_WEEKEND_S = 47 * 3600


@dataclass(frozen=True)
class Missing:
    """What a step could not bring about."""

    step: str
    what: str
    why: str


@dataclass(frozen=True)
class History:
    """How far back candles are wanted; ``always`` is a market that never closes."""

    granularity: str
    count: int
    days: float
    always: bool

    @property
    def seconds(self) -> int:
        """Length of a bar."""
        return seconds_of(self.granularity)


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
        with _progress(self._console) as progress:
            task = progress.add_task("backfill", total=len(self._pairs), what="")
            for at in range(0, len(self._pairs), _AT_ONCE):
                some = self._pairs[at : at + _AT_ONCE]
                what = f"{', '.join(some)}: {history.count} x {history.granularity}"
                progress.update(task, what=what)
                faults = self._backfill_some(some, history)
                missing += [Missing("backfill", pair, why) for pair, why in faults.items()]
                progress.advance(task, len(some))
        return missing

    def prime(self) -> list[Missing]:
        """Wait until the loop works on fresh data for every pair."""
        return self._wait_for("prime", [*self._pairs, "gates_blob", "weights", "budget"], self._raw)

    def hydrate(self) -> list[Missing]:
        """Wait until what operators read is real for every pair."""
        return self._wait_for("hydrate", [*self._pairs, "allocation"], self._unreal)

    def _backfill_some(self, pairs: Sequence[str], history: History) -> dict[str, str]:
        """Fetch what is missing of these pairs; why not, by pair."""
        faults: dict[str, str] = {}
        for _ in range(_ATTEMPTS):
            # Pages that came before a fault are stored: the next attempt asks for less.
            counts: dict[str, int] = {}
            faults = {}
            for pair in pairs:
                try:
                    counts[pair] = self._candles_missing(pair, history)
                except ApiError as error:
                    faults[pair] = str(error)
            wanted = [pair for pair, count in counts.items() if count]
            if wanted:
                body = {
                    "instruments": wanted,
                    "granularity": history.granularity,
                    "count": max(counts.values()),
                }
                try:
                    stored = self._api.post("/api/candles/fetch", body)["stored"]
                except ApiError as error:
                    faults |= dict.fromkeys(wanted, str(error))
                else:
                    # Fewer than asked for: that is all the history the broker has.
                    none = "the broker sent no candle"
                    faults |= {s["instrument"]: none for s in stored if not s["fetched"]}
            if not faults:
                break
        return faults

    def _candles_missing(self, pair: str, history: History) -> int:
        """How many of the latest candles to fetch, so that none is missing."""
        if history.count <= _EXACT:
            have = self._api.get(
                "/api/candles",
                instrument=pair,
                granularity=history.granularity,
                limit=history.count,
            )["candles"]
            late = not have or time_ms() - have[-1]["ts_ms"] > 86_400_000 * 3
            return history.count if late or len(have) < history.count else 0
        now = datetime.fromtimestamp(time_ms() / 1000, UTC)
        day = (now - timedelta(days=history.days)).replace(
            hour=0, minute=0, second=0, microsecond=0
        ) + timedelta(days=1)
        while day < now - timedelta(days=1):
            if is_trading_day(day) and not self._has_candles(pair, history.granularity, day):
                return min(history.count, bars_between(day, now, history))
            day += timedelta(days=1)
        return 0

    def _has_candles(self, pair: str, granularity: str, day: datetime) -> bool:
        answer = self._api.get(
            "/api/candles",
            instrument=pair,
            granularity=granularity,
            limit=1,
            to=rfc3339(day + timedelta(days=1)),
            **{"from": rfc3339(day)},
        )
        return bool(answer["candles"])

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


def seconds_of(granularity: str) -> int:
    """Length of a bar in seconds.

    Raises:
        ValueError: the stack keeps no such bars.
    """
    if granularity not in _SECONDS:
        raise ValueError(f"{granularity!r} is none of {', '.join(_SECONDS)}")
    return _SECONDS[granularity]


def is_trading_day(day: datetime) -> bool:
    """Whether some candle of that day must exist: a week day, and no holiday."""
    return day.weekday() < 5 and (day.month, day.day) not in {(12, 25), (1, 1)}


def bars_between(start: datetime, end: datetime, history: History) -> int:
    """How many bars there can be, at most: an FX market sleeps over the weekend."""
    seconds = (end - start).total_seconds()
    if not history.always:
        days = (start + timedelta(days=n) for n in range((end - start).days + 2))
        weekends = sum(1 for day in days if day.weekday() == _SATURDAY and day < end)
        seconds -= min(seconds, weekends * _WEEKEND_S)
    return min(MAX_COUNT, int(seconds / history.seconds) + 1)


def rfc3339(time: datetime) -> str:
    """A time as the API reads it."""
    return time.isoformat().replace("+00:00", "Z")


def time_ms() -> float:
    """Now."""
    return time.time_ns() / 1e6


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
        pairs = arguments.pairs or [p["instrument"] for p in api.get("/api/pairs")["pairs"]]
        history = _history(api, pairs, arguments)
    except ApiError as error:
        console.print(f"can't begin: {error}", style="red")
        return 1
    warm_up = WarmUp(api, pairs, console, arguments.wait)
    missing: list[Missing] = []
    for step in (s for s in STEPS if s in arguments.steps):
        missing = warm_up.backfill(history) if step == "backfill" else getattr(warm_up, step)()
        if missing:
            break
    if not missing:
        console.print(f"warm: {', '.join(arguments.steps)} for {len(pairs)} instruments")
        return 0
    table = Table("step", "missing", "why", title="not warm")
    for row in missing:
        table.add_row(row.step, row.what, row.why)
    console.print(table)
    return 1


def _history(api: StackApi, pairs: Sequence[str], arguments: argparse.Namespace) -> History:
    granularity = (
        arguments.granularity
        or api.get("/api/candles", instrument=pairs[0], limit=1)["granularity"]
    )
    if arguments.count:
        days = arguments.count * seconds_of(granularity) / 86_400
        return History(granularity, arguments.count, days, always=True)
    shown = api.get("/api/pairs")["pairs"]
    always = any("24x7" in p["session"]["active"] for p in shown)
    now = datetime.fromtimestamp(time_ms() / 1000, UTC)
    days = min(arguments.days, MAX_COUNT * seconds_of(granularity) / 86_400)
    history = History(granularity, MAX_COUNT, days, always)
    return replace(history, count=bars_between(now - timedelta(days=days), now, history))


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
        "--days", type=_positive, default=90, metavar="N", help="history to have (%(default)s)"
    )
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
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _granularity(text: str) -> str:
    try:
        seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


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
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; what is stored stays, and the next run goes on from there")

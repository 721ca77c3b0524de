"""Warm the stack up after a deploy: candles, then the loop, then what operators read.

Three steps, in this order:

  backfill  the history of every instrument is stored (fetched only where it is missing)
  prime     evaluator, allocator and guard work on it: signals, blob, weights, budget
  hydrate   coherence, coefficients and ranking are available for every instrument

Each step first asks the stack what is there already. A run that was stopped continues when it is
repeated, and a run after a complete one does nothing. Exits with 0 when everything is there, with 1
and a table of what is missing otherwise, with 2 when the call itself is wrong.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sep_fx.granularity import Granularity
from sep_kit.clock import Clock, now_s

from sep_ops.candle_history import MAX_COUNT, History
from sep_ops.command import DONE, FAILED, Command
from sep_ops.connection import CallError, StackClient, add_connection_options, connect
from sep_ops.warm_up_steps import POLL_S, Missing, WarmUp

STEPS = ("backfill", "prime", "hydrate")

_START_S = 20.0  # a stack that has just started may not know all its parts yet
_UNAVAILABLE = 503
_NO_ANSWER = ("UNREACHABLE", "TIMEOUT", "MALFORMED")


def run(options: argparse.Namespace, clock: Clock) -> int:
    """Run the steps and return the exit code."""
    console = Console(stderr=True)
    with connect(options) as client:
        try:
            pairs, history = _scope(client, options, clock)
        except CallError as error:
            console.print(f"can't begin: {error}", style="red")
            return FAILED
        warm_up = WarmUp(client, pairs, console, options.wait, clock)
        steps = {
            "backfill": lambda: warm_up.backfill(history),
            "prime": warm_up.prime,
            "hydrate": warm_up.hydrate,
        }
        for step in STEPS:
            if step in options.steps and (missing := steps[step]()):
                console.print(_table(missing))
                return FAILED
    console.print(f"warm: {', '.join(options.steps)} for {len(pairs)} instruments")
    return DONE


def _table(missing: Sequence[Missing]) -> Table:
    table = Table("step", "missing", "why", title="not warm")
    for row in missing:
        table.add_row(row.step, row.what, row.why)
    return table


def _scope(
    client: StackClient, options: argparse.Namespace, clock: Clock
) -> tuple[list[str], History]:
    """The instruments and the history to warm up.

    Raises:
        CallError: the stack refuses, or is still unavailable or out of reach after 20 s.
    """
    deadline = time.monotonic() + min(_START_S, options.wait)
    while True:
        try:
            pairs = options.pairs or [pair.instrument for pair in client.pairs().pairs]
            return list(pairs), _history(client, pairs, options, clock)
        except CallError as error:
            starting = error.status >= _UNAVAILABLE or error.reason in _NO_ANSWER
            if not starting or time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)


def _history(
    client: StackClient, pairs: Sequence[str], options: argparse.Namespace, clock: Clock
) -> History:
    granularity = options.granularity or Granularity(client.candles(pairs[0], limit=1).granularity)
    if options.count:
        return History.of_count(granularity, options.count)
    sessions = [pair.session.active for pair in client.pairs().pairs if pair.session is not None]
    always = any("24x7" in active for active in sessions)
    return History.of_days(granularity, options.days, now_s(clock), always=always)


def add_options(parser: argparse.ArgumentParser, project: Path) -> None:
    """Add steps, instruments, history, waiting time and the connection options."""
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
        help="longest wait of prime and hydrate, each (%(default)s)",
    )  # fmt: skip
    add_connection_options(parser, project)


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


COMMAND = Command(
    name="warm-up",
    summary="fetch missing candles and wait until the loop works on them",
    description=__doc__,
    add_options=add_options,
    run=run,
    interrupted="run it again to go on where it was",
)

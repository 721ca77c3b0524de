"""Check that a stack is ready for an operator: one row per check.

Health, fresh gates blob, coherence of all instruments, complete ranking, allocation not held and
within its limit, broker link, budget, kill switch as expected. Exits with 0 when every check
passes, with 1 when one fails, with 2 when the call itself is wrong.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from sep_client.models import (
    GetAllocationStatusResponse,
    GetBudgetResponse,
    GetCoherenceStatusResponse,
    GetStatusResponse,
    ListRankingResponse,
)
from sep_kit.clock import Clock

from sep_ops.command import DONE, FAILED, Command
from sep_ops.connection import CallError, StackClient, add_connection_options, connect
from sep_ops.health import part_states

_ALLOCATION_LIMIT = 0.30
_ROUNDING = 1e-9  # the total is a sum of rounded weights
_POLL_S = 1.0
_KILL_SWITCH = "kill switch"


class Check(NamedTuple):
    """One check: its name, whether it passed, and what was seen."""

    name: str
    passed: bool
    observed: str


def check_stack(client: StackClient, kill_switch: str, margin: str) -> Iterator[Check]:
    """Run every check. A read without an answer is a failed check.

    Args:
        kill_switch: expected state: "engaged", "released" or "any".
        margin: "within" if margin in use must be within the limit, else "any".
    """
    states = part_states(client)
    bad = [f"{name} {state}" for name, state in states.items() if state != "serving"]
    yield Check("health", bool(states) and not bad, ", ".join(bad) or f"{len(states)} parts serve")
    try:
        pairs = {pair.instrument: pair.open for pair in client.pairs().pairs}
    except CallError as error:
        yield Check("instruments", False, str(error))
        return
    checks: dict[str, Callable[[], Iterator[Check]]] = {
        "status": lambda: _check_status(client.status(), kill_switch),
        "coherence": lambda: _check_coherence(client.coherence(), pairs),
        "ranking": lambda: _check_ranking(client.ranking(), pairs),
        "allocation": lambda: _check_allocation(client.allocation_status(), pairs),
        "budget": lambda: _check_budget(client.budget(), margin),
    }
    for name, check in checks.items():
        try:
            yield from check()
        except CallError as error:
            yield Check(name, False, str(error))


def _check_status(status: GetStatusResponse, kill_switch: str) -> Iterator[Check]:
    verdicts = {freshness.name: freshness.verdict for freshness in status.freshness}
    blob = verdicts.get("gates_blob", "missing")
    yield Check("gates blob", blob == "fresh", blob)
    if (link := status.broker) is None or (modes := status.modes) is None:
        yield Check("status", False, "broker link or modes missing")
        return
    yield Check("broker link", link.connected, link.error or "connected")
    state = "engaged" if modes.kill_switch else "released"
    yield Check(_KILL_SWITCH, kill_switch in {"any", state}, state)


def _check_coherence(
    answer: GetCoherenceStatusResponse, pairs: Mapping[str, bool]
) -> Iterator[Check]:
    # A closed market has no fresh data: its last metrics are valid.
    good = {
        status.instrument
        for status in answer.statuses
        if status.metrics is not None and (status.fresh or not pairs.get(status.instrument))
    }
    yield _check_all("coherence", pairs, good)


def _check_ranking(answer: ListRankingResponse, pairs: Mapping[str, bool]) -> Iterator[Check]:
    good = {ranked.instrument for ranked in answer.ranking if ranked.metrics is not None}
    yield _check_all("ranking", pairs, good)


def _check_all(name: str, pairs: Mapping[str, bool], good: set[str]) -> Check:
    bad = [pair for pair in pairs if pair not in good]
    observed = f"not real: {', '.join(bad)}" if bad else f"{len(pairs)} of {len(pairs)}"
    return Check(name, not bad, observed)


def _check_allocation(
    answer: GetAllocationStatusResponse, pairs: Mapping[str, bool]
) -> Iterator[Check]:
    total, weights = answer.total_allocation, answer.weights
    unknown = [name for name in weights if name not in pairs]
    passed = not answer.held and total <= _ALLOCATION_LIMIT + _ROUNDING and not unknown
    observed = f"{total:.4f} in {len(weights)} of at most {answer.top_k}"
    yield Check("allocation", passed, f"held: {answer.held_reason}" if answer.held else observed)


def _check_budget(answer: GetBudgetResponse, margin: str) -> Iterator[Check]:
    yield Check("budget", answer.budget > 0, f"{answer.budget:f}")
    used = answer.utilisation
    yield Check(
        "margin",
        margin == "any" or used < _ALLOCATION_LIMIT,
        f"{used:.1%} in use, below {_ALLOCATION_LIMIT:.0%} wanted",
    )


def run(options: argparse.Namespace, _clock: Clock) -> int:
    """Check until everything passes or the time is up, and return the exit code."""
    deadline = time.monotonic() + options.wait
    with connect(options) as client:
        while True:
            checks = list(check_stack(client, options.kill_switch, options.margin))
            passed = all(check.passed for check in checks)
            # Waiting does not help here: only a person changes the switch.
            wrong_switch = any(c.name == _KILL_SWITCH and not c.passed for c in checks)
            if passed or wrong_switch or time.monotonic() >= deadline:
                break
            time.sleep(_POLL_S)
    table = Table("check", "", "seen")
    for check in checks:
        table.add_row(
            check.name, "[green]ok[/]" if check.passed else "[red]FAULT[/]", check.observed
        )
    Console().print(table)
    return DONE if passed else FAILED


def add_options(parser: argparse.ArgumentParser, project: Path) -> None:
    """Add what is expected of the stack, and the connection options."""
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS",
        help="repeat failed checks for this long (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--kill-switch",
        choices=("engaged", "released", "any"),
        default="any",
        help="its expected state (%(default)s)",
    )
    parser.add_argument(
        "--margin",
        choices=("within", "any"),
        default="within",
        help="whether margin in use must be within the cap (%(default)s); after a deploy over open"
        " positions it may not be",
    )
    add_connection_options(parser, project)


COMMAND = Command(
    name="verify",
    summary="check that the stack is ready for an operator",
    description=__doc__,
    add_options=add_options,
    run=run,
    interrupted="not everything was verified",
)

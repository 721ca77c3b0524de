"""Check that a stack is ready for an operator: one row a check, exit code 1 if one fails.

Blob fresh, coherence real for all instruments, ranking complete, allocation not held and within
its limit, broker linked, budget known, kill switch as expected.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from stack_api import ApiError, Json, StackApi, add_connection_options
from stoppable import run

_LIMIT = 0.30
_POLL_S = 1.0
_KILL_SWITCH = "kill switch"

Row = tuple[str, bool, str]
"""What was checked, whether it is right, and what was seen."""


def check_stack(api: StackApi, kill_switch: str, margin: str) -> Iterator[Row]:
    """Every check; an answer that does not come is a failed one."""
    health = api.health()
    bad = [f"{name} {state}" for name, state in health.items() if state != "serving"]
    yield "health", bool(health) and not bad, ", ".join(bad) or f"{len(health)} parts serve"
    try:
        pairs = {p["instrument"]: p["open"] for p in api.get("/api/pairs")["pairs"]}
    except ApiError as error:
        yield "instruments", False, str(error)
        return
    checks: dict[str, Callable[[], Iterator[Row]]] = {
        "status": lambda: _status(api.get("/api/status"), kill_switch),
        "coherence": lambda: _coherence(api.get("/api/coherence/status"), pairs),
        "ranking": lambda: _ranking(api.get("/api/ranking/active"), pairs),
        "allocation": lambda: _allocation(api.get("/api/risk/allocation-status"), pairs),
        "budget": lambda: _budget(api.get("/api/risk/budget"), margin),
    }
    for name, check in checks.items():
        try:
            yield from check()
        except (ApiError, KeyError) as error:
            yield name, False, str(error)


def _status(status: Json, kill_switch: str) -> Iterator[Row]:
    verdicts = {f["name"]: f["verdict"] for f in status["freshness"]}
    blob = verdicts.get("gates_blob", "missing")
    yield "gates blob", blob == "fresh", blob
    link = status["broker"]
    yield "broker link", link["connected"], link["error"] or "connected"
    state = "engaged" if status["modes"]["kill_switch"] else "released"
    yield _KILL_SWITCH, kill_switch in {"any", state}, state


def _coherence(answer: Json, pairs: dict[str, bool]) -> Iterator[Row]:
    statuses = {s["instrument"]: s for s in answer["statuses"]}
    # A shut market has no news: what it last said is real.
    bad = [
        pair
        for pair, is_open in pairs.items()
        if not statuses.get(pair, {}).get("metrics") or (is_open and not statuses[pair]["fresh"])
    ]
    yield "coherence", not bad, _of(bad, pairs)


def _ranking(answer: Json, pairs: dict[str, bool]) -> Iterator[Row]:
    ranked = {r["instrument"] for r in answer["ranking"] if r.get("metrics")}
    bad = [pair for pair in pairs if pair not in ranked]
    yield "ranking", not bad, _of(bad, pairs)


def _allocation(answer: Json, pairs: dict[str, bool]) -> Iterator[Row]:
    total, weights = answer["total_allocation"], answer["weights"]
    unknown = [name for name in weights if name not in pairs]
    right = not answer["held"] and total <= _LIMIT + 1e-9 and not unknown
    seen = f"{total:.4f} in {len(weights)} of at most {answer['top_k']}"
    yield "allocation", right, f"held: {answer['held_reason']}" if answer["held"] else seen


def _budget(answer: Json, margin: str) -> Iterator[Row]:
    yield "budget", float(answer["budget"]) > 0, answer["budget"]
    used = answer["utilisation"]
    yield (
        "margin",
        margin == "any" or used < _LIMIT,
        f"{used:.1%} in use, below {_LIMIT:.0%} wanted",
    )


def _of(bad: list[str], pairs: dict[str, bool]) -> str:
    return f"not real: {', '.join(bad)}" if bad else f"{len(pairs)} of {len(pairs)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Check until all is well or time is up; the exit code."""
    parser = argparse.ArgumentParser(
        prog="verify_stack.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="try this long (%(default)s)"
    )
    parser.add_argument(
        "--kill-switch",
        choices=("engaged", "released", "any"),
        default="any",
        help="what it should be (%(default)s)",
    )
    parser.add_argument(
        "--margin",
        choices=("within", "any"),
        default="within",
        help="whether it must be within the cap (%(default)s); what is deployed can't help it",
    )
    add_connection_options(parser)
    arguments = parser.parse_args(argv)
    api = StackApi(arguments.url, arguments.key_file)
    deadline = time.monotonic() + arguments.wait
    while True:
        rows = list(check_stack(api, arguments.kill_switch, arguments.margin))
        good = all(right for _, right, _ in rows)
        # It stays as it is until somebody sets it.
        hopeless = any(name == _KILL_SWITCH and not right for name, right, _ in rows)
        if good or hopeless or time.monotonic() >= deadline:
            break
        time.sleep(_POLL_S)
    table = Table("check", "", "seen")
    for name, right, seen in rows:
        table.add_row(name, "[green]ok[/]" if right else "[red]FAULT[/]", seen)
    Console().print(table)
    return 0 if good else 1


if __name__ == "__main__":
    run(main, stopped="not everything was verified")

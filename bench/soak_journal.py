"""Whether the journal adds up after an hour with restarts of everything.

The demo stack trades while each of its parts is killed or frozen in turn. At the end trades and
transfers must be the broker's balance to the last digit, and a replay of the whole time must leave
no difference unexplained.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from sep_kit.clock import SystemClock, now_ms
from sep_kit.death_signal import dying_with_us
from sep_replay.parity.sources import StackSources
from sep_testing.processes import process_of_part

from bench.runner import Figure
from bench.started_stack import started_stack

TITLE = "soak of the journal: every part is killed and frozen in turn"

PARTS = ("gateway", "evaluator", "allocator", "guard", "journal", "paper broker", "valkey", "envoy")
_FROZEN_S = 10.0
_START_S, _SETTLE_S = 300.0, 600.0
_MOST_BETWEEN_S, _FEWEST_BETWEEN_S = 60.0, 30.0
"""Seconds from fault to fault; in a short run each part still has both."""


@dataclass
class Books:
    """What the journal and the broker say at one moment; money in home currency."""

    balance: Decimal
    sum: Decimal
    transactions: int
    missing: int
    trades: int


class Stack:
    """The demo on ports of its own."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, url: str) -> None:
        self.process = process
        self.run_dir = folder / "run"
        self.log = folder / "stack.log"
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def get(self, path: str, **query: str) -> Any:
        """The answer of a route; raises ``httpx.HTTPError`` without one."""
        return self._http.get(path, params=query).raise_for_status().json()

    def every(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        """All entries of a list, page by page."""
        token = ""
        while True:
            page = self.get(path, page_size="1000", page_token=token)
            yield from page[name]
            token = page["next_page_token"]
            if not token:
                return

    def wait(self, for_what: str, done: Callable[[], bool], within_s: float) -> float:
        """Wait until it is so; returns the seconds it took."""
        started = time.monotonic()
        while time.monotonic() - started < within_s:
            if self.process.poll() is not None:
                raise RuntimeError(f"the stack ended:\n{self._tail()}")
            try:
                if done():
                    return time.monotonic() - started
            except (httpx.HTTPError, KeyError, ValueError):
                pass  # a part is away
            time.sleep(0.5)
        raise TimeoutError(f"no {for_what} within {within_s:.0f} s:\n{self._tail()}")

    def ready(self) -> bool:
        """Whether all parts serve; before that, a part that ends five times ends the start."""
        return "SEP is ready" in self.log.read_text(errors="replace")

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def run(seconds: float, report: Callable[[str], None]) -> list[Figure]:
    """Trade for ``seconds`` with a fault each minute; the figures that must be 0 have a goal."""
    with (
        tempfile.TemporaryDirectory(prefix="sep-soak-") as folder,
        started_stack("demo.env", Path(folder)) as (process, url),
    ):
        stack = Stack(process, Path(folder), url)
        stack.wait("stack that is ready", stack.ready, _START_S)
        stack.wait("first transaction", lambda: bool(_newest(stack)), _START_S)
        began, caught_up = now_ms(SystemClock()), [0.0]
        faults = itertools.product((signal.SIGKILL, signal.SIGSTOP), PARTS)
        ends, done = time.monotonic() + seconds, 0
        half_s = _seconds_between(seconds) / 2
        for fault, part in itertools.cycle(faults):
            left = ends - time.monotonic()
            if left <= 0:
                break
            _strike(stack, part, fault)
            done += 1
            time.sleep(max(0.0, min(half_s, ends - time.monotonic())))
            took = stack.wait("journal that caught up", lambda: _caught_up(stack), _SETTLE_S)
            caught_up.append(took)
            report(f"{part}: {fault.name}; {half_s:.0f} s later, caught up in {took:.1f} s")
            time.sleep(max(0.0, min(half_s - took, ends - time.monotonic())))
        books = _books(stack)
        until = now_ms(SystemClock())
        compared = list(stack.every("/api/journal/divergence", "days"))
        replayed = _replayed(stack, began, until, Path(folder))
    return figures(books, [*compared, replayed], done, max(caught_up))


def _seconds_between(seconds: float) -> float:
    return max(_FEWEST_BETWEEN_S, min(_MOST_BETWEEN_S, seconds / (2 * len(PARTS))))


def figures(
    books: Books, days: list[dict[str, Any]], faults: int, slowest_s: float
) -> list[Figure]:
    """What was measured; those with a goal of 0 are what the soak is for."""
    differences = [d for day in days for d in day["differences"]]
    unexplained = [d for d in differences if d["cause"] == "unexplained"]
    causes = ", ".join(sorted({d["cause"] for d in differences})) or "none"
    gap = books.balance - books.sum
    note = f"{books.trades} trades; the broker's balance is {books.balance}"
    return [
        Figure("parts killed or frozen", float(faults), ""),
        Figure("transactions", float(books.transactions), ""),
        Figure("transactions missing", float(books.missing), "", 0, lower_is_better=True),
        Figure("balance not in the journal", float(abs(gap)), "", 0, lower_is_better=True,
               note=note),
        Figure("journal behind after a fault, longest", slowest_s, "s"),
        Figure("differences from replay", float(len(differences)), "", note=f"causes: {causes}"),
        Figure("unexplained", float(len(unexplained)), "", 0, lower_is_better=True,
               note="; ".join(f"{d['instrument']} {d['what']}" for d in unexplained[:5])),
    ]  # fmt: skip


def _strike(stack: Stack, part: str, fault: signal.Signals) -> None:
    """Kill a part, or freeze it for ten seconds."""
    found: list[int] = []

    def runs() -> bool:
        found[:] = [p for p in [process_of_part(stack.process.pid, part)] if p is not None]
        return bool(found)

    stack.wait(part, runs, _START_S)
    os.kill(found[0], fault)
    if fault is signal.SIGSTOP:
        try:
            time.sleep(_FROZEN_S)
        finally:
            # Its supervisor may have replaced it meanwhile.
            if process_of_part(stack.process.pid, part) == found[0]:
                os.kill(found[0], signal.SIGCONT)


def _newest(stack: Stack) -> str:
    page = stack.get("/api/journal/transactions", page_size="1")["transactions"]
    return str(page[0]["id"]) if page else ""


def _caught_up(stack: Stack) -> bool:
    return _newest(stack) == str(stack.get("/api/oanda/account")["last_transaction_id"])


def _books(stack: Stack) -> Books:
    """Both sides' books at one moment: no transaction came while they were read."""
    found: list[Books] = []

    def read() -> bool:
        account = stack.get("/api/oanda/account")
        ledger = list(stack.every("/api/journal/transactions", "transactions"))
        trades = list(stack.every("/api/journal/trades", "trades"))
        again = stack.get("/api/oanda/account")
        ids = [int(t["id"]) for t in ledger]
        newest = int(account["last_transaction_id"])
        if newest != int(again["last_transaction_id"]) or max(ids, default=0) != newest:
            return False
        moved = [Decimal(t["net_pl"]) for t in trades] + [Decimal(t["transfer"]) for t in ledger]
        missing = (
            len(set(range(1, newest + 1)).symmetric_difference(ids)) + len(ids) - len(set(ids))
        )
        found.append(
            Books(
                balance=Decimal(again["balance"]),
                sum=sum(moved, Decimal(0)),
                transactions=len(ids),
                missing=missing,
                trades=len(trades),
            )
        )
        return True

    stack.wait("moment without a new transaction", read, _SETTLE_S)
    return found[-1]


def _replayed(stack: Stack, start_ms: int, end_ms: int, folder: Path) -> dict[str, Any]:
    """The differences of a time from its replay, with the knobs that the journal runs with."""
    journal = process_of_part(stack.process.pid, "journal")
    words = Path(f"/proc/{journal}/environ").read_text().split("\0")
    knobs = dict(word.split("=", 1) for word in words if "=" in word)
    live = StackSources(stack.url, None).live(start_ms, end_ms)
    file = folder / "live.json"
    names = ("start_ms", "end_ms", "trades", "decisions")
    document = {name: getattr(live, name) for name in names}
    file.write_text(json.dumps({**document, "balance": str(live.balance)}))
    day = datetime.fromtimestamp(end_ms / 1000, UTC).date().isoformat()
    command = ["-m", "sep_replay", "parity", "--day", day, "--live", str(file), "--json"]
    done = subprocess.run(
        dying_with_us(sys.executable, *command), env=knobs, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"sep-replay parity ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found

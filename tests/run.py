"""Run the tests in two phases: most in parallel, then those that need the machine for themselves.

``python tests/run.py [--fast] [pytest arguments]``. Everything not marked ``serial`` runs with
pytest-xdist, in the groups that conftest.py makes; then the ``serial`` tests run one after the
other. The exit code is 0 only if both phases passed. The last lines repeat the closing line of each
phase, and give the sum and the time.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from sep_kit.death_signal import dying_with_us

ROOT = Path(__file__).parents[1]
# More processes than cores: most tests wait for servers, timeouts and intervals.
_WORKERS_PER_CORE = 2
_NOTHING_COLLECTED = 5
_CLOSING = re.compile(r"^=* ?((?:\d+ [a-z]+(?:, )?)+ in .*?|no tests ran.*?) ?=*$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ORDER = ("failed", "errors", "passed", "skipped", "deselected", "xfailed", "warnings")


def main() -> int:
    """Run the phases; the exit code of the first that did not pass."""
    arguments = sys.argv[1:]
    fast = "--fast" in arguments
    arguments = [argument for argument in arguments if argument != "--fast"]
    started = time.monotonic()
    workers = os.environ.get("TEST_WORKERS") or str(_WORKERS_PER_CORE * (os.cpu_count() or 1))
    parallel = ("-n", workers, "--dist", "loadgroup", "--no-loadscope-reorder")
    phases: dict[str, tuple[str, ...]]
    if fast:
        phases = {"fast": (*parallel, "-m", "not serial and not slow", "--fast")}
    else:
        phases = {"parallel": (*parallel, "-m", "not serial"), "serial": ("-m", "serial")}
    codes, closings = [], {}
    for name, options in phases.items():
        code, closings[name] = _pytest(name, *options, *arguments)
        codes.append(code)
        if code not in {0, 1, _NOTHING_COLLECTED}:
            break  # interrupted, or wrong arguments: the next phase would do no better
    width = max(map(len, closings))
    print()
    for name, closing in closings.items():
        print(f"{name:{width}}  {closing}")
    print(f"{_total(closings.values())} in {_minutes(time.monotonic() - started)}")
    failed = [code for code in codes if code not in {0, _NOTHING_COLLECTED}]
    return failed[0] if failed else min(codes)


def _pytest(name: str, *arguments: str) -> tuple[int, str]:
    """Run pytest, passing its output on; its exit code and its closing line."""
    colour = "yes" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else "no"
    command = dying_with_us(sys.executable, "-m", "pytest", f"--color={colour}", *arguments)
    print(f"--- {name}: pytest {' '.join(arguments)}", flush=True)
    closing = "ended without a summary"
    # Ctrl-C reaches pytest as well; it ends in its own way, and its summary is passed on.
    before = signal.signal(signal.SIGINT, _ignore)
    try:
        with subprocess.Popen(
            command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            # In pieces, not lines: pytest's progress dots shall appear at once.
            rest = b""
            while piece := os.read(process.stdout.fileno(), 65_536):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    plain = _COLOUR.sub("", line.decode(errors="replace")).strip()
                    if found := _CLOSING.match(plain):
                        closing = found[1]
        return process.returncode, closing
    finally:
        signal.signal(signal.SIGINT, before)


def _environment() -> dict[str, str]:
    """Ours, with compiled Python written to disk, which images for containers often turn off.

    Otherwise every test process, and every service that one starts, compiles all modules again.
    """
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _ignore(*_: object) -> None:
    """A handler, not SIG_IGN: pytest would inherit that."""


def _total(closings: Iterable[str]) -> str:
    """The counts of all phases added up: ``0 failed, 2770 passed, 3 skipped``."""
    counts = {"failed": 0, "passed": 0}
    for closing in closings:
        for number, word in re.findall(r"(\d+) ([a-z]+)", closing.partition(" in ")[0]):
            kind = {"error": "errors", "warning": "warnings"}.get(word, word)
            counts[kind] = counts.get(kind, 0) + int(number)
    counts.pop("deselected", None)
    return ", ".join(f"{counts[kind]} {kind}" for kind in _ORDER if kind in counts)


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


if __name__ == "__main__":
    sys.exit(main())

"""Run the tests in two phases: most in parallel, then those that need the machine for themselves.

``python tests/run.py [--fast] [pytest arguments]``. Everything not marked ``serial`` runs with
pytest-xdist, in the groups that conftest.py makes; then the ``serial`` tests run one after the
other. The last lines repeat the closing line of each phase, and give the sum and the time.

A machine that stalls for seconds breaks a test now and then. If tests of a few files failed, these
tests run once more, alone. One that fails again has failed; one that passes is named at the end as
unstable, which is a fault to be found. The exit code is 0 only if no test failed in this sense.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sep_kit.death_signal import dying_with_us

ROOT = Path(__file__).parents[1]
# More processes than cores: most tests wait for servers, timeouts and intervals.
_WORKERS_PER_CORE = 2
_FAILED, _NOTHING_COLLECTED = 1, 5
# More files than a stall breaks: then something is wrong, and it is wrong at once.
_MOST_FILES_AGAIN = 3
_CLOSING = re.compile(r"^=* ?((?:\d+ [a-z]+(?:, )?)+ in .*?|no tests ran.*?) ?=*$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ALWAYS = ("failed", "passed")
_ORDER = ("failed", "errors", "passed", "unstable", "skipped", "xfailed", "warnings")


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
    ended: dict[str, _Phase] = {}
    for name, options in phases.items():
        ended[name] = _pytest(name, *options, *arguments)
        if ended[name].code not in {0, _FAILED, _NOTHING_COLLECTED}:
            break  # interrupted, or wrong arguments: the next phase would do no better
    unstable: list[str] = []
    if not fast and not _stops_early(arguments) and (names := _to_run_again(ended.values())):
        ended["again"] = _pytest("again", *names)
        if ended["again"].code == 0:
            unstable = names
    width = max(map(len, ended))
    print()
    for name, phase in ended.items():
        print(f"{name:{width}}  {phase.closing}")
    for name in unstable:
        print(f"UNSTABLE: failed beside other tests, passed alone: {name}")
    # What failed again is counted where it failed first.
    counted = [p.closing for name, p in ended.items() if name != "again" or unstable]
    total = _total(counted, unstable=len(unstable))
    print(f"{total} in {_minutes(time.monotonic() - started)}")
    codes = [phase.code for phase in ended.values()]
    failed = [] if unstable else [code for code in codes if code not in {0, _NOTHING_COLLECTED}]
    return failed[0] if failed else min(codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phase:
    """How a phase ended; ``failed`` names a test once for each of its failures and errors."""

    code: int
    closing: str
    failed: Sequence[str]


def _stops_early(arguments: Iterable[str]) -> bool:
    """Whether the first failures end a phase: what did not run then can't have passed."""
    return any(re.match(r"--(exitfirst|maxfail|stepwise|sw)|-[a-z]*x", a) for a in arguments)


def _to_run_again(phases: Iterable[_Phase]) -> list[str]:
    """The tests that failed, if they are few and all failures are known by name."""
    names: dict[str, None] = {}
    for phase in phases:
        counted = re.findall(r"(\d+) (?:failed|errors?)\b", phase.closing)
        if phase.code not in {0, _FAILED, _NOTHING_COLLECTED}:
            return []
        if sum(map(int, counted)) != len(phase.failed):
            return []
        names |= dict.fromkeys(phase.failed)
    files = {name.partition("::")[0] for name in names}
    return list(names) if len(files) <= _MOST_FILES_AGAIN else []


def _pytest(name: str, *arguments: str) -> _Phase:
    """Run pytest, passing its output on."""
    colour = "yes" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else "no"
    options = (f"--color={colour}", "-p", "tests.failed_tests")
    command = dying_with_us(sys.executable, "-m", "pytest", *options, *arguments)
    print(f"--- {name}: pytest {' '.join(arguments)}", flush=True)
    closing = "ended without a summary"
    # Ctrl-C reaches pytest as well; it ends in its own way, and its summary is passed on.
    before = signal.signal(signal.SIGINT, _ignore)
    try:
        with (
            tempfile.NamedTemporaryFile("r") as failed,
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=_environment() | {"FAILED_TESTS": failed.name},
                stdout=subprocess.PIPE,
            ) as process,
        ):
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
            code = process.wait()
            # pytest-xdist puts the group behind the name of a test.
            names = [line.rstrip("\n") for line in failed]
            if "loadgroup" in arguments:
                names = [n.rpartition("@")[0] if "@" in n else n for n in names]
        return _Phase(code=code, closing=closing, failed=names)
    finally:
        signal.signal(signal.SIGINT, before)


def _environment() -> dict[str, str]:
    """Ours, with compiled Python written to disk, which images for containers often turn off.

    Otherwise every test process, and every service that one starts, compiles all modules again.
    """
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _ignore(*_: object) -> None:
    """A handler, not SIG_IGN: pytest would inherit that."""


def _total(closings: Iterable[str], unstable: int) -> str:
    """The counts of all phases added up: ``0 failed, 2770 passed, 3 skipped``."""
    counts = {"failed": 0, "passed": 0}
    for closing in closings:
        for number, word in re.findall(r"(\d+) ([a-z]+)", closing.partition(" in ")[0]):
            kind = {"error": "errors", "warning": "warnings"}.get(word, word)
            counts[kind] = counts.get(kind, 0) + int(number)
    counts.pop("deselected", None)
    if unstable:
        counts |= {"failed": 0, "errors": 0, "unstable": unstable}
    return ", ".join(
        f"{counts[k]} {k}" for k in _ORDER if k in counts and (counts[k] or k in _ALWAYS)
    )


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


if __name__ == "__main__":
    sys.exit(main())

"""The supervisor with real child processes."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sep_local.part import Part, Probe
from sep_local.supervisor import Supervisor, Timeouts

Eventually = Callable[..., Awaitable[None]]

SLEEP = "import time; time.sleep(600)"
IGNORES_SIGTERM = (
    f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on'); {SLEEP}"
)
QUICK = Timeouts(
    ready_within=10.0,
    first_restart_delay=0.02,
    longest_restart_delay=0.08,
    next_stop_after=0.3,
    kill_after=0.6,
    stop_within=1.0,
    probe_every=0.02,
)

# For parts that shall end by themselves: a busy machine may need seconds for that.
LONG = replace(QUICK, ready_within=60, next_stop_after=30, kill_after=40, stop_within=60)


async def at_once() -> str | None:
    return None


async def never() -> str | None:
    return "everything"


@dataclass
class Run:
    """A supervisor, and everything it printed."""

    parts: list[Part]
    ready: Probe = at_once
    timeouts: Timeouts = QUICK
    lines: list[tuple[str, str]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    is_ready: bool = False

    def start(self) -> "asyncio.Task[str]":
        self.supervisor = Supervisor(
            self.parts,
            ready=self.ready,
            sink=lambda name, line: self.lines.append((name, line.decode())),
            report=self.messages.append,
            timeouts=self.timeouts,
        )
        return asyncio.create_task(self.supervisor.run(self._on_ready))

    def _on_ready(self) -> None:
        self.is_ready = True

    def printed(self, name: str) -> list[str]:
        return [line for part, line in self.lines if part == name]


def python(name: str, code: str, *, ready: Probe | None = None, **env: str) -> Part:
    return Part(name, (sys.executable, "-u", "-c", code), env, ready)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_output_is_passed_on_by_line_with_the_name_of_its_part(
    eventually: Eventually,
) -> None:
    code = f"import sys; print('one'); print('two', file=sys.stderr, end=''); {SLEEP}"
    run = Run([python("a", code), python("b", f"print('three'); {SLEEP}")])
    task = run.start()
    await eventually(lambda: run.printed("b") == ["three"] and run.printed("a") == ["one"])
    run.supervisor.request_stop("test")
    assert await task == ""
    assert run.printed("a") == ["one", "two"]


async def test_child_gets_only_its_own_environment(
    eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_THE_SHELL", "1")
    code = f"import os; print(os.environ.get('FROM_THE_SHELL'), os.environ['GIVEN']); {SLEEP}"
    run = Run([python("a", code, GIVEN="2")])
    task = run.start()
    await eventually(lambda: run.printed("a") == ["None 2"])
    run.supervisor.request_stop("test")
    await task


async def test_next_part_starts_when_the_previous_one_is_ready(eventually: Eventually) -> None:
    is_ready = False

    async def probe() -> str | None:
        return None if is_ready else "a (loading)"

    run = Run([python("a", SLEEP, ready=probe), python("b", f"print('b'); {SLEEP}")])
    task = run.start()
    await eventually(lambda: "waiting for a (loading)" in run.messages)
    assert "starting b" not in run.messages
    is_ready = True
    await eventually(lambda: run.printed("b") == ["b"])
    run.supervisor.request_stop("test")
    await task


async def test_part_that_ends_is_restarted_with_growing_delays(
    eventually: Eventually,
) -> None:
    run = Run([python("a", "print('here'); raise SystemExit(3)"), python("b", SLEEP)])
    run.timeouts = Timeouts(
        first_restart_delay=0.02, longest_restart_delay=0.08, deaths_before_ready=99
    )
    task = run.start()
    await eventually(lambda: len(run.printed("a")) >= 5)
    run.supervisor.request_stop("test")
    assert await task == ""
    ends = [line for line in run.messages if line.startswith("a ended")]
    assert [line.rpartition(" in ")[2] for line in ends[:4]] == [
        "0.02 s",
        "0.04 s",
        "0.08 s",
        "0.08 s",
    ]
    assert ends[0].startswith("a ended (exit code 3); restarting it")
    assert not [line for line in run.messages if line.startswith("b ended")]


async def test_part_that_ends_after_the_start_is_restarted(eventually: Eventually) -> None:
    run = Run([python("a", f"import os; print(os.getpid()); {SLEEP}")])
    task = run.start()
    await eventually(lambda: run.is_ready and len(run.printed("a")) == 1)
    os.kill(int(run.printed("a")[0]), signal.SIGKILL)
    await eventually(lambda: len(run.printed("a")) == 2)
    assert any("a ended (signal SIGKILL)" in line for line in run.messages)
    run.supervisor.request_stop("test")
    assert await task == ""


async def test_children_of_a_part_end_with_it(eventually: Eventually) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        "print(child.pid)\n"
        "os._exit(1)"
    )
    run = Run([python("a", code)], ready=never)
    task = run.start()
    await eventually(lambda: run.printed("a"))
    orphan = int(run.printed("a")[0])
    await eventually(lambda: not alive(orphan))
    run.supervisor.request_stop("test")
    await task


async def test_part_that_ends_repeatedly_before_ready_fails_the_start() -> None:
    run = Run([python("a", "raise SystemExit('no such table')")], ready=never)
    failure = await run.start()
    assert failure.startswith("a ended 5 times, last with exit code 1")
    assert "no such table" in failure


@pytest.mark.parametrize("ready", [at_once, never])
async def test_refused_settings_stop_the_stack_and_print_the_message(ready: Probe) -> None:
    """Exit code 78: a restart can't help."""
    code = "import sys; print('PM_RAMP_STEP_PCT=7: at most 1'); sys.exit(78)"
    run = Run([python("a", SLEEP), python("guard", code)], ready=ready)
    failure = await run.start()
    assert failure == "guard refuses its settings:\n  PM_RAMP_STEP_PCT=7: at most 1"
    assert len(run.printed("guard")) == 1


async def test_start_that_takes_too_long_fails_and_stops() -> None:
    run = Run([python("a", SLEEP)], ready=never, timeouts=Timeouts(ready_within=0.2))
    assert await run.start() == "not ready within 0.2 s; what is missing: everything"
    assert "waiting for everything" in run.messages


async def test_parts_stop_in_reverse_order(eventually: Eventually) -> None:
    code = (
        "import signal, sys, time\n"
        "def stop(*_):\n    print('stopped'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop); print('on')\n"
        "time.sleep(600)"
    )
    run = Run([python(name, code) for name in "abc"], timeouts=LONG)
    task = run.start()
    await eventually(lambda: len(run.lines) == 3)
    run.supervisor.request_stop("test")
    assert await task == ""
    assert [name for name, line in run.lines if line == "stopped"] == ["c", "b", "a"]


async def test_part_that_ignores_sigterm_is_killed_in_time(eventually: Eventually) -> None:
    run = Run([python(name, IGNORES_SIGTERM) for name in "abcdef"])
    task = run.start()
    await eventually(lambda: len(run.lines) == 6)
    started = time.monotonic()
    run.supervisor.request_stop("test")
    assert await task == ""
    # The machine may stall; without SIGKILL they would run for ten minutes.
    assert time.monotonic() - started < 20 + QUICK.stop_within + 6 * QUICK.next_stop_after
    assert sum("did not stop within" in line for line in run.messages) == 6


async def test_second_request_kills_at_once(eventually: Eventually) -> None:
    run = Run(
        [python(name, IGNORES_SIGTERM) for name in "ab"],
        timeouts=replace(LONG, same_request_within=0),
    )
    task = run.start()
    await eventually(lambda: len(run.lines) == 2)
    run.supervisor.request_stop("Ctrl-C")
    started = time.monotonic()
    run.supervisor.request_stop("Ctrl-C")
    assert await task == ""
    assert time.monotonic() - started < LONG.kill_after / 2


async def test_stop_during_the_start_leaves_no_process(eventually: Eventually) -> None:
    run = Run([python("a", f"import os; print(os.getpid()); {SLEEP}", ready=never)])
    task = run.start()
    await eventually(lambda: run.printed("a"))
    run.supervisor.request_stop("test")
    assert await task == ""
    assert not alive(int(run.printed("a")[0]))


async def test_program_that_does_not_exist_fails_the_start_with_its_name() -> None:
    run = Run([Part("a", ("/nothing/here",), {})], ready=never)
    failure = await run.start()
    assert "can't start /nothing/here: No such file or directory" in failure


async def test_duplicate_ctrl_c_counts_once(eventually: Eventually) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.1), print('saved'), sys.exit()))\n"
        "print('on'); time.sleep(600)"
    )
    run = Run([python("a", code)], timeouts=replace(LONG, same_request_within=20))
    task = run.start()
    await eventually(lambda: run.lines)
    run.supervisor.request_stop("Ctrl-C")
    run.supervisor.request_stop("Ctrl-C")
    assert await task == ""
    assert run.printed("a") == ["on", "saved"]

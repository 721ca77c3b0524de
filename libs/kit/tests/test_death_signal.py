"""Programs that end with the process that started them, however that one ends."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sep_kit.death_signal import dying_with_us
from sep_testing.eventually import eventually

# The signal may come while "started" is being printed, and print is not reentrant.
NAMES_ITS_SIGNAL = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"terminated\\n"), sys.exit()))
print("started", flush=True)
time.sleep(600)
"""
SLEEPS = "print('started', flush=True); import time; time.sleep(600)"
PARENT = """
import signal, subprocess, sys
from sep_kit.death_signal import dying_with_us
command = dying_with_us(sys.executable, "-c", sys.argv[1], by=signal.Signals(int(sys.argv[2])))
child = subprocess.Popen(command, start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""


@contextlib.asynccontextmanager
async def parent_of(
    program: str, by: signal.Signals
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A process and the id of the one that it started, which shares its output."""
    command = (sys.executable, "-c", PARENT, program, str(int(by)))
    parent = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert parent.stdout is not None
        child = int(await parent.stdout.readline())
        assert await parent.stdout.readline() == b"started\n"
        yield parent, child
    finally:
        with contextlib.suppress(ProcessLookupError):
            parent.kill()
        await parent.wait()


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="LINUX ONLY: others have no death signal")
async def test_a_program_is_killed_with_the_killed_process_that_started_it() -> None:
    """In a session of its own, where no signal to the parent's group reaches it."""
    async with parent_of(SLEEPS, signal.SIGKILL) as (parent, child):
        assert runs(child)
        parent.kill()
        await eventually(lambda: not runs(child))


@pytest.mark.skipif(sys.platform != "linux", reason="LINUX ONLY: others have no death signal")
async def test_a_program_may_be_terminated_instead_to_end_in_order() -> None:
    async with parent_of(NAMES_ITS_SIGNAL, signal.SIGTERM) as (parent, child):
        parent.kill()
        assert parent.stdout is not None
        assert await asyncio.wait_for(parent.stdout.readline(), 30) == b"terminated\n"
        await eventually(lambda: not runs(child))


async def test_a_program_does_not_start_when_its_parent_has_already_ended() -> None:
    command = list(dying_with_us(sys.executable, "-c", SLEEPS))
    command[command.index(str(os.getpid()))] = "1"
    late = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, message = await asyncio.wait_for(late.communicate(), 30)
    assert (late.returncode, b"has already ended" in message) == (1, True)

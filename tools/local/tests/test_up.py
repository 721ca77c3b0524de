"""``sep-stack up`` with a real Valkey and Envoy, and stand-ins for the services."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest_asyncio
from redis.asyncio import Redis
from sep_kit.death_signal import dying_with_us

Eventually = Callable[..., Awaitable[None]]
STAND_INS = Path(__file__).parent / "stand_ins"
ENV_FILE = """\
# a comment
OANDA_ENVIRONMENT=paper
OANDA_API_TOKEN=demo-token
"""


@dataclass
class Stack:
    """A supervisor started from a shell."""

    folder: Path
    port: int
    process: asyncio.subprocess.Process | None = None

    async def up(self, *arguments: str, **env: str) -> None:
        (self.folder / "demo.env").write_text(ENV_FILE)
        command = ("up", "--env-file", "demo.env", "--port-base", str(self.port), *arguments)
        # A file: from a pipe the test would read on while a child outlives the supervisor.
        with (self.folder / "out").open("wb") as out:
            self.process = await asyncio.create_subprocess_exec(
                *dying_with_us(sys.executable, "-m", "sep_local", *command),
                cwd=self.folder,
                stdout=out,
                stderr=out,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(STAND_INS),
                    "ALLOC_TOP_K": "2",
                    **env,
                },
            )

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    async def end(self) -> int:
        assert self.process
        return await asyncio.wait_for(self.process.wait(), 60)

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def pids(self) -> dict[str, int]:
        """Process ids of the supervisor's children, by module or program."""
        assert self.process
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
                words = (stat.parent / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                name = words[2] if words[1:2] == ["-m"] else Path(words[0]).name
                found[name] = int(stat.parent.name)
        return found


@pytest_asyncio.fixture
async def stack(tmp_path: Path, port_base: int) -> AsyncIterator[Stack]:
    """Not started yet; killed at the end if still running."""
    stack = Stack(tmp_path, port_base)
    yield stack
    if stack.process and stack.process.returncode is None:
        stack.process.kill()
        await stack.process.wait()


def listening(port: int) -> bool:
    result = subprocess.run(
        [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}))"],
        check=False,
        capture_output=True,
    )
    return result.returncode == 0


async def test_stack_starts_restarts_a_killed_part_and_stops_in_time(
    stack: Stack, eventually: Eventually
) -> None:
    await stack.up()
    await eventually(lambda: "SEP is ready" in stack.out, within=90)
    url = re.search(r"SEP is ready on (\S+)", stack.out)
    assert url
    # Only the gateway gets the token; every service gets the operator's settings.
    assert f"token demo-token broker http://127.0.0.1:{stack.port + 2}" in stack.out
    assert stack.out.count("token None") == 4
    async with httpx.AsyncClient(base_url=url[1], timeout=30) as rest:
        assert (await rest.get("/health")).json()["healthy"] is True
        before = stack.pids()
        assert len(before) == 8

        os.kill(before["sep_evaluator"], signal.SIGKILL)
        assert (await rest.get("/health")).status_code == httpx.codes.OK
        await eventually(
            lambda: stack.pids().get("sep_evaluator") not in {None, before["sep_evaluator"]}
        )
        assert "evaluator ended (signal SIGKILL); restarting it in 0.5 s" in stack.out

    started = time.monotonic()
    stack.signal(signal.SIGINT)
    assert await stack.end() == 0
    # Nine seconds at most, and what a machine that stalls adds.
    assert time.monotonic() - started < 25
    assert "everything has stopped" in stack.out
    assert "token None" in (stack.folder / ".run/logs/guard.log").read_text()
    assert not any(listening(stack.port + offset) for offset in range(9))


async def test_state_survives_a_restart(stack: Stack, eventually: Eventually) -> None:
    async def write() -> None:
        url = (stack.folder / ".run" / "valkey.url").read_text().strip()
        async with Redis.from_url(url) as store:
            await store.set("ops:kill_switch", "0")

    async def read() -> object:
        async with Redis(port=stack.port + 1) as store:
            value: object = await store.get("ops:kill_switch")
            return value

    await stack.up()
    await eventually(lambda: "starting gateway" in stack.out)
    await write()
    stack.signal(signal.SIGTERM)
    assert await stack.end() == 0
    await stack.up()
    await eventually(lambda: "starting gateway" in stack.out)
    assert await read() == b"0"
    stack.signal(signal.SIGHUP)
    assert await stack.end() == 0


async def test_killed_supervisor_leaves_no_process(stack: Stack, eventually: Eventually) -> None:
    await stack.up()
    await eventually(lambda: len(stack.pids()) == 7, within=90)
    pids = stack.pids().values()
    stack.signal(signal.SIGKILL)
    await stack.end()
    await eventually(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))


async def test_refused_settings_fail_the_start_with_the_message(stack: Stack) -> None:
    await stack.up(REFUSED_BY="guard")
    assert await stack.end() == 1
    message = r"failed: guard refuses its settings:\n.*REFUSED_BY=guard: not allowed"
    assert re.search(message, stack.out)
    assert "SEP is ready" not in stack.out


async def test_port_in_use_is_refused_with_its_setting_and_process(stack: Stack) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", stack.port + 3)
    async with server:
        await stack.up()
        assert await stack.end() == 1
    assert f"port {stack.port + 3} is in use by pid {os.getpid()}" in stack.out
    assert "GATEWAY_PORT moves it" in stack.out
    assert "starting" not in stack.out


async def test_second_supervisor_on_the_same_state_is_refused(
    stack: Stack, eventually: Eventually
) -> None:
    await stack.up()
    await eventually(lambda: "starting valkey" in stack.out)
    first = stack.process
    assert first
    await stack.up()
    assert await stack.end() == 1
    assert f"a stack already runs on {stack.folder}/.run (pid {first.pid})" in stack.out
    first.terminate()
    assert await first.wait() == 0


async def test_faults_are_listed_at_once(stack: Stack) -> None:
    await stack.up(HTTP_BIND="everywhere", GUARD_PORT="high", OANDA_ENVIRONMENT="demo")
    assert await stack.end() == 1
    for name in ("HTTP_BIND", "GUARD_PORT", "OANDA_ENVIRONMENT"):
        assert f"  - {name}=" in stack.out

"""The whole stack as a user starts it: local processes behind Envoy, with the paper broker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from sep_kit.death_signal import dying_with_us
from sep_testing.ports import reserve_ports

from tests.e2e.served import Served

ROOT = Path(__file__).parents[2]
_PORTS = 9
ORIGIN = "https://desk.example"
_READY_WITHIN = ("--ready-within", "240")
"""Other tests start their stacks at the same time."""


class Stack(Served):
    """``make run`` on its own ports."""

    def __init__(self, run_dir: Path, *options: str) -> None:
        self.run_dir = run_dir
        self._options = options
        self.port = reserve_ports(_PORTS)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = run_dir.parent / "stack.log"
        self.writer = "write"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **env: str) -> None:
        """Start it and wait until it is ready."""
        command = [sys.executable, "-m", "sep_local", "up", "--env-file", "deploy/demo.env"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                dying_with_us(
                    *command, *_READY_WITHIN, "--port-base", str(self.port), *self._options
                ),
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "SEP_RUN_DIR": str(self.run_dir), **env},
                start_new_session=True,
            )
        deadline = time.monotonic() + 270
        while "SEP is ready" not in self.log.read_text(errors="replace"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the stack did not start:\n{self.tail()}")
            time.sleep(0.2)

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def supervisor(self) -> int:
        """Id of the process that runs the parts."""
        assert self._process is not None
        return self._process.pid

    def wait_until_warm(self) -> None:
        """Wait until every pair has a score and every part serves, compilation included."""
        deadline = time.monotonic() + 180
        while (
            self.get("/api/ranking/active").text.count('"score"') < 8
            or self.get("/health").status_code != httpx.codes.OK
        ):
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.5)

    def interrupt(self) -> tuple[int, float]:
        """Ctrl-C; returns the exit code and the seconds it took."""
        assert self._process is not None
        started = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(timeout=30)
        return code, time.monotonic() - started

    def stop(self) -> None:
        """Stop it if it still runs."""
        if self.running:
            self.interrupt()

    def parts(self) -> dict[str, int]:
        """Process ids of the services and the paper broker by name."""
        found = {}
        for name in ("gateway", "evaluator", "allocator", "guard", "journal", "paper_broker"):
            for pid in self.processes():
                if f"sep_{name}" in _command_line(pid):
                    found[name] = pid
        return found

    def processes(self) -> list[int]:
        """Ids of every process with this stack's run directory or ports."""
        marks = (str(self.run_dir), *(f":{self.port + i}" for i in range(_PORTS)))
        return [
            int(p.name)
            for p in Path("/proc").iterdir()
            if p.name.isdigit() and any(m in _environment(p) for m in marks)
        ]

    def tail(self) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-6000:]

    def get(self, path: str, **params: str) -> httpx.Response:
        """GET through Envoy."""
        return httpx.get(f"{self.url}{path}", params=params or None, timeout=30)

    def post(self, path: str, body: object) -> httpx.Response:
        """POST through Envoy with a write key."""
        return httpx.post(f"{self.url}{path}", json=body, headers=self.key(self.writer), timeout=30)

    def key(self, name: str) -> dict[str, str]:
        """The header that carries one of the stack's keys."""
        return {"Authorization": f"Bearer {(self.run_dir / 'keys' / name).read_text().strip()}"}


@pytest.fixture(scope="module")
def module_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests of a module."""
    running = Stack(tmp_path_factory.mktemp("stack") / "run")
    yield running
    running.stop()


@pytest.fixture
def stack(module_stack: Stack) -> Stack:
    """A stack that is warm and may trade, whatever the test before did to it."""
    if not module_stack.running:
        module_stack.start()
        module_stack.wait_until_warm()
    module_stack.release()
    return module_stack


@pytest.fixture
def cold_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own that has just been started, with nothing stored and nothing compiled."""
    running = Stack(tmp_path / "run")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def trading(stack: Stack) -> Stack:
    """The stack with entries allowed, as ``make run`` starts it."""
    return stack


# Not of the session: it would run, and cost the other tests time, until the last test ends.
@pytest.fixture(scope="package")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for the tests of the API: keys of every role, one CORS origin, full logs."""
    running = Stack(tmp_path_factory.mktemp("api") / "run")
    keys = running.run_dir / "keys"
    keys.mkdir(parents=True)
    keys.chmod(0o700)
    for name, key in (("read.grafana", "r"), ("write.alice", "a")):
        (keys / name).write_text(key * 32)
        (keys / name).chmod(0o600)
    running.writer = "write.alice"
    running.start(
        CORS_ORIGINS=ORIGIN,
        EDGE_LOGGED_READS="100",
        EDGE_READ_LIMIT="10000",
        EDGE_WRITE_LIMIT="1000",
        LOG_LEVEL="DEBUG",
    )
    running.wait_until_warm()
    yield running
    running.stop()


@pytest.fixture
async def channel(api: Stack) -> AsyncIterator[grpc.aio.Channel]:
    """A native client's channel to the public port."""
    async with grpc.aio.insecure_channel(api.url.removeprefix("http://")) as opened:
        yield opened


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _environment(process: Path) -> str:
    try:
        raw = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        return raw.replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""

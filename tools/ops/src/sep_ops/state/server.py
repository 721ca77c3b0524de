"""A Valkey of the command's own, on a socket that only it knows."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from redis.exceptions import RedisError
from sep_kit.death_signal import dying_with_us
from sep_local.binaries import valkey_binary

from sep_ops.state.errors import StateError
from sep_ops.state.store import open_store

_START_S = 120
"""It reads its files meanwhile."""
_STOP_S = 60


class EmbeddedValkey:
    """Serves the files of a folder, which is made if it is missing, while the context is open.

    All that was written is on disk when the context ends.

    Raises:
        StateError: it does not start; ``log`` of the error has its last lines.
    """

    def __init__(self, folder: Path, *, append_only: bool = True) -> None:
        self._folder = folder
        self._append_only = append_only
        # Short: the path of a socket has at most 107 bytes.
        self._private = Path(tempfile.mkdtemp(prefix="sep-state-"))
        self._log = self._private / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its URL."""
        return f"unix://{self._private}/socket"

    def __enter__(self) -> Self:
        """Start it and wait until it has read its files."""
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it after its files are written."""
        self._stop()

    def _start(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = {
            "port": "0",
            "unixsocket": f"{self._private}/socket",
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes" if self._append_only else "no",
            "appendfsync": "always",
            # Never repair silently: what is lost is reported by `repair`.
            "aof-load-truncated": "no",
            "save": "",
            "loglevel": "warning",
            "logfile": str(self._log),
        }
        argv = [str(valkey_binary())]
        for name, value in options.items():
            argv += [f"--{name}", value]
        self._process = subprocess.Popen(  # noqa: S603
            dying_with_us(*argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None:
                raise StateError(f"Valkey does not start on {self._folder}: {self._last_line()}")
            if time.monotonic() > deadline:
                raise StateError(f"Valkey has not read {self._folder} after {_START_S} s")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with open_store(self.url) as client:
                return bool(client.ping())
        except (RedisError, OSError, StateError):
            return False

    def _last_line(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.is_file() else []
        faults = [line for line in lines if "#" in line]
        return faults[-1].partition("# ")[2] if faults else "it wrote no reason"

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._private, ignore_errors=True)

"""Output to the terminal and to the log files."""

import contextlib
import os
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

SUPERVISOR = "sep"
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)
_QUEUED_LINES = 10_000
_FLUSH_S = 2.0
_LOG_BYTES = 32 * 1024 * 1024


class Console:
    """Writes lines to a terminal, each with the coloured name of its part.

    A terminal can stop reading (Ctrl-S), which must not block a trading service. A thread writes,
    and lines that don't fit into its queue are dropped; the log files have them.
    """

    def __init__(self, names: Sequence[str], *, fd: int = 1, colour: bool | None = None) -> None:
        if colour is None:
            colour = os.isatty(fd) and "NO_COLOR" not in os.environ
        width = max(map(len, (SUPERVISOR, *names)))
        self._prefixes = {name: f"{name:<{width}} | ".encode() for name in (SUPERVISOR, *names)}
        if colour:
            for index, name in enumerate(names):
                code = _COLOURS[index % len(_COLOURS)]
                self._prefixes[name] = b"\x1b[%dm%s\x1b[0m" % (code, self._prefixes[name])
            self._prefixes[SUPERVISOR] = b"\x1b[1m%s\x1b[0m" % self._prefixes[SUPERVISOR]
        self._fd = fd
        self._lines: queue.Queue[bytes | None] = queue.Queue(_QUEUED_LINES)
        self._dropped = 0
        self._writer = threading.Thread(target=self._write, name="console", daemon=True)
        self._writer.start()

    def line(self, name: str, line: bytes) -> None:
        """Write a line of a part's output."""
        try:
            if self._dropped:
                note = b"(%d lines not shown; they are in the log files)" % self._dropped
                self._lines.put_nowait(self._prefixes[SUPERVISOR] + note + b"\n")
                self._dropped = 0
            self._lines.put_nowait(self._prefixes[name] + line + b"\n")
        except queue.Full:
            self._dropped += 1

    def message(self, text: str) -> None:
        """Write a message of the supervisor."""
        for line in text.split("\n"):
            self.line(SUPERVISOR, line.encode())

    def close(self) -> None:
        """Write the queued lines, unless the terminal does not read."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=_FLUSH_S)
            self._writer.join(_FLUSH_S)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            # The terminal may be gone (SIGHUP, `| head`); the stack runs on without it.
            with contextlib.suppress(OSError):
                while line:
                    line = line[os.write(self._fd, line) :]


class PartLogs:
    """One log file per part; the previous run's file is renamed to ``.log.1``."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = {name: folder / f"{name}.log" for name in names}
        self._files: dict[str, BinaryIO] = {}
        for name in names:
            self._rotate(name)

    def line(self, name: str, line: bytes) -> None:
        """Append a line of a part's output."""
        file = self._files[name]
        with contextlib.suppress(OSError):  # a full disk must not stop trading
            file.write(line + b"\n")
            if file.tell() > _LOG_BYTES:
                self._rotate(name)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def _rotate(self, name: str) -> None:
        path = self._paths[name]
        if name in self._files:
            self._files[name].close()
        if path.exists():
            path.replace(path.with_suffix(".log.1"))
        self._files[name] = path.open("wb", buffering=0)

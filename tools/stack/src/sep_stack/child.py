"""One running process of a part, in a session of its own."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

from sep_stack.part import Part

_DEATHSIG = Path(__file__).with_name("deathsig.py")
_CHUNK = 65_536
_LAST_LINES = 20
_DRAIN_SECONDS = 1.0

LineSink = Callable[[str, bytes], None]
"""Takes a part's name and a line of its output."""


class Child:
    """A process group; output comes in lines, and nothing of it outlives its first process."""

    def __init__(self, process: asyncio.subprocess.Process, output: "_Lines") -> None:
        self._process = process
        self._output = output

    @classmethod
    async def spawn(cls, part: Part, sink: LineSink) -> Self:
        """Start a part's process.

        Raises:
            OSError: the machine can't start another process.
        """
        read_end, write_end = os.pipe()
        output = _Lines(read_end, lambda line: sink(part.name, line))
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_DEATHSIG), str(os.getpid())),
                *part.argv,
                env=dict(part.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                # Ctrl-C in the terminal is for the supervisor alone: it knows the order.
                start_new_session=True,
            )
        except BaseException:
            output.close()
            raise
        finally:
            os.close(write_end)
        return cls(process, output)

    @property
    def pid(self) -> int:
        """Id of the process, and of its group."""
        return self._process.pid

    @property
    def last_lines(self) -> list[str]:
        """The end of its output so far."""
        return [line.decode(errors="replace") for line in self._output.last]

    async def wait(self) -> int:
        """Its exit code, negative after a signal; by then its whole group has ended."""
        code = await self._process.wait()
        self._signal_group(signal.SIGKILL)  # what it started must not hold its port
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._output.ended.wait()
        self._output.close()
        return code

    def terminate(self) -> None:
        """Ask it to stop."""
        self._signal_group(signal.SIGTERM)

    def kill(self) -> None:
        """Stop it now."""
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class _Lines:
    """Cuts what comes out of a pipe into lines."""

    def __init__(self, fd: int, sink: Callable[[bytes], None]) -> None:
        self.ended = asyncio.Event()
        self.last: deque[bytes] = deque(maxlen=_LAST_LINES)
        self._fd = fd
        self._sink = sink
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def close(self) -> None:
        """Stop reading; what is left without a line end counts as a line."""
        if self.ended.is_set():
            return
        self.ended.set()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        if self._rest:
            self._emit(self._rest)

    def _read(self) -> None:
        try:
            chunk = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self.close()
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._emit(line)
        if len(self._rest) > _CHUNK:
            self._emit(self._rest)
            self._rest = b""

    def _emit(self, line: bytes) -> None:
        line = line.rstrip(b"\r")
        self.last.append(line)
        self._sink(line)

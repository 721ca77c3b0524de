"""One running process of a part, in a session of its own."""

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable
from typing import Self

from sep_kit.death_signal import dying_with_us

from sep_local.part import Part

_CHUNK = 65_536
_LAST_LINES = 20
_OUTPUT_DRAIN_S = 1.0

LineSink = Callable[[str, bytes], None]
"""Takes a part's name and one line of its output."""


class Child:
    """A process group. Its output is read line by line; the group ends with its first process."""

    def __init__(self, process: asyncio.subprocess.Process, output: "_LineReader") -> None:
        self._process = process
        self._output = output

    @classmethod
    async def spawn(cls, part: Part, sink: LineSink) -> Self:
        """Start a part's process.

        Raises:
            OSError: the machine can't start another process.
        """
        read_end, write_end = os.pipe()
        output = _LineReader(read_end, lambda line: sink(part.name, line))
        try:
            process = await asyncio.create_subprocess_exec(
                *dying_with_us(*part.argv),
                env=dict(part.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                # Ctrl-C in the terminal must reach the supervisor only, which stops parts in order.
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
        """The last lines of its output so far."""
        return [line.decode(errors="replace") for line in self._output.last]

    async def wait(self) -> int:
        """Wait until the whole group has ended.

        Returns:
            The exit code of the first process, negative after a signal.
        """
        code = await self._process.wait()
        self._signal_group(signal.SIGKILL)  # its children must not keep its port
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OUTPUT_DRAIN_S):
                await self._output.ended.wait()
        self._output.close()
        return code

    def terminate(self) -> None:
        """Send SIGTERM to the group."""
        self._signal_group(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the group."""
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class _LineReader:
    """Splits the output of a pipe into lines."""

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
        """Stop reading; an unfinished line counts as a line."""
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

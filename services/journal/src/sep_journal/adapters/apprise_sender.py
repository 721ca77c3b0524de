"""Sends with Apprise, in a process that ends with the batch."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict

from sep_journal.outbox_ports import Attempt, Delivery

_PROCESS = "sep_journal.adapters.apprise_process"
_WITHIN_S = 45.0
"""Below the deadline of the call that tests the destinations."""


class AppriseSender:
    """Implements ``Sender``.

    Args:
        within_s: a batch that takes longer is stopped; what it has not reported has failed.
    """

    def __init__(self, within_s: float = _WITHIN_S) -> None:
        self._within_s = within_s

    async def send(
        self, urls: Mapping[str, str], deliveries: Sequence[Delivery]
    ) -> AsyncIterator[Attempt]:
        """Send, and yield each outcome as it is known."""
        left = {(d.key, d.destination): d for d in deliveries}
        # The URLs go through the pipe: arguments and environment are visible to others.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", _PROCESS,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            pipe_in, pipe_out = process.stdin, process.stdout
            if pipe_in is None or pipe_out is None:
                raise RuntimeError("the sending process has no pipes")
            given = {"urls": dict(urls), "deliveries": [asdict(d) for d in deliveries]}
            with contextlib.suppress(ConnectionError):
                pipe_in.write(json.dumps(given).encode())
                await pipe_in.drain()
            pipe_in.close()
            reported: set[str] = set()
            deadline = asyncio.get_running_loop().time() + self._within_s
            while line := await _line(pipe_out, deadline):
                outcome = json.loads(line)
                delivery = left.pop((outcome["key"], outcome["destination"]), None)
                if delivery is None:
                    continue
                reported.add(delivery.destination)
                yield Attempt(delivery=delivery, error=outcome["error"])
            for delivery in left.values():
                # What follows a failure, or came too late in the batch, was not tried.
                if delivery.destination not in reported:
                    reported.add(delivery.destination)
                    yield Attempt(delivery=delivery, error="no outcome in time")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _line(stream: asyncio.StreamReader, deadline: float) -> bytes:
    """The next line; empty at the end, and when the time is over."""
    try:
        async with asyncio.timeout_at(deadline):
            return await stream.readline()
    except TimeoutError:
        return b""

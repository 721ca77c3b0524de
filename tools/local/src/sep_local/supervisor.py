"""Starts the parts in order, restarts those that end, and stops all in reverse order."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sep_local.child import Child, LineSink
from sep_local.part import Part, Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Timeouts and delays of the supervisor, in seconds.

    Args:
        ready_within: the start fails when the stack is not ready by then.
        deaths_before_ready: the start fails when a part has ended this many times.
        first_restart_delay, longest_restart_delay: the delay doubles with each restart.
        steady_after: a part that ran this long restarts with the first delay again.
        drain_within: how long a part may take to finish the calls in progress.
        next_stop_after: the next part is stopped when the previous one has ended, or after this.
        kill_after: from SIGTERM to SIGKILL.
        stop_within: by then every part has been sent SIGKILL.
        same_request_within: a terminal and a wrapper may both pass on the same Ctrl-C.
        probe_every: between two calls of a readiness probe.
        remind_every: between two messages that something is still missing.
    """

    ready_within: float = 120.0
    deaths_before_ready: int = 5
    first_restart_delay: float = 0.5
    longest_restart_delay: float = 10.0
    steady_after: float = 30.0
    drain_within: float = 1.5
    next_stop_after: float = 0.9
    kill_after: float = 6.0
    stop_within: float = 8.0
    same_request_within: float = 0.5
    probe_every: float = 0.2
    remind_every: float = 10.0


class Supervisor:
    """One run of the stack.

    Args:
        ready: returns None when the whole stack is ready.
        sink: takes the parts' output.
        report: takes the supervisor's own messages.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        ready: Probe,
        sink: LineSink,
        report: Callable[[str], None],
        timeouts: Timeouts = Timeouts(),
    ) -> None:
        self._parts = parts
        self._ready = ready
        self._sink = sink
        self._report = report
        self._timeouts = timeouts
        self._runners: dict[str, asyncio.Task[None]] = {}
        self._children: dict[str, Child] = {}
        self._deaths: dict[str, int] = {}
        self._is_up = False
        self._stopping = asyncio.Event()
        self._kill_now = asyncio.Event()
        self._stop_requested_at = 0.0
        self._failure = ""
        self._missing = ""

    async def run(self, when_ready: Callable[[], None]) -> str:
        """Run until a stop is requested or a part can't run; every part has ended by then.

        Returns:
            The cause of a failure; empty after a requested stop.
        """
        try:
            await self._until_stopping(asyncio.create_task(self._start_all()))
            if not self._stopping.is_set():
                self._is_up = True
                when_ready()
                await self._stopping.wait()
        finally:
            self._stopping.set()
            await self._stop_all()
        return self._failure

    def request_stop(self, why: str) -> None:
        """Stop all parts in order; a second request kills them."""
        now = asyncio.get_running_loop().time()
        if not self._stopping.is_set():
            self._stop_requested_at = now
            self._report(f"{why}: stopping (once more kills at once)")
            self._stopping.set()
        elif now - self._stop_requested_at >= self._timeouts.same_request_within:
            self._report(f"{why} again: killing what still runs")
            self._kill_now.set()

    def _fail(self, failure: str) -> None:
        if not self._stopping.is_set():
            self._failure = failure
            self._stopping.set()

    async def _until_stopping(self, start: asyncio.Task[None]) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait(
                {start, stopping},
                timeout=self._timeouts.ready_within,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if start.done():
                start.result()
            else:
                late = f"not ready within {self._timeouts.ready_within:g} s"
                self._fail(f"{late}; what is missing: {self._missing}")
        finally:
            for task in (start, stopping):
                task.cancel()
            await asyncio.wait({start, stopping})

    async def _start_all(self) -> None:
        for part in self._parts:
            self._report(f"starting {part.name}")
            runner = asyncio.create_task(self._keep_running(part), name=part.name)
            runner.add_done_callback(self._check_runner)
            self._runners[part.name] = runner
            if part.ready:
                await self._wait_for(part.ready)
        await self._wait_for(self._ready)

    async def _wait_for(self, probe: Probe) -> None:
        reported, reported_at = "", 0.0
        clock = asyncio.get_running_loop().time
        while missing := await probe():
            self._missing = missing
            if missing != reported or clock() - reported_at > self._timeouts.remind_every:
                self._report(f"waiting for {missing}")
                reported, reported_at = missing, clock()
            await asyncio.sleep(self._timeouts.probe_every)

    async def _keep_running(self, part: Part) -> None:
        delay = self._timeouts.first_restart_delay
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            started = clock()
            code = await self._run_once(part)
            if self._stopping.is_set():
                return
            if clock() - started >= self._timeouts.steady_after:
                delay = self._timeouts.first_restart_delay
            self._report(f"{part.name} ended ({describe(code)}); restarting it in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            delay = min(2 * delay, self._timeouts.longest_restart_delay)

    def _check_runner(self, runner: asyncio.Task[None]) -> None:
        if error := runner.exception():
            self._fail(f"the supervisor of {runner.get_name()} failed: {error!r}")

    async def _run_once(self, part: Part) -> int:
        try:
            child = await Child.spawn(part, self._sink)
        except OSError as error:
            self._fail(f"can't start {part.name}: {error}")
            return os.EX_OSERR
        self._children[part.name] = child
        if self._stopping.is_set():  # during the spawn
            child.terminate()
        code = await child.wait()
        del self._children[part.name]
        self._deaths[part.name] = self._deaths.get(part.name, 0) + 1
        output = "\n  ".join(child.last_lines)
        if code == os.EX_CONFIG:
            self._fail(f"{part.name} refuses its settings:\n  {output}")
        elif not self._is_up and self._deaths[part.name] >= self._timeouts.deaths_before_ready:
            times = self._deaths[part.name]
            self._fail(f"{part.name} ended {times} times, last with {describe(code)}:\n  {output}")
        return code

    async def _stop_all(self) -> None:
        deadline = asyncio.get_running_loop().time() + self._timeouts.stop_within
        kill_now = asyncio.create_task(self._kill_now.wait())
        stops: list[asyncio.Task[None]] = []
        for part in reversed(self._parts):
            if part.name in self._runners:
                stops.append(asyncio.create_task(self._stop(part, deadline, kill_now)))
                timeout = self._timeouts.next_stop_after
                if part.drain:
                    # Its calls in progress may need the parts that stop after it.
                    timeout += self._timeouts.drain_within
                await asyncio.wait(
                    {stops[-1], kill_now}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
                )
        await asyncio.gather(*stops)
        kill_now.cancel()

    async def _stop(self, part: Part, deadline: float, kill_now: asyncio.Task[bool]) -> None:
        runner = self._runners[part.name]
        if part.drain and part.name in self._children:
            drain = asyncio.ensure_future(part.drain())
            await asyncio.wait(
                {drain, kill_now, runner},
                timeout=self._timeouts.drain_within,
                return_when=asyncio.FIRST_COMPLETED,
            )
            drain.cancel()
        if child := self._children.get(part.name):
            child.terminate()
        grace = min(self._timeouts.kill_after, deadline - asyncio.get_running_loop().time())
        await asyncio.wait(
            {runner, kill_now}, timeout=max(grace, 0.0), return_when=asyncio.FIRST_COMPLETED
        )
        if not runner.done():
            if not kill_now.done():
                self._report(f"{part.name} did not stop within {grace:.0f} s: killing it")
            if child := self._children.get(part.name):
                child.kill()
        await asyncio.wait({runner})


def describe(code: int) -> str:
    """An exit code or signal as text."""
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"

"""Starts the parts in order, keeps them running, and stops them in reverse order."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sep_stack.child import Child, LineSink
from sep_stack.part import Part, Probe


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits for what, in seconds."""

    ready_within: float = 120.0
    deaths_before_ready: int = 5
    """A part that has died this often before the stack was ready never will be."""
    first_pause: float = 0.5
    longest_pause: float = 10.0
    steady_after: float = 30.0
    """A part that ran this long starts again with the first pause."""
    drain_within: float = 1.5
    """How long a part may finish what it has begun."""
    next_stop_after: float = 0.9
    """The next part is asked to stop when the one before has ended, or after this."""
    kill_after: float = 6.0
    stop_within: float = 9.0
    same_request_within: float = 0.5
    """A terminal and a wrapper may both pass on one and the same Ctrl-C."""
    ask_every: float = 0.2
    remind_every: float = 10.0


class Supervisor:
    """One run of the stack."""

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        ready: Probe,
        sink: LineSink,
        say: Callable[[str], None],
        patience: Patience = Patience(),
    ) -> None:
        self._parts = parts
        self._ready = ready
        self._sink = sink
        self._say = say
        self._patience = patience
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._children: dict[str, Child] = {}
        self._deaths: dict[str, int] = {}
        self._is_up = False
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._asked_at = 0.0
        self._failure = ""
        self._missing = ""

    async def run(self, when_ready: Callable[[], None]) -> str:
        """Run until asked to stop, or until a part can't run; everything has ended then.

        Returns:
            Why it failed; empty after a stop that was asked for.
        """
        try:
            await self._until_stopping(asyncio.create_task(self._bring_up()))
            if not self._stopping.is_set():
                self._is_up = True
                when_ready()
                await self._stopping.wait()
        finally:
            self._stopping.set()
            await self._stop_all()
        return self._failure

    def request_stop(self, why: str) -> None:
        """Stop in order; asked again, kill."""
        now = asyncio.get_running_loop().time()
        if not self._stopping.is_set():
            self._asked_at = now
            self._say(f"{why}: stopping (once more kills at once)")
            self._stopping.set()
        elif now - self._asked_at >= self._patience.same_request_within:
            self._say(f"{why} again: killing what still runs")
            self._hurry.set()

    def _fail(self, failure: str) -> None:
        if not self._stopping.is_set():
            self._failure = failure
            self._stopping.set()

    async def _until_stopping(self, bring_up: asyncio.Task[None]) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait(
                {bring_up, stopping},
                timeout=self._patience.ready_within,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if bring_up.done():
                bring_up.result()
            else:
                late = f"not ready within {self._patience.ready_within:g} s"
                self._fail(f"{late}; what is missing: {self._missing}")
        finally:
            for task in (bring_up, stopping):
                task.cancel()
            await asyncio.wait({bring_up, stopping})

    async def _bring_up(self) -> None:
        for part in self._parts:
            self._say(f"starting {part.name}")
            keeper = asyncio.create_task(self._keep(part), name=part.name)
            keeper.add_done_callback(self._check)
            self._keepers[part.name] = keeper
            if part.ready:
                await self._wait_for(part.ready)
        await self._wait_for(self._ready)

    async def _wait_for(self, probe: Probe) -> None:
        said, said_at = "", 0.0
        clock = asyncio.get_running_loop().time
        while missing := await probe():
            self._missing = missing
            if missing != said or clock() - said_at > self._patience.remind_every:
                self._say(f"waiting for {missing}")
                said, said_at = missing, clock()
            await asyncio.sleep(self._patience.ask_every)

    async def _keep(self, part: Part) -> None:
        pause = self._patience.first_pause
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            started = clock()
            code = await self._run_once(part)
            if self._stopping.is_set():
                return
            if clock() - started >= self._patience.steady_after:
                pause = self._patience.first_pause
            self._say(f"{part.name} ended ({describe(code)}); starting it again in {pause:g} s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            pause = min(2 * pause, self._patience.longest_pause)

    def _check(self, keeper: asyncio.Task[None]) -> None:
        if error := keeper.exception():
            self._fail(f"the supervisor lost {keeper.get_name()}: {error!r}")

    async def _run_once(self, part: Part) -> int:
        try:
            child = await Child.spawn(part, self._sink)
        except OSError as error:
            self._fail(f"can't start {part.name}: {error}")
            return os.EX_OSERR
        self._children[part.name] = child
        if self._stopping.is_set():  # while it was being started
            child.terminate()
        code = await child.wait()
        del self._children[part.name]
        self._deaths[part.name] = self._deaths.get(part.name, 0) + 1
        words = "\n  ".join(child.last_lines)
        if code == os.EX_CONFIG:
            self._fail(f"{part.name} refuses its settings:\n  {words}")
        elif not self._is_up and self._deaths[part.name] >= self._patience.deaths_before_ready:
            times = self._deaths[part.name]
            self._fail(f"{part.name} ended {times} times, last with {describe(code)}:\n  {words}")
        return code

    async def _stop_all(self) -> None:
        deadline = asyncio.get_running_loop().time() + self._patience.stop_within
        hurry = asyncio.create_task(self._hurry.wait())
        stops: list[asyncio.Task[None]] = []
        for part in reversed(self._parts):
            if part.name in self._keepers:
                stops.append(asyncio.create_task(self._stop(part.name, deadline, hurry)))
                patience = self._patience.next_stop_after
                if part.drain:
                    # What it has begun may need the parts that stop after it.
                    patience += self._patience.drain_within
                await asyncio.wait(
                    {stops[-1], hurry},
                    timeout=patience,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        await asyncio.gather(*stops)
        hurry.cancel()

    async def _stop(self, name: str, deadline: float, hurry: asyncio.Task[bool]) -> None:
        keeper = self._keepers[name]
        drain = next((part.drain for part in self._parts if part.name == name), None)
        if drain and name in self._children:
            draining = asyncio.ensure_future(drain())
            await asyncio.wait(
                {draining, hurry, keeper},
                timeout=self._patience.drain_within,
                return_when=asyncio.FIRST_COMPLETED,
            )
            draining.cancel()
        child = self._children.get(name)
        if child:
            child.terminate()
        grace = min(self._patience.kill_after, deadline - asyncio.get_running_loop().time())
        await asyncio.wait(
            {keeper, hurry}, timeout=max(grace, 0.0), return_when=asyncio.FIRST_COMPLETED
        )
        if not keeper.done():
            if not hurry.done():
                self._say(f"{name} did not stop within {grace:.0f} s: killing it")
            child = self._children.get(name)
            if child:
                child.kill()
        await asyncio.wait({keeper})


def describe(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"

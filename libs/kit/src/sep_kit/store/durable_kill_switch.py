"""The kill switch of a service that acts on it: an engage holds even if the store is away."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import SepError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store.halt_file import HaltFile
from sep_kit.store.kill_switch import KillSwitch, KillSwitchState
from sep_kit.store.records import KillSwitchChange

_log = get_logger("KillSwitch")

STORE_WITHIN_S = 0.5
"""How long an engage waits for the store."""
LATE_INTERVAL_S = 0.5
"""How often a pending engage is tried again."""

EngageElsewhere = Callable[[KillSwitchChange], Awaitable[None]]


async def _engage_nowhere_else(_: KillSwitchChange) -> None:
    """No other service holds the switch."""


class DurableKillSwitch:
    """The stored switch, and a pending engage that the store has not taken yet.

    A pending engage is in force in this process at once, and after a restart by its file, until it
    is on the store's disk or a later change took its place. Run ``tick`` as a loop.

    Args:
        file: of the pending engage; without one it is lost with the process.
        engage_elsewhere: puts a pending engage into force in the service that sends the orders.
    """

    def __init__(
        self,
        stored: KillSwitch,
        file: HaltFile | None,
        clock: Clock,
        engage_elsewhere: EngageElsewhere = _engage_nowhere_else,
    ) -> None:
        self._stored = stored
        self._file = file
        self._clock = clock
        self._engage_elsewhere = engage_elsewhere
        self._pending = file.read(now_ms(clock)) if file is not None else None
        self._in_force_elsewhere: KillSwitchChange | None = None
        self._file_lock = asyncio.Lock()

    @property
    def pending(self) -> KillSwitchChange | None:
        """The engage that the store has not taken yet."""
        return self._pending

    async def read(self) -> KillSwitchState:
        """The state; engaged while an engage is pending or the state can't be read."""
        if self._pending is not None:
            return KillSwitchState(True, self._pending.reason, self._pending)
        return await self._stored.read()

    async def engaged(self) -> bool:
        """Whether it is engaged, in one round trip; True if it can't be read."""
        return self._pending is not None or await self._stored.engaged()

    async def set(self, change: KillSwitchChange) -> bool:
        """Engage or release.

        Returns:
            Whether the change is on the store's disk. An engage that is not is pending.

        Raises:
            StoreUnavailableError: a release that the store did not take; nothing was released.
        """
        return await (self._engage(change) if change.engaged else self._release(change))

    async def seed(self, change: KillSwitchChange, *, force: bool) -> None:
        """Set the switch at start if it is absent; a forced engage is set in any case.

        Raises:
            StoreUnavailableError: Valkey does not answer; the state is unknown.
        """
        await self._stored.seed(change, force=force)

    async def hold(self, change: KillSwitchChange) -> None:
        """Put an engage into force here: in memory at once, then in the file."""
        self._pending = change
        await self._update_file()

    async def tick(self) -> None:
        """Write a pending engage, if there is one.

        Raises:
            StoreUnavailableError: the store does not take it yet.
        """
        pending = self._pending
        if pending is None:
            return
        await self._engage_elsewhere_once(pending)
        if await self._stored.engage_late(pending):
            _log.warning("pending engage written", reason=pending.reason, actor=pending.actor)
            await self._forget(pending)

    async def _engage(self, change: KillSwitchChange) -> bool:
        try:
            async with asyncio.timeout(STORE_WITHIN_S):
                if await self._stored.set(change):
                    return True
            error = "it is not on the store's disk yet"
        except (StoreUnavailableError, TimeoutError) as failure:
            error = str(failure) or "the store did not answer in time"
        _log.error("engage is pending: in force, and written when the store takes it", error=error)
        await self.hold(change)
        await self._engage_elsewhere_once(change)
        return False

    async def _release(self, change: KillSwitchChange) -> bool:
        pending, before = self._pending, await self._stored.read()
        if before.unreadable:
            raise StoreUnavailableError(f"{before.reason}: the kill switch was not released")
        if pending is not None and change.ts <= pending.ts:
            change = change.model_copy(update={"ts": pending.ts + 1})
        try:
            on_disk = await self._stored.set(change)
        except StoreUnavailableError:
            if before.engaged:
                # The store may have taken it, and the answer was lost.
                await self._undo(change, before)
            raise
        if pending is not None:
            await self._forget(pending)
        return on_disk

    async def _undo(self, release: KillSwitchChange, before: KillSwitchState) -> None:
        reason = f"a release failed and was undone; before: {before.reason}"
        undo = release.model_copy(
            update={"ts": release.ts + 1, "engaged": True, "reason": reason[:500]}
        )
        await self.hold(undo)
        await self._engage_elsewhere_once(undo)

    async def _engage_elsewhere_once(self, change: KillSwitchChange) -> None:
        if self._in_force_elsewhere is change:
            return
        with contextlib.suppress(SepError):  # tried again in the next tick
            await self._engage_elsewhere(change)
            self._in_force_elsewhere = change

    async def _forget(self, pending: KillSwitchChange) -> None:
        # Another engage may have become pending meanwhile.
        if self._pending is pending:
            self._pending = None
            await self._update_file()

    async def _update_file(self) -> None:
        """Make the file show the pending engage, whichever it is by then."""
        if self._file is None:
            return
        async with self._file_lock:
            try:
                if self._pending is None:
                    await asyncio.to_thread(self._file.delete)
                else:
                    await asyncio.to_thread(self._file.write, self._pending)
            except OSError as error:
                _log.error(
                    "kill switch file not written", file=str(self._file.path), error=str(error)
                )

"""Locks that a person lists, imposes or lifts: checked, persisted and logged."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import InvalidArgumentError, StoreUnavailableError, UnknownInstrumentError
from sep_kit.logging import get_logger

from sep_guard.application.breaker import engaged_by, save
from sep_guard.application.dispatcher import Dispatcher
from sep_guard.domain.risk import events, locks
from sep_guard.domain.risk.events import RiskEvent
from sep_guard.domain.risk.locks import Lock, LockCause
from sep_guard.domain.risk.monitor import with_damage
from sep_guard.domain.risk.state import RiskState
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import GuardStore, RiskStates

_log = get_logger("RiskLimits")
_DEADLINE_S = 3.0
"""Deadline of a change, in seconds. A store that hangs delays the change before it as well."""


class InstrumentLocks:
    """Lists, imposes and lifts locks."""

    def __init__(
        self,
        instruments: Sequence[str],
        states: RiskStates,
        store: GuardStore,
        dispatcher: Dispatcher,
        new_id: Callable[[], str],
        clock: Clock,
        metrics: GuardMetrics,
    ) -> None:
        self._instruments = frozenset(instruments)
        self._states = states
        self._store = store
        self._dispatcher = dispatcher
        self._new_id = new_id
        self._clock = clock
        self._metrics = metrics

    async def running(self) -> tuple[Lock, ...]:
        """The locks that hold now, by instrument and cause.

        Raises:
            StoreUnavailableError: the state can't be read.
        """
        return locks.active((await self._states.load()).locks, now_ms(self._clock))

    async def lock(
        self, instrument: str, reason: str, actor: str, until_ms: int | None
    ) -> tuple[Lock, ...]:
        """Lock an instrument by hand; the locks that hold then.

        Args:
            until_ms: when it ends; None for until it is lifted.

        Raises:
            UnknownInstrumentError: the instrument is not one of the stack's.
            InvalidArgumentError: no reason, or an end that is not ahead.
            NotTheWriterError: another replica holds the lease.
            StoreUnavailableError: the state can't be read or written.
        """
        now = now_ms(self._clock)
        self._check(instrument, reason)
        if until_ms is not None and until_ms <= now:
            raise InvalidArgumentError("until_ms: must lie ahead; leave it out for no end")
        async with self._alone():
            loaded = await self._states.load()
            state = with_damage(loaded, now)
            changed = locks.impose_by_hand(state.locks, instrument, reason, actor, until_ms, now)
            held = locks.active(changed, now, instrument)
            by_hand = next(lock for lock in held if lock.cause is LockCause.MANUAL)
            state = replace(state, locks=changed)
            await self._commit(loaded, state, events.locked(self._new_id(), by_hand), now)
        self._metrics.show_risk(state, now)
        _log.warning("locked", instrument=instrument, actor=actor, reason=reason)
        return held

    async def unlock(self, instrument: str, reason: str, actor: str) -> tuple[Lock, ...]:
        """Lift every lock of an instrument; the locks that hold then, which are none.

        Raises: as ``lock`` does.
        """
        now = now_ms(self._clock)
        self._check(instrument, reason)
        async with self._alone():
            loaded = await self._states.load()
            state = with_damage(loaded, now)
            state = replace(state, locks=locks.lift(state.locks, instrument, now))
            event = events.unlocked(self._new_id(), instrument, reason, actor, now)
            await self._commit(loaded, state, event, now)
        self._metrics.show_risk(state, now)
        _log.warning("unlocked", instrument=instrument, actor=actor, reason=reason)
        return locks.active(state.locks, now, instrument)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold the plan's lock, so that no cycle plans meanwhile; after an error ask again."""
        try:
            async with asyncio.timeout(_DEADLINE_S), self._dispatcher.exclusive_plan():
                yield
        except TimeoutError:
            raise StoreUnavailableError(
                f"no change of locks was possible within {_DEADLINE_S:g} s: Valkey does not respond"
            ) from None

    async def _commit(
        self, loaded: RiskState, state: RiskState, event: RiskEvent, now: int
    ) -> None:
        """Persist a change. Damage that was found on the way trips the breaker for good."""
        if state.trip is None or loaded.trip is not None:
            await self._store.commit(save(state, [event]))
            return
        found = events.tripped(self._new_id(), state.trip)
        await self._store.commit(save(state, [event, found], engaged_by(state.trip, now)))
        _log.error("breaker tripped", cause=found.cause, reason=found.reason)

    def check(self, instrument: str) -> None:
        """Raises UnknownInstrumentError if the instrument is not one of the stack's."""
        if instrument not in self._instruments:
            raise UnknownInstrumentError(instrument, tuple(self._instruments))

    def _check(self, instrument: str, reason: str) -> None:
        self.check(instrument)
        if not reason.strip():
            raise InvalidArgumentError("reason: must be given to lock or unlock an instrument")

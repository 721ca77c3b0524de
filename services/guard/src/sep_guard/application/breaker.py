"""Acts on what observations and plans say about the limits, and takes acknowledgements."""

from collections.abc import Callable, Sequence

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import PreconditionError, SepError
from sep_kit.logging import get_logger
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.records import KillSwitchChange

from sep_guard.application.dispatcher import Dispatcher
from sep_guard.domain.actions import Plan
from sep_guard.domain.risk import events, locks
from sep_guard.domain.risk.breaker import Trip
from sep_guard.domain.risk.events import RiskEvent
from sep_guard.domain.risk.limits import RiskLimits
from sep_guard.domain.risk.locks import Lock
from sep_guard.domain.risk.monitor import acknowledge, with_passed
from sep_guard.domain.risk.state import RiskState
from sep_guard.domain.view import View
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import GuardStore, RiskStates, Transaction, Writes

_log = get_logger("RiskLimits")


class BreakerTrippedError(PreconditionError):
    """A release was asked for while the breaker is tripped, without an acknowledgement."""

    reason = "BREAKER_TRIPPED"


class Breaker:
    """Persists observations, locks instruments, and engages the kill switch on a trip."""

    def __init__(
        self,
        states: RiskStates,
        store: GuardStore,
        dispatcher: Dispatcher,
        kill_switch: KillSwitch,
        limits: RiskLimits,
        new_id: Callable[[], str],
        clock: Clock,
        metrics: GuardMetrics,
    ) -> None:
        self._states = states
        self._store = store
        self._dispatcher = dispatcher
        self._kill_switch = kill_switch
        self._limits = limits
        self._new_id = new_id
        self._clock = clock
        self._metrics = metrics

    async def act(self, view: View, plan: Plan) -> bool:
        """Take a cycle's observation, and what its plan adds to it, into force.

        Returns:
            Whether the breaker is tripped.
        """
        observed = view.observed
        if observed is None:
            return bool(view.risk.tripped)
        state = with_passed(observed.state, plan.trip, plan.triggers, self._limits, view.now_ms)
        imposed = (*observed.locked, *_added(observed.state, state, view.now_ms))
        new_trip = observed.tripped
        if observed.state.trip is None:
            new_trip = state.trip
        recorded = [events.locked(self._new_id(), lock) for lock in imposed]
        if new_trip is not None:
            recorded.append(events.tripped(self._new_id(), new_trip))
        for event in recorded:
            _log.error(
                event.kind.lower().replace("_", " "), cause=event.cause,
                instrument=event.instrument, reason=event.reason,
            )  # fmt: skip
        await self._dispatcher.write(save(state, recorded))
        self._metrics.show_risk(state, view.now_ms)
        if state.trip is None:
            return False
        if not view.controls.kill_switch:
            await self._engage(state.trip)
        return True

    async def check_release(self) -> None:
        """Raise while the breaker is tripped.

        Raises:
            BreakerTrippedError: it is tripped.
            StoreUnavailableError: the state can't be read.
        """
        tripped = (await self._states.load()).trip
        if tripped is not None:
            raise BreakerTrippedError(
                f"the breaker is tripped: {tripped.reason}. Find out why, then release with "
                "acknowledge_breaker: true",
                cause=tripped.cause,
            )

    async def acknowledge(self, reason: str, actor: str) -> None:
        """Reset a tripped breaker; new baselines begin with the next reading.

        Raises:
            NotTheWriterError: another replica holds the lease.
            StoreUnavailableError: the state can't be read or written.
        """
        async with self._dispatcher.exclusive_plan():
            state = await self._states.load()
            recorded = []
            if state.trip is not None:
                now = now_ms(self._clock)
                recorded.append(events.acknowledged(self._new_id(), state.trip, reason, actor, now))
            await self._store.commit(save(acknowledge(state), recorded))
        _log.warning("breaker acknowledged", actor=actor, reason=reason)

    async def _engage(self, tripped: Trip) -> None:
        # Tried again in each cycle: while the trip stands, the switch is not released alone.
        change = KillSwitchChange(
            ts=now_ms(self._clock), engaged=True, reason=tripped.reason, actor="breaker"
        )
        try:
            await self._kill_switch.set(change)
        except SepError as error:
            _log.error("kill switch not engaged yet: entries are refused", error=str(error))
            return
        self._metrics.show_kill_switch(True)
        _log.error("kill switch engaged", actor="breaker", reason=tripped.reason)


def save(state: RiskState, recorded: Sequence[RiskEvent]) -> Writes:
    """Writes that persist a state with the events that led to it."""

    def writes(transaction: Transaction) -> None:
        transaction.save_risk_state(state)
        for event in recorded:
            transaction.record_risk_event(event)

    return writes


def _added(before: RiskState, after: RiskState, now: int) -> tuple[Lock, ...]:
    return tuple(
        lock
        for lock in locks.active(after.locks, now)
        if lock not in before.locks.get(lock.instrument, ())
    )

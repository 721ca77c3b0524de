"""Trips the breaker and locks instruments when limits are passed; takes acknowledgements."""

from collections.abc import Callable, Sequence

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import PreconditionError
from sep_kit.logging import get_logger
from sep_kit.store.durable_kill_switch import DurableKillSwitch
from sep_kit.store.records import KillSwitchChange

from sep_guard.application.dispatcher import Dispatcher
from sep_guard.domain.actions import Plan
from sep_guard.domain.risk import events, locks
from sep_guard.domain.risk.breaker import Trip
from sep_guard.domain.risk.events import RiskEvent
from sep_guard.domain.risk.limits import RiskLimits
from sep_guard.domain.risk.locks import Lock
from sep_guard.domain.risk.monitor import Observed, acknowledge, trip, with_damage, with_passed
from sep_guard.domain.risk.report import limit_rows
from sep_guard.domain.risk.state import RiskState
from sep_guard.domain.view import View
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import GuardStore, RiskStates, Transaction, Writes

_log = get_logger("RiskLimits")


class BreakerTrippedError(PreconditionError):
    """A release was asked for while the breaker is tripped, without an acknowledgement."""

    reason = "BREAKER_TRIPPED"


class Breaker:
    """Persists observations, locks instruments, and engages the kill switch on a trip.

    A trip and the engaged kill switch are one transaction. A trip that could not be written is
    remembered by this process until it is.
    """

    def __init__(
        self,
        states: RiskStates,
        store: GuardStore,
        dispatcher: Dispatcher,
        kill_switch: DurableKillSwitch,
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
        self._tripped = False
        self._unwritten: Trip | None = None

    async def act(self, view: View, plan: Plan) -> bool:
        """Persist a cycle's observation, and the trip and locks that follow from it and the plan.

        Returns:
            Whether the breaker is tripped, as far as it is known: while the state can't be
            read, what the last observation said.
        """
        observed = view.observed
        if observed is None:
            self._show(view, None)
            return self._tripped
        state = with_passed(observed.state, plan.trip, plan.triggers, self._limits, view.now_ms)
        if self._unwritten is not None:
            state = trip(state, self._unwritten)
        recorded = self._events(observed, state, view.now_ms)
        change = None
        if state.trip is not None and not view.controls.kill_switch:
            # In each cycle: while the trip stands, the switch is not released alone.
            change = engaged_by(state.trip, now_ms(self._clock))
        written = await self._dispatcher.write(save(state, recorded, change))
        self._unwritten = None if written else state.trip
        self._tripped = state.trip is not None
        self._show(view, state)
        if change is not None:
            await self._confirm(change, written=written)
        return self._tripped

    def stand_by(self) -> None:
        """Forget what was observed: another replica writes, and observes."""
        self._tripped, self._unwritten = False, None

    async def check_release(self) -> None:
        """Raise while the breaker is tripped.

        Raises:
            BreakerTrippedError: it is tripped.
            StoreUnavailableError: the state can't be read.
        """
        state = with_damage(await self._states.load(), now_ms(self._clock))
        tripped = state.trip or self._unwritten
        if tripped is not None:
            raise BreakerTrippedError(
                f"the breaker is tripped: {tripped.reason}. Find out why, then release with "
                "acknowledge_breaker: true",
                cause=tripped.cause,
            )

    async def acknowledge(self, reason: str, actor: str) -> None:
        """Reset a tripped breaker; new baselines begin with the next reading.

        Without a trip nothing changes.

        Raises:
            NotTheWriterError: another replica holds the lease.
            StoreUnavailableError: the state can't be read or written.
        """
        async with self._dispatcher.exclusive_plan():
            now = now_ms(self._clock)
            state = with_damage(await self._states.load(), now)
            if self._unwritten is not None:
                state = trip(state, self._unwritten)
            recorded = []
            if state.trip is not None:
                recorded.append(events.acknowledged(self._new_id(), state.trip, reason, actor, now))
            state = acknowledge(state)
            await self._store.commit(save(state, recorded))
            self.stand_by()
        self._metrics.show_risk(state, now)
        _log.warning("breaker acknowledged", actor=actor, reason=reason, tripped=bool(recorded))

    def _events(self, observed: Observed, state: RiskState, now: int) -> list[RiskEvent]:
        imposed = (*observed.locked, *_added(observed.state, state, now))
        recorded = [events.locked(self._new_id(), lock) for lock in imposed]
        new_trip = state.trip if observed.state.trip is None else observed.tripped
        if new_trip is not None:
            recorded.append(events.tripped(self._new_id(), new_trip))
        for event in recorded:
            _log.error(
                event.kind.lower().replace("_", " "), cause=event.cause,
                instrument=event.instrument, reason=event.reason,
            )  # fmt: skip
        if observed.baseline is not None:
            recorded.append(events.baseline_started(self._new_id(), observed.baseline))
        return recorded

    async def _confirm(self, change: KillSwitchChange, *, written: bool) -> None:
        if not written:
            # Without the lease the state can't be written; an engage holds all the same.
            await self._kill_switch.set(change)
        self._metrics.show_kill_switch(True)
        _log.error("kill switch engaged", actor=change.actor, reason=change.reason)

    def _show(self, view: View, state: RiskState | None) -> None:
        if state is not None:
            self._metrics.show_risk(state, view.now_ms)
        rows = limit_rows(view.markets.values(), state, view.account.nav, self._limits, view.now_ms)
        self._metrics.show_headroom(rows)


def engaged_by(tripped: Trip, now: int) -> KillSwitchChange:
    """The change of the kill switch that a trip brings about."""
    return KillSwitchChange(ts=now, engaged=True, reason=tripped.reason, actor="breaker")


def save(
    state: RiskState, recorded: Sequence[RiskEvent], engage: KillSwitchChange | None = None
) -> Writes:
    """Writes that persist a state with the events that led to it, and engage the kill switch."""

    def writes(transaction: Transaction) -> None:
        transaction.save_risk_state(state)
        for event in recorded:
            transaction.record_risk_event(event)
        if engage is not None:
            transaction.engage_kill_switch(engage)

    return writes


def _added(before: RiskState, after: RiskState, now: int) -> tuple[Lock, ...]:
    return tuple(
        lock
        for lock in locks.active(after.locks, now)
        if lock not in before.locks.get(lock.instrument, ())
    )

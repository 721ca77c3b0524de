"""One observation: the account and its ledger against the limits."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sep_guard.domain.market import ZERO
from sep_guard.domain.risk import activity, equity
from sep_guard.domain.risk.activity import OwnTrade
from sep_guard.domain.risk.breaker import BreakerCause, Trip, trip_of_fault, trip_of_share
from sep_guard.domain.risk.drop_copy import second_writer
from sep_guard.domain.risk.equity import EquityState
from sep_guard.domain.risk.ledger_events import LedgerPage
from sep_guard.domain.risk.limits import RiskLimits
from sep_guard.domain.risk.locks import Lock, Trigger, active, forget_old, impose
from sep_guard.domain.risk.refused_orders import count_orders
from sep_guard.domain.risk.state import RiskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read from the broker for one observation.

    Attributes:
        nav: NAV in home currency as the broker sent it; None where the account can't be read.
        ledger: transactions since the last observation; None where they can't be read.
        trades: open trades of this stack, as of the ledger's newest transaction.
        sent: client order ids that this process sent.
    """

    nav: Decimal | None
    ledger: LedgerPage | None
    trades: Sequence[OwnTrade]
    sent: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The state after an observation, and what is new in it.

    Attributes:
        readable: whether everything that the limits need could be read; entries need it.
        tripped: the trip of this observation; None where there is none, or was one before.
        locked: locks that this observation imposed.
        baseline: the equity whose day or peak begins with this observation; None for a later
            reading of the same day.
    """

    state: RiskState
    readable: bool
    tripped: Trip | None
    locked: tuple[Lock, ...]
    baseline: EquityState | None = None


def observe(state: RiskState, reading: Reading, limits: RiskLimits, now_ms: int) -> Observed:
    """Take one reading into the state.

    What can't be read changes nothing and trips nothing. Equity that was read and can't be
    right trips, and so does a damaged baseline.
    """
    before = state
    state = with_damage(state, now_ms)
    transfers = ZERO
    ledger = reading.ledger
    if ledger is not None and not ledger.whole:
        # Counted from, it would hide what is missing for good. The next cycle reads it again.
        ledger = None
    if ledger is not None:
        state, transfers = _with_ledger(state, ledger, reading, limits, now_ms)
    if reading.nav is not None:
        state = _with_nav(state, reading.nav, None if ledger is None else transfers, limits, now_ms)
    state = replace(state, locks=forget_old(state.locks, now_ms))
    return Observed(
        state=state,
        readable=reading.nav is not None
        and ledger is not None
        and state.activity is not None
        and not state.activity.unvalued,
        tripped=state.trip if before.trip is None else None,
        locked=tuple(
            lock
            for lock in active(state.locks, now_ms)
            if lock not in before.locks.get(lock.instrument, ())
        ),
        baseline=_begun(before.equity, state.equity),
    )


def _with_ledger(
    state: RiskState, ledger: LedgerPage, reading: Reading, limits: RiskLimits, now_ms: int
) -> tuple[RiskState, Decimal]:
    """The state with the ledger and the refused orders counted, and cash moved in or out."""
    counted, transfers, triggers = state.activity, ZERO, list[Trigger]()
    if counted is None:
        counted = activity.begin(ledger.through_id, reading.trades, now_ms)
    else:
        other = second_writer(ledger, counted.through_id, reading.sent, now_ms)
        if other is not None:
            state = trip(state, other)
        folded = activity.fold(counted, ledger, limits, now_ms)
        counted, transfers = folded.activity, folded.transfers
        triggers += folded.triggers
    counted, refused = count_orders(counted, state.refused, limits)
    locks = _imposed(state, (*triggers, *refused), limits, now_ms)
    taken_in = tuple(order.client_order_id for order in state.refused)
    state = replace(state, activity=counted, locks=locks, refused=(), taken_in=taken_in)
    return state, transfers


def _imposed(
    state: RiskState, triggers: Sequence[Trigger], limits: RiskLimits, now_ms: int
) -> Mapping[str, tuple[Lock, ...]]:
    locks = state.locks
    for trigger in triggers:
        locks = impose(locks, trigger, limits.lock_minutes, now_ms)
    return locks


def with_damage(state: RiskState, now_ms: int) -> RiskState:
    """The state with damaged parts turned into a trip, so that saving it hides none."""
    if not state.damaged:
        return state
    faults = ", ".join(state.damaged)
    fault = trip_of_fault(BreakerCause.BASELINE, f"stored and unreadable: {faults}", now_ms)
    return trip(replace(state, damaged=()), fault)


def with_passed(
    state: RiskState,
    tripped: Trip | None,
    triggers: Sequence[Trigger],
    limits: RiskLimits,
    now_ms: int,
) -> RiskState:
    """The state with the trip and the locks that follow from a plan."""
    if tripped is not None:
        state = trip(state, tripped)
    return replace(state, locks=_imposed(state, triggers, limits, now_ms))


def acknowledge(state: RiskState) -> RiskState:
    """The state after a person acknowledged the breaker: new baselines from the next reading.

    Without a trip there is nothing to acknowledge, and the baselines stay.
    """
    if state.trip is None:
        return state
    counted = state.activity
    return replace(
        state,
        equity=None,
        trip=None,
        damaged=(),
        activity=None if counted is None else activity.reset_turnover(counted),
    )


def trip(state: RiskState, found: Trip) -> RiskState:
    """The state with a trip; an earlier one stands."""
    return replace(state, trip=state.trip or found)


def _begun(before: EquityState | None, after: EquityState | None) -> EquityState | None:
    same_day = before and after and before.day_start_ms == after.day_start_ms
    return None if same_day else after


def _with_nav(
    state: RiskState, nav: Decimal, transfers: Decimal | None, limits: RiskLimits, now_ms: int
) -> RiskState:
    fault = equity.fault_of(nav)
    if fault is not None:
        return trip(state, trip_of_fault(BreakerCause.EQUITY, f"{fault.value}: {nav}", now_ms))
    if transfers is None:
        # Without the ledger a withdrawal looks like a loss: measured next time.
        return state
    read = (
        equity.begin(nav, now_ms)
        if state.equity is None
        else equity.read(state.equity, nav, transfers, now_ms)
    )
    state = replace(state, equity=read)
    breach = equity.breach(read, limits)
    if breach is None:
        return state
    cause = BreakerCause(breach.limit.value)
    return trip(state, trip_of_share(cause, breach.observed, breach.allowed, now_ms))

"""Converts between domain values and the messages of ``sep.guard.v1``."""

from collections.abc import Sequence
from decimal import Decimal

from sep.guard.v1 import guard_pb2
from sep_kit.store.kill_switch import KillSwitchState

from sep_guard.adapters.remade_decisions import Remade
from sep_guard.application.closing import Closed
from sep_guard.application.flatten import Flattened
from sep_guard.application.kill_switch import Changed
from sep_guard.application.queries import BudgetReport, Readiness
from sep_guard.application.reconcile import Cycle, Done
from sep_guard.domain.actions import Kind
from sep_guard.domain.checks import failed
from sep_guard.domain.drain import Close, DrainLimits, DrainPlan
from sep_guard.domain.risk.locks import Lock
from sep_guard.domain.risk.report import LimitRow
from sep_guard.domain.view import View

_KINDS = {
    Kind.HOLD: guard_pb2.ACTION_KIND_HOLD,
    Kind.ENTRY: guard_pb2.ACTION_KIND_ENTRY,
    Kind.REDUCTION: guard_pb2.ACTION_KIND_REDUCTION,
    Kind.REFUSAL: guard_pb2.ACTION_KIND_REFUSAL,
    Kind.MANUAL: guard_pb2.ACTION_KIND_MANUAL,
}


def cycle_message(cycle: Cycle) -> guard_pb2.ReconcileResponse:
    """A finished cycle, its actions by instrument."""
    return guard_pb2.ReconcileResponse(
        cycle_id=cycle.id,
        dry_run=cycle.dry_run,
        ts_ms=cycle.ts_ms,
        actions=[_action(d) for d in sorted(cycle.done, key=lambda d: d.action.instrument)],
    )


def readiness_message(readiness: Readiness) -> guard_pb2.Readiness:
    """Whether an entry would pass, with each check."""
    market, checks, parameters = readiness.market, readiness.checks, readiness.parameters
    reasons = failed(checks)
    return guard_pb2.Readiness(
        instrument=market.instrument.name,
        ready=not reasons,
        reasons=reasons,
        checks=[
            guard_pb2.EntryCheck(
                reason=c.reason, passed=c.passed, observed=c.observed, allowed=c.allowed
            )
            for c in checks
        ],
        direction=market.signal.direction if market.signal else 0,
        parameters_digest=parameters.digest if parameters else "",
        parameters_run=parameters.run if parameters else "",
    )


def budget_message(report: BudgetReport) -> guard_pb2.GetBudgetResponse:
    """The budget, in home currency as decimal strings."""
    account, budget = report.view.account, report.budget
    return guard_pb2.GetBudgetResponse(
        balance=str(account.balance),
        margin_available=str(account.margin_available),
        margin_used=str(account.margin_used),
        target_pct=float(report.limits.target_pct),
        budget=str(budget.total),
        per_instrument_cap=str(budget.per_instrument),
        utilisation=float(report.utilisation),
        margin_gate_open=report.margin_open,
        ts_ms=report.view.now_ms,
        nav=str(account.nav),
    )


def drain_limits_of(buffer_pct: float, min_units: str) -> DrainLimits:
    """The limits of a drain; the buffer is in per cent, ``min_units`` a decimal or empty."""
    return DrainLimits(buffer=Decimal(repr(buffer_pct)) / 100, min_units=Decimal(min_units or "0"))


def plan_message(drain_id: str, view: View, plan: DrainPlan) -> guard_pb2.PlanDrainResponse:
    """The closes that a drain would make, and the excess behind them."""
    return guard_pb2.PlanDrainResponse(
        drain_id=drain_id,
        margin_used=f"{plan.margin_used:f}",
        margin_cap=f"{plan.cap:f}",
        excess=f"{plan.excess:f}",
        closes=[_close(c) for c in plan.closes],
        kill_switch=view.controls.kill_switch,
        ts_ms=view.now_ms,
    )


def drained_message(
    drain_id: str, closed: Sequence[Closed], after: DrainPlan, ts_ms: int
) -> guard_pb2.ExecuteDrainResponse:
    """The closes of a drain with their results, and the excess that remains."""
    response = guard_pb2.ExecuteDrainResponse(
        drain_id=drain_id, remaining_excess=f"{after.excess:f}", ts_ms=ts_ms
    )
    response.closes.extend(_closed(done) for done in closed)
    return response


def flattened_message(done: Flattened, ts_ms: int) -> guard_pb2.FlattenResponse:
    """The closes of a flatten with their results, and those that remain."""
    return guard_pb2.FlattenResponse(
        flatten_id=done.id,
        closes=[_closed(closed) for closed in done.closed],
        remaining=[_close(close) for close in done.remaining],
        complete=not done.remaining,
        ts_ms=ts_ms,
    )


def limits_message(rows: Sequence[LimitRow]) -> guard_pb2.GetRiskLimitsResponse:
    """Each risk limit in the unit of its knob."""
    return guard_pb2.GetRiskLimitsResponse(limits=[_limit(row) for row in rows])


def lock_message(lock: Lock) -> guard_pb2.Lock:
    """A lock; times in ms, the end unset for a lock that a person has to lift."""
    return guard_pb2.Lock(
        instrument=lock.instrument,
        cause=lock.cause,
        reason=lock.reason,
        actor=lock.actor,
        since_ms=lock.since_ms,
        until_ms=lock.until_ms,
    )


def kill_switch_message(state: KillSwitchState) -> guard_pb2.GetKillSwitchResponse:
    """The state of the kill switch and its last change."""
    change = state.change
    return guard_pb2.GetKillSwitchResponse(
        kill_switch=state.engaged,
        reason=state.reason,
        actor=change.actor if change else "",
        ts_ms=change.ts if change else None,
    )


def kill_switch_change_message(changed: Changed) -> guard_pb2.SetKillSwitchResponse:
    """A change of the kill switch, and whether it is durable."""
    change = changed.change
    return guard_pb2.SetKillSwitchResponse(
        kill_switch=change.engaged,
        reason=change.reason,
        actor=change.actor,
        ts_ms=change.ts,
        durable=changed.durable,
    )


def _limit(row: LimitRow) -> guard_pb2.RiskLimit:
    return guard_pb2.RiskLimit(
        limit=row.limit,
        unit=row.unit,
        observed=None if row.observed is None else float(row.observed),
        allowed=float(row.allowed),
        headroom=None if row.headroom is None else float(row.headroom),
        state=row.state,
        subject=row.subject,
    )


def _closed(done: Closed) -> guard_pb2.DrainClose:
    message = _close(done.close)
    message.order_state = done.result.outcome
    message.client_order_id = done.client_order_id
    message.order_reason = done.result.reason
    return message


def _close(close: Close) -> guard_pb2.DrainClose:
    return guard_pb2.DrainClose(
        instrument=close.instrument,
        current_units=f"{close.current:f}",
        close_units=f"{close.units:f}",
        margin_freed=f"{close.margin_freed:f}",
        reason=close.reason,
    )


def _action(done: Done) -> guard_pb2.Action:
    action, result = done.action, done.result
    sent = result is not None and bool(done.client_order_id)
    reasons = [*action.reasons]
    if result is not None and result.reason and result.reason not in reasons:
        reasons.append(result.reason)
    return guard_pb2.Action(
        instrument=action.instrument,
        kind=_KINDS[action.kind],
        current_units=f"{action.current:f}",
        target_units=f"{action.target:f}",
        ordered_units=f"{action.order:f}" if sent or done.result is None else "0",
        reasons=reasons,
        order_state=result.outcome if result is not None else "",
        client_order_id=done.client_order_id,
        decision_id=done.decision_id,
        projected_margin=f"{action.margin:f}",
    )


def remade_message(remade: Remade) -> guard_pb2.RemakeDecisionResponse:
    """A decision, made again."""
    return guard_pb2.RemakeDecisionResponse(
        same=remade.same,
        result=remade.result,
        differences=[
            guard_pb2.RemadeDifference(name=d.name, recorded=d.recorded, remade=d.remade)
            for d in remade.differences
        ],
        fault=remade.fault,
    )

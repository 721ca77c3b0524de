"""In-memory twin of the ``GuardStore`` port."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sep_guard.domain.actions import Action, Plan
from sep_guard.domain.budget import Budget
from sep_guard.domain.drain import Close, DrainLimits
from sep_guard.domain.limits import GuardLimits, PortfolioLimits
from sep_guard.domain.orders import Intent, Outcome, Result
from sep_guard.domain.risk.events import RiskEvent
from sep_guard.domain.risk.refused_orders import RefusedOrder
from sep_guard.domain.risk.state import RiskState
from sep_guard.domain.stop_guard import StopRepair
from sep_guard.domain.view import View
from sep_guard.ports import StoredOrders, Writes
from sep_kit.errors import NotTheWriterError, StoreUnavailableError
from sep_kit.store.records import KillSwitchChange


@dataclass(frozen=True)
class StoredState:
    """Everything that was committed; records are (decision id, event, kind/reason/outcome)."""

    budget: Budget | None = None
    margin_open: bool | None = None
    records: tuple[tuple[str, str, str], ...] = ()
    orders: dict[str, Intent] = field(default_factory=dict)
    stops: dict[str, Decimal] = field(default_factory=dict)
    risk: RiskState = field(default_factory=RiskState)
    kill_switch: KillSwitchChange | None = None


class MemoryGuardStore:
    """State in this process. ``available`` False makes every call fail; ``is_away`` is apart from
    it, as it changes only with the next renewal of the lease."""

    def __init__(self) -> None:
        self.state = StoredState()
        self.is_writer = True
        self.is_away = False
        self.available = True

    @property
    def fencing_token(self) -> int:
        return 1

    async def commit(self, writes: Writes) -> None:
        self._check_available()
        if not self.is_writer:
            raise NotTheWriterError("another replica holds the lease")
        transaction = _MemoryTransaction(self.state)
        writes(transaction)
        self.state = transaction.state

    async def open_orders(self) -> dict[str, StoredOrders]:
        self._check_available()
        intents = self.state.orders.values()
        return {
            name: StoredOrders(tuple(i for i in intents if i.instrument == name))
            for name in sorted({i.instrument for i in intents})
        }

    def _check_available(self) -> None:
        if not self.available:
            raise StoreUnavailableError("the store is down")


class _MemoryTransaction:
    def __init__(self, state: StoredState) -> None:
        self.state = state

    def save_budget(self, view: View, plan: Plan, limits: PortfolioLimits) -> None:
        self._change(budget=plan.budget)

    def save_margin_gate(self, is_open: bool) -> None:
        self._change(margin_open=is_open)

    def record_decision(
        self, decision_id: str, action: Action, view: View, limits: GuardLimits
    ) -> None:
        self._append(decision_id, "decision", action.kind)

    def record_close(
        self,
        decision_id: str,
        close: Close,
        view: View,
        portfolio: PortfolioLimits,
        limits: DrainLimits,
    ) -> None:
        self._append(decision_id, "drain", close.reason)

    def record_flatten(self, decision_id: str, close: Close, view: View) -> None:
        self._append(decision_id, "flatten", close.reason)

    def save_managed_units(self, units: Mapping[str, Decimal], ts_ms: int) -> None:
        pass

    def save_risk_state(self, state: RiskState) -> None:
        self._change(risk=state)

    def engage_kill_switch(self, change: KillSwitchChange) -> None:
        self._change(kill_switch=change)

    def record_risk_event(self, event: RiskEvent) -> None:
        self._append(event.id, "risk", event.kind)

    def record_outcome(self, intent: Intent, result: Result, ts_ms: int) -> None:
        self._append(intent.decision_id, "order", Outcome(result.outcome))

    def save_refused_order(self, order: RefusedOrder) -> None:
        refused = (*self.state.risk.refused, order)
        self._change(risk=replace(self.state.risk, refused=refused))

    def record_stop(self, decision_id: str, repair: StopRepair, outcome: str, ts_ms: int) -> None:
        self._append(decision_id, "stop", repair.step)

    def save_trade_stop(self, intent: Intent) -> None:
        if intent.stop_loss is not None:
            self._change(stops={**self.state.stops, intent.client_order_id: intent.stop_loss})

    def delete_trade_stops(self, client_order_ids: Sequence[str]) -> None:
        left = {i: s for i, s in self.state.stops.items() if i not in client_order_ids}
        self._change(stops=left)

    def save_open_order(self, intent: Intent) -> None:
        self._change(orders={**self.state.orders, intent.client_order_id: intent})

    def delete_open_order(self, intent: Intent) -> None:
        orders = {k: v for k, v in self.state.orders.items() if k != intent.client_order_id}
        self._change(orders=orders)

    def _append(self, decision_id: str, event: str, what: str) -> None:
        self._change(records=(*self.state.records, (decision_id, event, str(what))))

    def _change(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)

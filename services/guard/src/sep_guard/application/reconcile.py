"""PortfolioManager: moves positions toward the weights, one cycle at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sep_kit.errors import NotTheWriterError, ReadOnlyError, SepError
from sep_kit.logging import get_logger

from sep_guard.application.breaker import Breaker
from sep_guard.application.dispatcher import Dispatcher
from sep_guard.application.flatten import Flatten
from sep_guard.application.stop_keeper import StopKeeper
from sep_guard.domain.actions import Action, Kind, Plan
from sep_guard.domain.case import managed_units
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.market import ZERO
from sep_guard.domain.orders import Result, intents_of_action
from sep_guard.domain.risk.breaker import BreakerCause
from sep_guard.domain.risk.limits import BreakerAction
from sep_guard.domain.view import View
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import GuardStore, Transaction, ViewSource

_manager = get_logger("PortfolioManager")
_evaluator = get_logger("GuardEvaluator")
_strategy = get_logger("StrategyEngine")
_RECORDED = (Kind.ENTRY, Kind.REDUCTION, Kind.REFUSAL)


@dataclass(frozen=True, slots=True)
class Done:
    """An action and the result of its order; ``result`` is None when there was no order.

    ``decision_id`` is empty when nothing was recorded: in a dry run, and for a hold.
    ``client_order_id`` is empty when no order was sent, and that of the first of several.
    """

    action: Action
    decision_id: str = ""
    client_order_id: str = ""
    result: Result | None = None


@dataclass(frozen=True, slots=True)
class Cycle:
    """A finished cycle: its actions in the order they were carried out; ``ts_ms`` is its view's."""

    id: str
    ts_ms: int
    dry_run: bool
    done: tuple[Done, ...]


class _Mode(StrEnum):
    """What a cycle may do."""

    FULL = "FULL"
    REDUCTIONS = "REDUCTIONS"
    DRY_RUN = "DRY_RUN"


class Reconciler:
    """Reads, plans, records and orders, on the replica that holds the writer lease."""

    def __init__(
        self,
        source: ViewSource,
        dispatcher: Dispatcher,
        limits: GuardLimits,
        store: GuardStore,
        new_id: Callable[[], str],
        metrics: GuardMetrics,
        breaker: Breaker,
        flatten: Flatten,
        stops: StopKeeper,
    ) -> None:
        self._stops = stops
        self._breaker = breaker
        self._flatten = flatten
        self._flattens = False
        self._source = source
        self._dispatcher = dispatcher
        self._limits = limits
        self._store = store
        self._new_id = new_id
        self._metrics = metrics
        self._logged: dict[str, tuple[str, ...]] = {}

    async def tick(self) -> None:
        """Reconcile on the lease holder, or while the store is away; else show the kill switch."""
        if self._mode() is None:
            self._breaker.stand_by()
            self._metrics.clear_account()
            self._metrics.show_kill_switch((await self._source.controls()).kill_switch)
            return
        await self.reconcile(dry_run=False)
        if self._flattens and self._limits.risk.breaker_action is BreakerAction.FLATTEN:
            await self._flatten_all()

    async def _flatten_all(self) -> None:
        # Each cycle, until nothing is held: what was cut short goes on.
        try:
            await self._flatten.close_all(self._new_id(), include_manual=False)
        except ReadOnlyError as error:
            _manager.error("breaker tripped, positions are not closed", error=str(error))

    async def reconcile(self, *, dry_run: bool) -> Cycle:
        """Run one cycle; cycles and drains never overlap.

        While the store is away no replica can hold the lease, and the cycle sends only
        reductions. The broker treats them as REDUCE_ONLY, so two replicas that send the same
        one open nothing.

        Raises:
            NotTheWriterError: another replica holds the lease.
            UnavailableError: the broker does not answer.
        """
        async with self._dispatcher.exclusive_plan():
            mode = _Mode.DRY_RUN if dry_run else self._mode()
            if mode is None:
                raise NotTheWriterError("this guard does not hold the writer lease; ask again")
            if mode is _Mode.FULL:
                await self._dispatcher.settle()
            view = await self._view()
            plan = plan_cycle(view, self._limits)
            cycle_id = self._new_id()
            if mode is _Mode.DRY_RUN:
                return Cycle(cycle_id, view.now_ms, True, tuple(Done(a) for a in plan.actions))
            self._metrics.show_cycle(view, plan, self._limits.portfolio)
            actions = plan.actions
            if mode is _Mode.REDUCTIONS:
                _manager.warning("Valkey is unavailable: only reductions are sent")
                actions = tuple(a for a in actions if a.kind is not Kind.ENTRY)
            await self._save_state(view, plan)
            tripped = await self._breaker.act(view, plan)
            # A second writer stops entries: its trades look like this stack's own.
            self._flattens = tripped and view.risk.tripped != BreakerCause.SECOND_WRITER
            if tripped:
                # A breaker that tripped in this cycle holds for this cycle's entries.
                actions = tuple(a for a in actions if a.kind is not Kind.ENTRY)
            leaving = {a.instrument for a in actions if a.kind is Kind.REDUCTION and not a.target}
            await self._stops.tend(cycle_id, view, leaving)
            done = [await self._carry_out(a, f"{cycle_id}:{a.instrument}", view) for a in actions]
            await self._save_entered(view, done)
            return Cycle(cycle_id, view.now_ms, False, tuple(done))

    async def _view(self) -> View:
        try:
            return await self._source.view()
        except SepError as error:
            # A cycle that is left out is seen: by its reason here, and in the metric.
            self._metrics.count_skipped(error.reason)
            raise

    def _mode(self) -> _Mode | None:
        # First: a lease that can't be renewed allows no entries, and waiting for a store that
        # is known to be away would only delay reductions.
        if self._store.is_away:
            return _Mode.REDUCTIONS
        return _Mode.FULL if self._store.is_writer else None

    async def _save_state(self, view: View, plan: Plan) -> None:
        def writes(transaction: Transaction) -> None:
            transaction.save_budget(view, plan, self._limits.portfolio)
            transaction.save_margin_gate(plan.margin_open)
            transaction.save_managed_units(self._managed(view), view.now_ms)

        await self._dispatcher.write(writes)

    async def _save_entered(self, view: View, done: Sequence[Done]) -> None:
        """Save managed units again once entries have filled.

        The allocator would otherwise take their slots away until the next cycle.
        """
        filled = {
            d.action.instrument: d.result.filled_units
            for d in done
            if d.action.kind is Kind.ENTRY and d.result is not None and d.result.filled_units
        }
        if not filled:
            return
        held = self._managed(view)
        units = {i: held.get(i, ZERO) + filled.get(i, ZERO) for i in {*held, *filled}}
        await self._dispatcher.write(lambda t: t.save_managed_units(units, view.now_ms))

    def _managed(self, view: View) -> dict[str, Decimal]:
        portfolio = self._limits.portfolio
        return {i: managed_units(m, portfolio) for i, m in view.markets.items()}

    async def _carry_out(self, action: Action, decision_id: str, view: View) -> Done:
        changed = self._log_action(action)
        if action.kind not in _RECORDED and not (action.kind is Kind.MANUAL and changed):
            return Done(action)
        self._metrics.count(action)

        def record(transaction: Transaction) -> None:
            transaction.record_decision(decision_id, action, view, self._limits)

        if not action.order:
            await self._dispatcher.write(record)
            return Done(action, decision_id)
        adopt = self._limits.portfolio.adopt_manual
        intents = intents_of_action(action, decision_id, view, include_manual=adopt)
        intent = intents[0]
        persisted = await self._dispatcher.persist(intents, record)
        if action.kind is Kind.ENTRY:
            obstacle = await self._obstacle() if persisted else "NOT_RECORDED"
            if obstacle is not None:
                _evaluator.warning("entry not sent", instrument=action.instrument, reason=obstacle)
                withheld = await self._dispatcher.withhold(intent, obstacle)
                return Done(action, decision_id, "", withheld)
        result = await self._dispatcher.close(intents)
        return Done(action, decision_id, intent.client_order_id, result)

    async def _obstacle(self) -> str | None:
        # The plan may be seconds old by now; an engaged kill switch must hold within one.
        controls = await self._source.controls()
        if controls.kill_switch:
            return "KILL_SWITCH"
        return None if self._store.is_writer else "NOT_THE_WRITER"

    def _log_action(self, action: Action) -> bool:
        """Log an order, or a change of kind or reasons, under the component that decided.

        Returns:
            Whether kind or reasons changed, or there is an order.
        """
        # A manual position is logged again whenever its size changes.
        size = str(action.current) if action.kind is Kind.MANUAL else ""
        summary = (action.kind, size, *action.reasons)
        if self._logged.get(action.instrument) == summary and not action.order:
            return False
        self._logged[action.instrument] = summary
        log = {Kind.REFUSAL: _evaluator, Kind.HOLD: _strategy}.get(action.kind, _manager)
        log.info(
            action.kind.lower(), instrument=action.instrument, current=str(action.current),
            target=str(action.target), order=str(action.order),
            reasons=[str(r) for r in action.reasons],
        )  # fmt: skip
        return True

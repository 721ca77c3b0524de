"""PortfolioManager: moves positions toward the weights, one cycle at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from redis.asyncio.client import Pipeline
from sep_kit.errors import NotTheWriterError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.lease import Lease

from sep_guard.adapters.decision_log import queue_decision
from sep_guard.adapters.market_reader import MarketReader
from sep_guard.dispatcher import Dispatcher
from sep_guard.domain.cycle import Action, Kind, Plan, View, plan_cycle
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.orders import Intent, Result, client_order_id
from sep_guard.metrics import GuardMetrics

_manager = get_logger("PortfolioManager")
_evaluator = get_logger("GuardEvaluator")
_strategy = get_logger("StrategyEngine")
_RECORDED = (Kind.ENTRY, Kind.REDUCTION, Kind.REFUSAL)


@dataclass(frozen=True, slots=True)
class Done:
    """An action and what became of its order; ``result`` None where none was sent.

    ``decision_id`` is empty where nothing was recorded: in a dry run, and where all stays as it is.
    """

    action: Action
    decision_id: str
    client_order_id: str
    result: Result | None


@dataclass(frozen=True, slots=True)
class Cycle:
    """A finished cycle."""

    id: str
    ts_ms: int
    dry_run: bool
    done: tuple[Done, ...]


class _Mode(StrEnum):
    """What a cycle may do."""

    FULL = "FULL"
    REDUCTIONS = "REDUCTIONS"
    DRY_RUN = "DRY_RUN"


class ReconcileLoop:
    """Reads, plans, records, orders; on the replica that holds the lease."""

    def __init__(
        self,
        reader: MarketReader,
        dispatcher: Dispatcher,
        limits: GuardLimits,
        lease: Lease,
        new_id: Callable[[], str],
        metrics: GuardMetrics,
    ) -> None:
        self._reader = reader
        self._dispatcher = dispatcher
        self._limits = limits
        self._lease = lease
        self._new_id = new_id
        self._metrics = metrics
        self._said: dict[str, tuple[str, ...]] = {}

    async def tick(self) -> None:
        """Reconcile, on the replica that holds the lease or while nobody can hold it."""
        if self._mode() is None:
            self._metrics.forget()
            self._metrics.show_kill_switch((await self._reader.controls()).kill_switch)
            return
        await self.reconcile(dry_run=False)

    async def reconcile(self, *, dry_run: bool) -> Cycle:
        """Run one cycle; never two at once.

        While Valkey is away nobody can hold the lease, and the cycle sends reductions
        alone: they are REDUCE_ONLY at the broker, so two guards that send them open nothing.

        Raises:
            NotTheWriterError: another replica holds the lease.
            UnavailableError: the broker does not answer.
        """
        async with self._dispatcher.one_plan():
            mode = _Mode.DRY_RUN if dry_run else self._mode()
            if mode is None:
                raise NotTheWriterError("this guard does not hold the writer lease; ask again")
            if mode is _Mode.FULL:
                await self._dispatcher.settle()
            view = await self._reader.view()
            plan = plan_cycle(view, self._limits)
            cycle_id = self._new_id()
            if mode is _Mode.DRY_RUN:
                done = [Done(a, "", "", None) for a in plan.actions]
                return Cycle(cycle_id, view.now_ms, True, tuple(done))
            self._metrics.show(view, plan)
            actions = plan.actions
            if mode is _Mode.REDUCTIONS:
                _manager.warning("Valkey is away: reductions only")
                actions = tuple(a for a in actions if a.kind is not Kind.ENTRY)
            await self._record_state(view, plan)
            done = [await self._carry_out(a, f"{cycle_id}:{a.instrument}", view) for a in actions]
            return Cycle(cycle_id, view.now_ms, False, tuple(done))

    def _mode(self) -> "_Mode | None":
        # Asked first: a lease that can't be renewed is worth nothing for entries, and waiting
        # for a store that is known to be away would only make reductions late.
        if self._lease.store_unavailable:
            return _Mode.REDUCTIONS
        return _Mode.FULL if self._lease.held else None

    async def _record_state(self, view: View, plan: Plan) -> None:
        account, budget = view.account, plan.budget
        values = {
            "balance": str(account.balance),
            "margin_available": str(account.margin_available),
            "margin_used": str(account.margin_used),
            "target_pct": str(self._limits.portfolio.target_pct),
            "budget": str(budget.total),
            "per_instrument_cap": str(budget.per_instrument),
            "ts": str(view.now_ms),
        }

        def queue(pipe: Pipeline) -> None:
            pipe.hset(keys.ALLOC_BUDGET, mapping=values)  # type: ignore[arg-type]
            pipe.set(keys.MARGIN_GATE, "open" if plan.margin_open else "closed")

        await self._dispatcher.write(queue)

    async def _carry_out(self, action: Action, decision_id: str, view: View) -> Done:
        is_news = self._tell(action)
        if action.kind not in _RECORDED and not (action.kind is Kind.MANUAL and is_news):
            return Done(action, "", "", None)
        self._metrics.count(action)

        def decision(pipe: Pipeline) -> None:
            queue_decision(pipe, decision_id, action, view, self._limits)

        if not action.order:
            await self._dispatcher.write(decision)
            return Done(action, decision_id, "", None)
        intent = self._intent(action, decision_id, view)
        kept = await self._dispatcher.keep(intent, decision)
        if action.kind is Kind.ENTRY:
            fault = await self._last_look() if kept else "NOT_RECORDED"
            if fault is not None:
                _evaluator.warning("entry stopped", instrument=action.instrument, because=fault)
                stopped = await self._dispatcher.withhold(intent, fault)
                return Done(action, decision_id, "", stopped)
        result = await self._dispatcher.send(intent)
        return Done(action, decision_id, intent.client_order_id, result)

    async def _last_look(self) -> str | None:
        # The plan may be seconds old by now; a halt must hold within one.
        controls = await self._reader.controls()
        if controls.kill_switch:
            return "KILL_SWITCH"
        return None if self._lease.held else "NOT_THE_WRITER"

    def _intent(self, action: Action, decision_id: str, view: View) -> Intent:
        brackets = action.brackets
        return Intent(
            client_order_id(decision_id, action.kind),
            decision_id,
            action.instrument,
            action.order,
            action.kind is Kind.REDUCTION,
            brackets.stop_loss if brackets else None,
            brackets.take_profit if brackets else None,
            brackets.price_bound if brackets else None,
            view.account.last_transaction_id,
            view.now_ms,
        )

    def _tell(self, action: Action) -> bool:
        """One line when an instrument's story changes, from the component that decided.

        Returns:
            Whether it changed.
        """
        # What somebody does by hand is news each time its size changes.
        size = str(action.current) if action.kind is Kind.MANUAL else ""
        story = (action.kind, size, *action.reasons)
        if self._said.get(action.instrument) == story and not action.order:
            return False
        self._said[action.instrument] = story
        log = {Kind.REFUSAL: _evaluator, Kind.HOLD: _strategy}.get(action.kind, _manager)
        log.info(
            action.kind.lower(), instrument=action.instrument, current=str(action.current),
            target=str(action.target), order=str(action.order),
            reasons=[str(r) for r in action.reasons],
        )  # fmt: skip
        return True

"""PortfolioManager: moves positions toward the weights, one cycle at a time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from redis.asyncio.client import Pipeline
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import NotTheWriterError, SepError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.lease import Lease

from sep_guard.adapters.decision_log import queue_decision, queue_outcome
from sep_guard.adapters.market_reader import MarketReader
from sep_guard.adapters.open_orders import OpenOrders
from sep_guard.domain.cycle import Action, Kind, Plan, View, plan_cycle
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.market import ZERO
from sep_guard.domain.orders import Intent, Outcome, Result, client_order_id, settle
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import Broker

_manager = get_logger("PortfolioManager")
_evaluator = get_logger("GuardEvaluator")
_strategy = get_logger("StrategyEngine")
_STORE_TIMEOUT_S = 3.0
_RECORDED = (Kind.ENTRY, Kind.REDUCTION, Kind.REFUSAL)


@dataclass(frozen=True, slots=True)
class Done:
    """An action and what became of its order; ``result`` None where none was sent."""

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
        instruments: tuple[str, ...],
        reader: MarketReader,
        broker: Broker,
        open_orders: OpenOrders,
        limits: GuardLimits,
        lease: Lease,
        clock: Clock,
        new_id: Callable[[], str],
        metrics: GuardMetrics,
    ) -> None:
        self._instruments = instruments
        self._reader = reader
        self._broker = broker
        self._open_orders = open_orders
        self._limits = limits
        self._lease = lease
        self._clock = clock
        self._new_id = new_id
        self._metrics = metrics
        self._lock = asyncio.Lock()
        self._said: dict[str, tuple[str, ...]] = {}
        self._unreadable: dict[str, tuple[str, ...]] = {}
        self._store_lost = False

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
        async with self._lock:
            mode = _Mode.DRY_RUN if dry_run else self._mode()
            if mode is None:
                raise NotTheWriterError("this guard does not hold the writer lease; ask again")
            self._store_lost = False
            if mode is _Mode.FULL:
                await self._settle_or_leave()
            view = await self._reader.view()
            plan = plan_cycle(view, self._limits)
            cycle_id = self._new_id()
            if mode is _Mode.DRY_RUN:
                done = [Done(a, f"{cycle_id}:{a.instrument}", "", None) for a in plan.actions]
                return Cycle(cycle_id, view.now_ms, True, tuple(done))
            self._metrics.show(view, plan)
            actions = plan.actions
            if mode is _Mode.REDUCTIONS:
                _manager.warning("Valkey is away: reductions only")
                actions = tuple(a for a in actions if a.kind is not Kind.ENTRY)
            await self._record_state(view, plan)
            done = [await self._carry_out(a, f"{cycle_id}:{a.instrument}", view) for a in actions]
            return Cycle(cycle_id, view.now_ms, False, tuple(done))

    async def settle_open_orders(self) -> None:
        """Find out what became of every order whose answer got lost.

        Raises:
            UnavailableError: the store does not answer.
        """
        for instrument, pending in (await self._open_orders.load(self._instruments)).items():
            if pending.faults and pending.faults != self._unreadable.get(instrument):
                _manager.error("open order refused", instrument=instrument, faults=pending.faults)
            self._unreadable[instrument] = pending.faults
            for intent in pending.intents:
                await self._settle(intent)

    async def _settle(self, intent: Intent) -> None:
        try:
            found = await self._broker.look_up(intent)
        except SepError as error:
            # Its instrument takes no entry until it is settled; the others go on.
            _manager.warning(
                "order can't be looked up", instrument=intent.instrument,
                client_order_id=intent.client_order_id, error=str(error),
            )  # fmt: skip
            return
        outcome = settle(found.outcome if found else None, intent.sent_ms, now_ms(self._clock))
        if outcome is Outcome.UNKNOWN:
            return
        _manager.info(
            "order settled", instrument=intent.instrument, outcome=outcome,
            client_order_id=intent.client_order_id,
        )  # fmt: skip
        await self._finish(intent, found or Result(outcome, "", ZERO, None))

    def _mode(self) -> "_Mode | None":
        # Asked first: a lease that can't be renewed is worth nothing for entries, and waiting
        # for a store that is known to be away would only make reductions late.
        if self._lease.store_away:
            return _Mode.REDUCTIONS
        return _Mode.FULL if self._lease.held else None

    async def _settle_or_leave(self) -> None:
        try:
            await self.settle_open_orders()
        except SepError as error:
            self._store_lost = True
            _manager.warning("open orders can't be settled yet", error=str(error))

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

        await self._write_if_possible(queue)

    async def _carry_out(self, action: Action, decision_id: str, view: View) -> Done:
        is_news = self._tell(action)
        if action.kind not in _RECORDED and not (action.kind is Kind.MANUAL and is_news):
            return Done(action, decision_id, "", None)
        self._metrics.count(action)
        intent = self._intent(action, decision_id, view) if action.order else None

        def queue(pipe: Pipeline) -> None:
            queue_decision(pipe, decision_id, action, view, self._limits)
            if intent is not None:
                self._open_orders.queue(pipe, intent)

        kept = await self._write_if_possible(queue)
        if intent is None:
            return Done(action, decision_id, "", None)
        if action.kind is Kind.ENTRY:
            fault = await self._last_look() if kept else "NOT_RECORDED"
            if fault is not None:
                _evaluator.warning("entry stopped", instrument=action.instrument, because=fault)
                stopped = Result(Outcome.REJECTED, fault, ZERO, None)
                await self._finish(intent, stopped)
                return Done(action, decision_id, "", stopped)
        result = await self._broker.place(intent)
        self._metrics.count_order(action.instrument, result.outcome)
        _manager.info(
            "order", instrument=action.instrument, units=str(intent.units),
            outcome=result.outcome, reason=result.reason, price=str(result.fill_price or ""),
            client_order_id=intent.client_order_id,
        )  # fmt: skip
        await self._finish(intent, result)
        return Done(action, decision_id, intent.client_order_id, result)

    async def _last_look(self) -> str | None:
        # The plan may be seconds old by now; a halt must hold within one.
        controls = await self._reader.controls()
        if controls.kill_switch:
            return "KILL_SWITCH"
        return None if self._lease.held else "NOT_THE_WRITER"

    async def _finish(self, intent: Intent, result: Result) -> None:
        """Record what became of an order, and keep it open while that is not known.

        Where the store is away it stays open: it is looked up again next time.
        """
        ts = now_ms(self._clock)

        def queue(pipe: Pipeline) -> None:
            queue_outcome(pipe, intent, result, ts)
            if result.outcome is not Outcome.UNKNOWN:
                self._open_orders.queue_forget(pipe, intent)

        await self._write_if_possible(queue)

    async def _write_if_possible(self, queue: Callable[[Pipeline], object]) -> bool:
        """Reductions go on without the store; entries look at what this returns."""
        if self._store_lost or self._lease.store_away:
            return False
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self._lease.write(queue)
        except (SepError, TimeoutError) as error:
            # Tried once a cycle: a frozen store must not hold up the way out.
            self._store_lost = not isinstance(error, NotTheWriterError)
            _manager.warning("state can't be written", error=str(error) or "no answer")
            return False
        return True

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

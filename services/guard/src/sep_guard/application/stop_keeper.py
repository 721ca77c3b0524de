"""Restores lost and moved stops, and closes trades for which that fails."""

from collections.abc import Collection
from dataclasses import replace

from sep_kit.logging import get_logger

from sep_guard.application.dispatcher import Dispatcher
from sep_guard.domain.orders import client_order_id, intent_of_lost_stop
from sep_guard.domain.stop_guard import (
    StopFault,
    StopOrder,
    StopRepair,
    StopStep,
    obsolete,
    plan_repairs,
)
from sep_guard.domain.view import View
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import Broker, Transaction

_log = get_logger("StopKeeper")


class StopKeeper:
    """Compares each trade's stop with the decided one, once a cycle."""

    def __init__(self, broker: Broker, dispatcher: Dispatcher, metrics: GuardMetrics) -> None:
        self._broker = broker
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._failures: dict[str, int] = {}
        self._logged: dict[str, tuple[StopFault, StopStep]] = {}

    async def tend(self, cycle_id: str, view: View, leaving: Collection[str]) -> None:
        """Repair stops that are not as decided.

        Args:
            leaving: instruments that this cycle closes wholly; their trades need no stop.
        """
        found = [
            repair
            for market in view.markets.values()
            for repair in plan_repairs(market, self._failures)
        ]
        self._metrics.show_stops(found)
        open_ids = {r.trade.id for r in found}
        self._failures = {i: n for i, n in self._failures.items() if i in open_ids}
        self._logged = {i: s for i, s in self._logged.items() if i in open_ids}
        for repair in found:
            if repair.instrument not in leaving:
                await self._repair(cycle_id, repair, view)
        await self._forget(view)

    async def _repair(self, cycle_id: str, repair: StopRepair, view: View) -> None:
        trade, decision_id = repair.trade, f"{cycle_id}:stop:{repair.trade.id}"
        if view.controls.read_only or not view.controls.live_allowed:
            repair = replace(repair, step=StopStep.WAIT)
        if self._logged.get(trade.id) != (repair.fault, repair.step):
            self._logged[trade.id] = (repair.fault, repair.step)
            _log.error(
                "stop not as decided", instrument=repair.instrument, trade=trade.id,
                fault=repair.fault, step=repair.step, stop=str(trade.stop_loss or ""),
                price=str(repair.price or ""), decision_id=decision_id,
            )  # fmt: skip
        if repair.step is StopStep.CLOSE:
            await self._close(decision_id, repair, view)
            return
        if repair.step is StopStep.WAIT or repair.price is None:
            if view.markets[repair.instrument].quote is not None and repair.price is None:
                self._failures[trade.id] = self._failures.get(trade.id, 0) + 1
            return
        stop = StopOrder(
            trade_id=trade.id,
            price=repair.price,
            client_order_id=client_order_id(decision_id, "stop"),
            decided_ms=view.now_ms,
            fencing_token=self._dispatcher.token,
        )
        done = await self._broker.set_stop(stop)
        self._dispatcher.note(done.last_id)
        if not done.in_place:
            self._failures[trade.id] = self._failures.get(trade.id, 0) + 1
        outcome = "IN_PLACE" if done.in_place else done.reason or "FAILED"

        def record(transaction: Transaction) -> None:
            transaction.record_stop(decision_id, repair, outcome, view.now_ms)

        await self._dispatcher.write_or_queue(record)

    async def _close(self, decision_id: str, repair: StopRepair, view: View) -> None:
        intent = intent_of_lost_stop(repair.instrument, repair.trade, decision_id, view)

        def record(transaction: Transaction) -> None:
            transaction.record_stop(decision_id, repair, "", view.now_ms)

        await self._dispatcher.persist((intent,), record)
        await self._dispatcher.send(intent)

    async def _forget(self, view: View) -> None:
        trades = (t for m in view.markets.values() for t in m.holding.trades)
        client_ids = frozenset(t.client_id for t in trades)
        gone = obsolete(view.decided_stops, client_ids, view.now_ms)
        if gone:
            await self._dispatcher.write(lambda t: t.delete_trade_stops(gone))

"""The only place that sends orders: persist, send, and follow up until the outcome is known."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import NotTheWriterError, SepError
from sep_kit.logging import get_logger

from sep_guard.application.open_orders import OpenOrders
from sep_guard.application.watermark import Watermark
from sep_guard.domain.market import ZERO
from sep_guard.domain.orders import Intent, Outcome, Result, combined, settle
from sep_guard.domain.risk.refused_orders import RefusedOrder
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import Broker, GuardStore, Transaction, Writes

_log = get_logger("PortfolioManager")
_STORE_TIMEOUT_S = 3.0
_LONGEST_MESSAGE = 200
# Far more than the orders of any outage; older ones are dropped.
_MAX_BACKLOG = 5_000


class Dispatcher:
    """Persists an order before it sends it, and settles orders whose response was lost.

    Writes that fail while the store is away are queued, and carried out in their order with
    the first write that succeeds again.
    """

    def __init__(
        self,
        broker: Broker,
        store: GuardStore,
        open_orders: OpenOrders,
        clock: Clock,
        metrics: GuardMetrics,
        watermark: Watermark,
    ) -> None:
        self._broker = broker
        self._store = store
        self._open_orders = open_orders
        self._watermark = watermark
        self._token = 0
        self._clock = clock
        self._metrics = metrics
        self._lock = asyncio.Lock()
        self._store_failed = False
        self._backlog: deque[Writes] = deque(maxlen=_MAX_BACKLOG)
        self._logged_faults: dict[str, tuple[str, ...]] = {}

    @asynccontextmanager
    async def exclusive_plan(self) -> AsyncIterator[None]:
        """Hold the lock from reading positions to the last order of a plan.

        A reconcile and a drain that read the same positions would close them twice.
        """
        async with self._lock:
            # The store may time out once per plan: a hanging store must not delay reductions.
            self._store_failed = False
            # The token of this moment: an order that is delayed until another replica holds the
            # lease is then refused by the gateway.
            self._token = self._store.fencing_token
            yield

    @property
    def token(self) -> int:
        """Fencing token of the plan that is carried out."""
        return self._token

    async def settle(self) -> None:
        """Look up every order whose response was lost."""
        if self._backlog:
            # Outcomes in the backlog are known: written first, they are not looked up again.
            await self.write(lambda _: None)
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                found = await self._open_orders.load()
        except (SepError, TimeoutError) as error:
            self._store_failed = True
            _log.warning("open orders can't be read", error=str(error) or "timeout")
            return
        for instrument, orders in found.items():
            if orders.faults and orders.faults != self._logged_faults.get(instrument):
                _log.error("open order unreadable", instrument=instrument, faults=orders.faults)
            for intent in orders.intents:
                await self._settle(intent)
        self._metrics.show_unknown_orders(self._open_orders.unknown_for_s())
        self._logged_faults = {i: o.faults for i, o in found.items() if o.faults}

    async def persist(self, intents: Sequence[Intent], record: Writes) -> bool:
        """Persist a decision and its orders in one transaction.

        Returns:
            Whether they were written; if not, they are in the backlog.
        """

        def writes(transaction: Transaction) -> None:
            record(transaction)
            for intent in intents:
                transaction.save_open_order(intent)
                if not intent.reduce_only:
                    transaction.save_trade_stop(intent)

        return await self.write_or_queue(writes)

    async def close(self, intents: Sequence[Intent]) -> Result:
        """Send every order of one reduction, also after one of them failed."""
        return combined([await self.send(intent) for intent in intents])

    async def send(self, intent: Intent) -> Result:
        """Send an order and record its outcome, as far as that is known."""
        intent = replace(intent, fencing_token=self._token)
        self._open_orders.sending(intent)
        result = await self._broker.place(intent)
        self._watermark.note(result.last_id)
        self._metrics.count_order(intent.instrument, result.outcome)
        _log.info(
            "order", instrument=intent.instrument, units=str(intent.units),
            reduce_only=intent.reduce_only, outcome=result.outcome, reason=result.reason,
            price=str(result.fill_price or ""), client_order_id=intent.client_order_id,
            trade_id=intent.trade_id, message=result.message, decision_id=intent.decision_id,
        )  # fmt: skip
        await self._record(intent, result)
        return result

    async def withhold(self, intent: Intent, reason: str) -> Result:
        """Record that a persisted order is not sent."""
        result = Result(outcome=Outcome.REJECTED, reason=reason, filled_units=ZERO, fill_price=None)
        await self._record(intent, result)
        return result

    async def write(self, writes: Writes) -> bool:
        """Commit the backlog and these writes in one transaction.

        Returns:
            False when they can't be written now.
        """
        if self._store_failed or self._store.is_away:
            return False
        backlog = tuple(self._backlog)

        def all_writes(transaction: Transaction) -> None:
            for earlier in backlog:
                earlier(transaction)
            writes(transaction)

        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self._store.commit(all_writes)
        except (SepError, TimeoutError) as error:
            self._store_failed = not isinstance(error, NotTheWriterError)
            _log.warning("state can't be written", error=str(error) or "timeout")
            return False
        self._backlog.clear()
        return True

    def note(self, transaction_id: int) -> None:
        """Note the newest transaction of an answer: no older view is used from now on."""
        self._watermark.note(transaction_id)

    async def write_or_queue(self, writes: Writes) -> bool:
        """As ``write``; what can't be written now is written with the next writes."""
        written = await self.write(writes)
        if not written:
            self._backlog.append(writes)
        return written

    async def _settle(self, intent: Intent) -> None:
        try:
            found = await self._broker.look_up(intent)
        except SepError as error:
            # Entries in this instrument wait until it is settled; the others go on.
            _log.warning(
                "order can't be looked up", instrument=intent.instrument,
                client_order_id=intent.client_order_id, error=str(error),
            )  # fmt: skip
            return
        outcome = settle(
            found.outcome if found else None,
            age_ms=now_ms(self._clock) - intent.sent_ms,
            watched_ms=self._open_orders.watched_ms(intent),
        )
        if outcome is Outcome.UNKNOWN:
            # Persisted again in case the store was wiped: the next lease holder needs it.
            await self.write(lambda transaction: transaction.save_open_order(intent))
            return
        _log.info(
            "order settled", instrument=intent.instrument, outcome=outcome,
            client_order_id=intent.client_order_id, decision_id=intent.decision_id,
        )  # fmt: skip
        if found is not None:
            self._watermark.note(found.last_id)
        unfound = Result(outcome=outcome, reason="", filled_units=ZERO, fill_price=None)
        await self._record(intent, found or unfound)

    async def _record(self, intent: Intent, result: Result) -> None:
        ts_ms = now_ms(self._clock)
        known = result.outcome is not Outcome.UNKNOWN
        if known:
            self._open_orders.settled(intent)

        def writes(transaction: Transaction) -> None:
            transaction.record_outcome(intent, result, ts_ms)
            if result.refused_by_broker and not intent.reduce_only:
                transaction.save_refused_order(_refused(intent, result, ts_ms))
            if known:
                transaction.delete_open_order(intent)

        await self.write_or_queue(writes)


def _refused(intent: Intent, result: Result, ts_ms: int) -> RefusedOrder:
    return RefusedOrder(
        client_order_id=intent.client_order_id,
        instrument=intent.instrument,
        reason=result.reason,
        transaction_id=result.transaction_id,
        ts_ms=ts_ms,
        message=result.message[:_LONGEST_MESSAGE],
    )

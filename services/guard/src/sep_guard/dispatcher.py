"""The one way orders leave the guard: kept, sent, and followed until their fate is known."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from redis.asyncio.client import Pipeline
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import NotTheWriterError, SepError
from sep_kit.logging import get_logger
from sep_kit.store.lease import Lease

from sep_guard.adapters.decision_log import queue_outcome
from sep_guard.adapters.open_orders import OpenOrders, queue_forget, queue_intent
from sep_guard.domain.market import ZERO
from sep_guard.domain.orders import Intent, Outcome, Result, settle
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import Broker

_log = get_logger("PortfolioManager")
_STORE_TIMEOUT_S = 3.0
# Far more than the orders of any outage; what is older than that is dropped.
_OWED = 5_000

Queue = Callable[[Pipeline], object]


class Dispatcher:
    """Keeps an intent before it is sent, and settles what has no answer.

    What happened while the store was away is owed to it, and written in its order with
    the first write that succeeds again.
    """

    def __init__(
        self,
        broker: Broker,
        open_orders: OpenOrders,
        lease: Lease,
        clock: Clock,
        metrics: GuardMetrics,
    ) -> None:
        self._broker = broker
        self._open_orders = open_orders
        self._lease = lease
        self._clock = clock
        self._metrics = metrics
        self._lock = asyncio.Lock()
        self._store_lost = False
        self._owed: deque[Queue] = deque(maxlen=_OWED)
        self._unreadable: dict[str, tuple[str, ...]] = {}

    @asynccontextmanager
    async def one_plan(self) -> AsyncIterator[None]:
        """From reading positions to the last order: never two plans at once.

        A reconcile and a drain that read the same positions would close them twice.
        """
        async with self._lock:
            # The store is given one chance a plan: frozen, it must not hold up the way out.
            self._store_lost = False
            yield

    async def settle(self) -> None:
        """Find out what became of every order whose answer got lost."""
        if self._owed:
            # What is known already need not be looked up.
            await self.write(lambda _: None)
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                found = await self._open_orders.load()
        except (SepError, TimeoutError) as error:
            self._store_lost = True
            _log.warning("open orders can't be settled yet", error=str(error) or "no answer")
            return
        for instrument, pending in found.items():
            if pending.faults and pending.faults != self._unreadable.get(instrument):
                _log.error("open order refused", instrument=instrument, faults=pending.faults)
            for intent in pending.intents:
                await self._settle(intent)
        self._unreadable = {i: p.faults for i, p in found.items() if p.faults}

    async def keep(self, intent: Intent, decision: Queue) -> bool:
        """Keep a decision and its order together; False where neither could be written."""

        def queue(pipe: Pipeline) -> None:
            decision(pipe)
            queue_intent(pipe, intent)

        return await self._write_or_owe(queue)

    async def send(self, intent: Intent) -> Result:
        """Send an order and record what became of it, as far as that is known."""
        self._open_orders.sending(intent)
        result = await self._broker.place(intent)
        self._metrics.count_order(intent.instrument, result.outcome)
        _log.info(
            "order", instrument=intent.instrument, units=str(intent.units),
            reduce_only=intent.reduce_only, outcome=result.outcome, reason=result.reason,
            price=str(result.fill_price or ""), client_order_id=intent.client_order_id,
            decision_id=intent.decision_id,
        )  # fmt: skip
        await self._record(intent, result)
        return result

    async def withhold(self, intent: Intent, reason: str) -> Result:
        """Record that an order that was kept is not sent after all."""
        result = Result(Outcome.REJECTED, reason, ZERO, None)
        await self._record(intent, result)
        return result

    async def write(self, queue: Queue) -> bool:
        """Write under the lease; False where that can't be done now."""
        if self._store_lost or self._lease.store_unavailable:
            return False
        owed = tuple(self._owed)

        def everything(pipe: Pipeline) -> None:
            for earlier in owed:
                earlier(pipe)
            queue(pipe)

        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self._lease.write(everything)
        except (SepError, TimeoutError) as error:
            self._store_lost = not isinstance(error, NotTheWriterError)
            _log.warning("state can't be written", error=str(error) or "no answer")
            return False
        self._owed.clear()
        return True

    async def _write_or_owe(self, queue: Queue) -> bool:
        written = await self.write(queue)
        if not written:
            self._owed.append(queue)
        return written

    async def _settle(self, intent: Intent) -> None:
        try:
            found = await self._broker.look_up(intent)
        except SepError as error:
            # Its instrument takes no entry until it is settled; the others go on.
            _log.warning(
                "order can't be looked up", instrument=intent.instrument,
                client_order_id=intent.client_order_id, error=str(error),
            )  # fmt: skip
            return
        outcome = settle(
            found.outcome if found else None,
            now_ms(self._clock) - intent.sent_ms,
            self._open_orders.watched_ms(intent),
        )
        if outcome is Outcome.UNKNOWN:
            # Kept again, in case the store was wiped: whoever takes over must know of it.
            await self.write(lambda pipe: queue_intent(pipe, intent))
            return
        _log.info(
            "order settled", instrument=intent.instrument, outcome=outcome,
            client_order_id=intent.client_order_id, decision_id=intent.decision_id,
        )  # fmt: skip
        await self._record(intent, found or Result(outcome, "", ZERO, None))

    async def _record(self, intent: Intent, result: Result) -> None:
        ts = now_ms(self._clock)
        known = result.outcome is not Outcome.UNKNOWN
        if known:
            self._open_orders.settled(intent)

        def queue(pipe: Pipeline) -> None:
            queue_outcome(pipe, intent, result, ts)
            if known:
                queue_forget(pipe, intent)

        await self._write_or_owe(queue)

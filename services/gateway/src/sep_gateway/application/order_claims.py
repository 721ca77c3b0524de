"""Claims on client order ids, so that no id is sent twice."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from sep_fx.freshness import Freshness, age_of
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.application.order_lookup import OrderLookup
from sep_gateway.application.unclaimed_orders import UnclaimedOrders
from sep_gateway.domain.orders import OrderState, TradeClose
from sep_gateway.domain.trade_closes import trade_close_claim
from sep_gateway.ports import OrderClaim, OrderClaimStore

_log = get_logger("OrderService")

_RESEND_AFTER_S = 60.0


class OrderClaims:
    """Decides whether an order may be sent under its id.

    Args:
        last_transaction_id: returns an id older than any order sent from now on.
        new_id: names an attempt to claim.
    """

    def __init__(
        self,
        store: OrderClaimStore,
        unclaimed: UnclaimedOrders,
        lookup: OrderLookup,
        last_transaction_id: Callable[[], Awaitable[int]],
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._unclaimed = unclaimed
        self._lookup = lookup
        self._last_transaction_id = last_transaction_id
        self._clock = clock
        self._new_id = new_id

    async def claim_entry(self, client_order_id: str) -> bool:
        """Claim an entry's id; False when an order was, or may have been, sent under it.

        Raises:
            StoreUnavailableError, CorruptRecordError: whether it is taken is not known.
            BrokerUnavailableError: the newest transaction is not known.
        """
        return await self._acquire(client_order_id, await self._new_claim())

    async def claim_reduction(self, client_order_id: str, close: TradeClose | None = None) -> bool:
        """Claim a reduction's id, as ``claim_entry``; in memory where the store does not answer.

        Args:
            close: the trade that it closes, which the ledger then names instead of the id.

        Raises:
            BrokerUnavailableError: the newest transaction is not known.
        """
        claim = await self._new_claim()
        if close is not None:
            units = "" if close.units is None else format(close.units, "f")
            claim = replace(claim, trade_id=close.trade_id, units=units)
            stored = await self._mark(trade_close_claim(str(close.trade_id)), claim)
            if not client_order_id:
                return True
            if not stored:
                return self._unclaimed.add(client_order_id, claim)
        try:
            return await self._acquire(client_order_id, claim)
        except (StoreUnavailableError, CorruptRecordError):
            # Reductions must work without the store.
            return self._unclaimed.add(client_order_id, claim)

    async def release(self, client_order_id: str) -> None:
        """Release the id of an order that was not sent; a failure is logged."""
        try:
            await self._store.release(client_order_id)
        except StoreUnavailableError as error:
            _log.warning("claim not released", client_order_id=client_order_id, error=str(error))

    async def _new_claim(self) -> OrderClaim:
        since = await self._last_transaction_id()
        return OrderClaim(ts_ms=now_ms(self._clock), since_transaction_id=since, by=self._new_id())

    async def _acquire(self, client_order_id: str, claim: OrderClaim) -> bool:
        if self._unclaimed.get(client_order_id) is not None:
            return False
        earlier = await self._store.claim(client_order_id, claim)
        if earlier is None:
            return True
        if age_of(earlier.ts_ms, claim.ts_ms, _RESEND_AFTER_S).verdict is not Freshness.STALE:
            return False
        # An old claim may belong to an order that was never sent because of a crash.
        outcome = await self._lookup.find_or_unknown(client_order_id)
        if outcome.state is not OrderState.NOT_FOUND:
            return False
        return await self._store.replace(client_order_id, earlier, claim)

    async def _mark(self, key: str, claim: OrderClaim) -> bool:
        """Record that this stack closes a trade; False when the store does not answer."""
        try:
            await self._store.record(key, claim)
        except StoreUnavailableError:
            self._unclaimed.add(key, claim)
            return False
        return True

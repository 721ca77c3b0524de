"""Claims on client order ids, so that no id is sent twice."""

from collections.abc import Awaitable, Callable

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import StoreUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.application.order_lookup import OrderLookup
from sep_gateway.domain.orders import OrderState
from sep_gateway.ports import OrderClaim, OrderClaimStore

_log = get_logger("OrderService")

_RESEND_AFTER_S = 60.0


class OrderClaims:
    """Decides whether an order may be sent under its id.

    Args:
        last_transaction_id: returns an id older than any order sent from now on.
    """

    def __init__(
        self,
        store: OrderClaimStore,
        lookup: OrderLookup,
        last_transaction_id: Callable[[], Awaitable[int]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._lookup = lookup
        self._last_transaction_id = last_transaction_id
        self._clock = clock

    async def new_claim(self) -> OrderClaim:
        """A claim as of now.

        Raises:
            BrokerUnavailableError: the newest transaction is not known.
        """
        return OrderClaim(now_ms(self._clock), await self._last_transaction_id())

    async def acquire(self, client_order_id: str, claim: OrderClaim) -> bool:
        """Claim an id; False when an order was, or may have been, sent under it.

        Raises:
            StoreUnavailableError, CorruptRecordError: whether it is taken is not known.
        """
        earlier = await self._store.claim(client_order_id, claim)
        if earlier is None:
            return True
        if claim.ts_ms - earlier.ts_ms < _RESEND_AFTER_S * 1000:
            return False
        # An old claim may belong to an order that was never sent because of a crash.
        outcome = await self._lookup.find_or_unknown(client_order_id)
        if outcome.state is not OrderState.NOT_FOUND:
            return False
        return await self._store.replace(client_order_id, earlier, claim)

    async def release(self, client_order_id: str) -> None:
        """Release the id of an order that was not sent; a failure is logged."""
        try:
            await self._store.release(client_order_id)
        except StoreUnavailableError as error:
            _log.warning("claim not released", client_order_id=client_order_id, error=str(error))

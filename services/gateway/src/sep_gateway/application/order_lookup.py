"""Finds the outcome of an order that may have been sent."""

import asyncio
from dataclasses import replace
from decimal import Decimal

from sep_fx.freshness import Freshness, age_of
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import BrokerUnavailableError, CorruptRecordError, StoreUnavailableError

from sep_gateway.application.close_outcomes import CloseOutcomes
from sep_gateway.application.unclaimed_orders import UnclaimedOrders
from sep_gateway.domain.orders import OrderResult, OrderState
from sep_gateway.domain.trade_closes import closes_in_ledger
from sep_gateway.domain.transactions import outcome_in_ledger
from sep_gateway.ports import Broker, OrderClaim, OrderClaimStore

# A new order can be unreadable for up to half a second.
_LOOKUP_DELAYS_S = (0.0, 0.25, 0.4)
# How many of the newest transactions are searched when no starting point is known.
_TRANSACTIONS_BACK = 1000
# An order whose request timed out this long ago can no longer arrive at the broker.
_IN_FLIGHT_GRACE_S = 2.0


class OrderLookup:
    """Looks an order up by its client id, then in the ledger.

    Args:
        timeout_s: timeout of an order request; a younger order may still arrive.
    """

    def __init__(
        self,
        broker: Broker,
        claims: OrderClaimStore,
        unclaimed: UnclaimedOrders,
        outcomes: CloseOutcomes,
        clock: Clock,
        *,
        timeout_s: float,
    ) -> None:
        self._broker = broker
        self._claims = claims
        self._unclaimed = unclaimed
        self._outcomes = outcomes
        self._clock = clock
        self._in_flight_s = timeout_s + _IN_FLIGHT_GRACE_S

    async def find(self, client_order_id: str, since: int | None = None) -> OrderResult:
        """The outcome of an order; NOT_FOUND only if both lookups prove that it does not exist.

        Args:
            since: newest transaction known before the order was sent; None uses its claim's.

        Raises:
            BrokerUnavailableError: the broker does not respond.
        """
        claim, claim_error = await self._read_claim(client_order_id)
        if since is None and claim is not None:
            since = claim.since_transaction_id
        lookup_error: BrokerUnavailableError | None = None
        found: OrderResult | None = None
        # The broker knows the close of a trade by no client id.
        if claim is None or not claim.trade_id:
            try:
                found = await self._by_client_id(client_order_id)
            except BrokerUnavailableError as error:
                lookup_error = error
        found = found or await self._in_ledger(client_order_id, since, claim)
        if found is not None:
            return found
        if lookup_error is not None:
            raise lookup_error
        if claim_error:
            # Without its claim the close of a trade is not recognised.
            return OrderResult(
                client_order_id=client_order_id, state=OrderState.UNKNOWN, reason="CLAIM_UNREADABLE"
            )
        age = age_of(claim.ts_ms if claim else None, now_ms(self._clock), self._in_flight_s)
        if age.verdict in {Freshness.FRESH, Freshness.FUTURE}:
            return OrderResult(
                client_order_id=client_order_id, state=OrderState.UNKNOWN, reason="MAY_BE_IN_FLIGHT"
            )
        return OrderResult(client_order_id=client_order_id, state=OrderState.NOT_FOUND)

    async def find_or_unknown(self, client_order_id: str) -> OrderResult:
        """As ``find``, but UNKNOWN if the broker does not respond."""
        try:
            return await self.find(client_order_id)
        except BrokerUnavailableError as error:
            return OrderResult(
                client_order_id=client_order_id, state=OrderState.UNKNOWN, reason=str(error)
            )

    async def _by_client_id(self, client_order_id: str) -> OrderResult | None:
        for delay in _LOOKUP_DELAYS_S:
            await asyncio.sleep(delay)
            found = await self._broker.find_order(client_order_id)
            if found is not None:
                return found
        return None

    async def _in_ledger(
        self, client_order_id: str, since: int | None, claim: OrderClaim | None
    ) -> OrderResult | None:
        if since is None:
            since = max(0, await self._broker.last_transaction_id() - _TRANSACTIONS_BACK)
        page = await self._broker.transactions_since(since)
        if claim is not None and claim.trade_id:
            units = Decimal(claim.units) if claim.units else None
            found = await self._outcomes.first_of(
                client_order_id,
                closes_in_ledger(client_order_id, claim.trade_id, units, page.transactions),
            )
        else:
            found = outcome_in_ledger(client_order_id, page.transactions)
        if found is None and page.left_out:
            # What can't be read may be about this order.
            return OrderResult(
                client_order_id=client_order_id,
                state=OrderState.UNKNOWN,
                reason="LEDGER_UNREADABLE",
            )
        return None if found is None else replace(found, last_transaction_id=page.last_id)

    async def _read_claim(self, client_order_id: str) -> tuple[OrderClaim | None, bool]:
        """The claim of an id, and whether it could not be read."""
        unclaimed = self._unclaimed.get(client_order_id)
        if unclaimed is not None:
            return unclaimed, False
        try:
            return await self._claims.read(client_order_id), False
        except (StoreUnavailableError, CorruptRecordError):
            return None, True

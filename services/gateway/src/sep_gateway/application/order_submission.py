"""The steps of every order: token, claim, last checks, one send, outcome."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sep_kit.errors import BrokerUnavailableError, PreconditionError
from sep_kit.logging import get_logger

from sep_gateway.application.order_checks import OrderChecks
from sep_gateway.application.order_claims import OrderClaims
from sep_gateway.application.order_fence import OrderFence
from sep_gateway.application.order_lookup import OrderLookup
from sep_gateway.domain.orders import Decided, OrderResult, OrderState, TradeClose
from sep_gateway.domain.transactions import DUPLICATE
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import BeforeSending

_log = get_logger("OrderService")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A request under one client order id; ``reduces`` if it can only reduce a position.

    ``closes`` is set for the close of a trade by its id; then the id may be empty.
    """

    client_order_id: str
    decided: Decided
    reduces: bool
    send: Callable[[BeforeSending], Awaitable[OrderResult]]
    closes: TradeClose | None = None


class OrderSubmitter:
    """Sends each submission at most once.

    Args:
        note_transaction: called with the newest transaction of each answer.
    """

    def __init__(
        self,
        checks: OrderChecks,
        fence: OrderFence,
        claims: OrderClaims,
        lookup: OrderLookup,
        metrics: GatewayMetrics,
        note_transaction: Callable[[int], None],
    ) -> None:
        self._checks = checks
        self._fence = fence
        self._claims = claims
        self._lookup = lookup
        self._orders = metrics.orders
        self._refused = metrics.refused_orders
        self._note_transaction = note_transaction

    async def submit(self, submission: Submission) -> OrderResult:
        """Send unless something was sent under this id before; count and return the outcome.

        Raises:
            StaleTokenError: another writer has taken over.
            OrderTooOldError, KillSwitchEngagedError, AccountKindError: an entry is not sent.
            BrokerUnavailableError: the broker did not execute it.
            StoreUnavailableError: an entry's id could not be claimed, so it was not sent.
        """
        try:
            result = await self._submit(submission)
        except PreconditionError as error:
            self._refused.labels(error.reason).inc()
            _log.warning(
                "order refused",
                client_order_id=submission.client_order_id,
                reason=error.reason,
                error=error.message,
            )
            raise
        self._orders.labels(result.state.name).inc()
        self._note_transaction(result.last_transaction_id)
        return result

    async def _submit(self, submission: Submission) -> OrderResult:
        await self._fence.check_token(submission.decided, reduces=submission.reduces)
        if await self._claim(submission):
            return await self._send(submission)
        return await self._lookup.find_or_unknown(submission.client_order_id)

    async def _claim(self, submission: Submission) -> bool:
        if submission.reduces:
            return await self._claims.claim_reduction(submission.client_order_id, submission.closes)
        return await self._claims.claim_entry(submission.client_order_id)

    async def _send(self, submission: Submission) -> OrderResult:
        """Send once; the broker's duplicate check may point to an earlier order."""

        def before_sending() -> None:
            # Age never stops a reduction.
            if not submission.reduces:
                self._fence.check_age(submission.decided)

        try:
            if not submission.reduces:
                before_sending()
                # Last, right before an entry is sent.
                await self._checks.check_entry()
            result = await submission.send(before_sending)
        except (BrokerUnavailableError, PreconditionError):
            if submission.client_order_id:
                await self._claims.release(submission.client_order_id)
            raise
        if result.state is OrderState.REJECTED and result.reason == DUPLICATE:
            return await self._lookup.find_or_unknown(submission.client_order_id)
        return result


def outcome_fields(result: OrderResult) -> dict[str, object]:
    """An outcome as the fields of a log line."""
    return {
        "state": result.state.name,
        "reason": result.reason,
        "broker_says": result.message,
        "filled": str(result.filled_units),
        "transaction": result.transaction_id,
        # Only a close has one.
        "pl": "" if result.realized_pl is None else f"{result.realized_pl:.2f}",
    }

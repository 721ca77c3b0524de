"""Order placement: checks, claim, send, outcome. Each client order id trades at most once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sep_kit.errors import (
    BrokerUnavailableError,
    CorruptRecordError,
    KillSwitchEngagedError,
    StoreUnavailableError,
)
from sep_kit.logging import get_logger

from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.application.order_checks import OrderChecks, fitted
from sep_gateway.application.order_claims import OrderClaims
from sep_gateway.application.order_lookup import OrderLookup
from sep_gateway.domain.orders import MarketOrder, OrderResult, OrderState, PositionClose
from sep_gateway.domain.transactions import DUPLICATE
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker

_log = get_logger("OrderService")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submission:
    """What is sent under a client order id; ``reduces`` if it can only reduce a position."""

    client_order_id: str
    reduces: bool
    send: Callable[[], Awaitable[OrderResult]]


class OrderService:
    """The only component that sends orders to the broker."""

    def __init__(
        self,
        broker: Broker,
        instruments: InstrumentCache,
        checks: OrderChecks,
        claims: OrderClaims,
        lookup: OrderLookup,
        metrics: GatewayMetrics,
    ) -> None:
        self._broker = broker
        self._instruments = instruments
        self._checks = checks
        self._claims = claims
        self._lookup = lookup
        self._orders = metrics.orders

    async def place(self, order: MarketOrder) -> OrderResult:
        """Send a market order, or return the outcome of the one sent under the same id.

        Raises:
            ReadOnlyError, LiveTradingDisabledError: orders are disabled.
            KillSwitchEngagedError: only reduce-only orders are allowed.
            UnknownInstrumentError: the broker does not trade it.
            OrderRefusedError: UNITS_BELOW_MINIMUM or UNITS_ABOVE_MAXIMUM.
            BrokerUnavailableError: the broker did not execute it.
            StoreUnavailableError: an entry's id could not be claimed, so it was not sent.
        """
        self._checks.check_modes()
        order = fitted(order, await self._instruments.get(order.instrument))
        result = await self._submit(
            _Submission(
                client_order_id=order.client_order_id,
                reduces=order.reduce_only,
                send=lambda: self._broker.create_market_order(order),
            )
        )
        _log.info(
            "order",
            client_order_id=result.client_order_id,
            instrument=order.instrument,
            units=str(order.units),
            reduce_only=order.reduce_only,
            price=str(result.fill_price or ""),
            **_outcome_fields(result),
        )
        return result

    async def close_position(self, close: PositionClose) -> OrderResult:
        """Close one side of a position, or return the outcome of the close of the same id.

        Raises: as ``place`` does, except for size limits.
        """
        self._checks.check_modes()
        await self._instruments.get(close.instrument)
        result = await self._submit(
            _Submission(
                client_order_id=close.client_order_id,
                reduces=True,
                send=lambda: self._broker.close_position(close),
            )
        )
        _log.info(
            "position close",
            client_order_id=close.client_order_id,
            instrument=close.instrument,
            **_outcome_fields(result),
        )
        return result

    async def close_trade(self, trade_id: int) -> OrderResult:
        """Close a trade. A trade can be closed only once, so no id needs to be claimed.

        Raises:
            ReadOnlyError, LiveTradingDisabledError: orders are disabled.
            BrokerUnavailableError: the broker did not execute it.
        """
        self._checks.check_modes()
        result = await self._broker.close_trade(trade_id)
        self._orders.labels(result.state.name).inc()
        _log.info("trade close", trade=trade_id, **_outcome_fields(result))
        return result

    async def _submit(self, submission: _Submission) -> OrderResult:
        """Send unless something was sent under this id before; count and return the outcome."""
        if await self._claim(submission):
            await self._check_entry(submission)
            result = await self._send(submission)
        else:
            result = await self._lookup.find_or_unknown(submission.client_order_id)
        self._orders.labels(result.state.name).inc()
        return result

    async def _claim(self, submission: _Submission) -> bool:
        """Claim the id; whether the submission may be sent."""
        claim = await self._claims.new_claim()
        try:
            return await self._claims.acquire(submission.client_order_id, claim)
        except (StoreUnavailableError, CorruptRecordError):
            if submission.reduces:
                # Reductions must work without the store; sent twice they open nothing.
                return True
            raise

    async def _check_entry(self, submission: _Submission) -> None:
        """Check the kill switch last, right before an entry is sent."""
        if submission.reduces:
            return
        try:
            await self._checks.check_kill_switch()
        except KillSwitchEngagedError:
            await self._claims.release(submission.client_order_id)
            raise

    async def _send(self, submission: _Submission) -> OrderResult:
        """Send once; the broker's duplicate check may point to an earlier order."""
        try:
            result = await submission.send()
        except BrokerUnavailableError:
            await self._claims.release(submission.client_order_id)
            raise
        if result.state is OrderState.REJECTED and result.reason == DUPLICATE:
            return await self._lookup.find_or_unknown(submission.client_order_id)
        return result


def _outcome_fields(result: OrderResult) -> dict[str, object]:
    return {
        "state": result.state.name,
        "reason": result.reason,
        "filled": str(result.filled_units),
        "transaction": result.transaction_id,
        # Only a close has one.
        "pl": "" if result.realized_pl is None else f"{result.realized_pl:.2f}",
    }

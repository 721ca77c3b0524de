"""Orders: what may be sent, sending it once, and finding out what became of it."""

import asyncio
from collections.abc import Awaitable, Callable

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import (
    BrokerUnavailableError,
    CorruptRecordError,
    InvalidArgumentError,
    KillSwitchEngagedError,
    LiveTradingDisabledError,
    ReadOnlyError,
    StoreUnavailableError,
)
from sep_kit.logging import get_logger
from sep_kit.settings.shared.safety import OandaEnvironment, SafetyKnobs
from sep_kit.store.kill_switch import KillSwitch

from sep_gateway.domain.order_rules import Refusal, fit_order
from sep_gateway.domain.orders import MarketOrder, OrderResult, OrderState, PositionClose
from sep_gateway.domain.transactions import DUPLICATE, fate_of
from sep_gateway.instrument_book import InstrumentBook
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker, OrderClaim, OrderClaims

_log = get_logger("OrderDesk")

# Right after it was created an order can be unreadable for up to half a second.
_LOOKUP_PAUSES_S = (0.0, 0.25, 0.4)
# Where nobody knows since when to search, the newest transactions have to do.
_TRANSACTIONS_BACK = 1000
# An order that was given up this long ago is no longer on its way to the broker.
_IN_FLIGHT_GRACE_S = 2.0
_RESEND_AFTER_S = 60.0


class OrderRefusedError(InvalidArgumentError):
    """The order breaks one of the instrument's limits; the reason says which."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text, limit=str(refusal.limit))
        self.reason = refusal.reason


class OrderDesk:
    """The one way orders leave the stack.

    Args:
        last_transaction_id: an id that is surely older than an order sent from now on.
        timeout_s: how long an order is waited for; one younger than that may still arrive.
    """

    def __init__(
        self,
        broker: Broker,
        claims: OrderClaims,
        book: InstrumentBook,
        last_transaction_id: Callable[[], Awaitable[int]],
        safety: SafetyKnobs,
        kill_switch: KillSwitch,
        timeout_s: float,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._broker = broker
        self._claims = claims
        self._book = book
        self._last_transaction_id = last_transaction_id
        self._safety = safety
        self._kill_switch = kill_switch
        self._in_flight_ms = (timeout_s + _IN_FLIGHT_GRACE_S) * 1000
        self._clock = clock
        self._orders = metrics.orders

    async def place(self, order: MarketOrder) -> OrderResult:
        """Send an order, or tell what became of the one that was sent under the same id.

        Raises:
            ReadOnlyError, LiveTradingDisabledError: no order may be sent.
            KillSwitchEngagedError: none that is not reduce-only may.
            UnknownInstrumentError: the broker does not trade it.
            OrderRefusedError: UNITS_BELOW_MINIMUM or UNITS_ABOVE_MAXIMUM.
            BrokerUnavailableError: the broker certainly did not take it.
            StoreUnavailableError: an entry can't be claimed, so it is not sent.
        """
        self._check_modes()
        fitted = fit_order(order, await self._book.get(order.instrument))
        if isinstance(fitted, Refusal):
            raise OrderRefusedError(fitted)
        result = await self._once(
            fitted.client_order_id,
            lambda: self._broker.create_market_order(fitted),
            way_out=fitted.reduce_only,
        )
        _log.info(
            "order",
            client_order_id=result.client_order_id,
            instrument=fitted.instrument,
            units=str(fitted.units),
            reduce_only=fitted.reduce_only,
            state=result.state.name,
            reason=result.reason,
            filled=str(result.filled_units),
            price=str(result.fill_price or ""),
            transaction=result.transaction_id,
        )
        return result

    async def close_position(self, close: PositionClose) -> OrderResult:
        """Close one side of a position, or tell what became of the close of the same id.

        Raises: as ``place`` does, but for what an order's size can be refused for.
        """
        self._check_modes()
        await self._book.get(close.instrument)
        result = await self._once(
            close.client_order_id, lambda: self._broker.close_position(close), way_out=True
        )
        _log.info(
            "position close",
            client_order_id=close.client_order_id,
            instrument=close.instrument,
            state=result.state.name,
            reason=result.reason,
            filled=str(result.filled_units),
            transaction=result.transaction_id,
        )
        return result

    async def close_trade(self, trade_id: int) -> OrderResult:
        """Close a trade. Sent twice it still closes once, so that no id has to be claimed.

        Raises:
            ReadOnlyError, LiveTradingDisabledError: no order may be sent.
            BrokerUnavailableError: the broker certainly did not take it.
        """
        self._check_modes()
        result = await self._broker.close_trade(trade_id)
        self._orders.labels(result.state.name).inc()
        _log.info(
            "trade close",
            trade=trade_id,
            state=result.state.name,
            reason=result.reason,
            filled=str(result.filled_units),
            transaction=result.transaction_id,
        )
        return result

    async def fate(self, client_order_id: str, since: int | None) -> OrderResult:
        """What became of an order; NOT_FOUND only when nothing says that it exists.

        Args:
            since: last transaction known before the order was sent.

        Raises:
            BrokerUnavailableError: the broker can't be asked.
        """
        claim = await self._read_claim(client_order_id)
        if since is None and claim is not None:
            since = claim.since_transaction_id
        lookup_error: BrokerUnavailableError | None = None
        try:
            found = await self._look_up(client_order_id)
            if found is not None:
                return found
        except BrokerUnavailableError as error:
            lookup_error = error
        found = await self._search_ledger(client_order_id, since)
        if found is not None:
            return found
        if lookup_error is not None:
            raise lookup_error
        if claim is not None and now_ms(self._clock) - claim.ts_ms < self._in_flight_ms:
            return OrderResult(client_order_id, OrderState.UNKNOWN, "MAY_BE_IN_FLIGHT")
        return OrderResult(client_order_id, OrderState.NOT_FOUND)

    def _check_modes(self) -> None:
        if self._safety.read_only:
            raise ReadOnlyError("READ_ONLY=1: no order is sent")
        live = self._safety.oanda_environment is OandaEnvironment.LIVE
        if live and not self._safety.live_trading_enabled:
            raise LiveTradingDisabledError(
                "OANDA_ENVIRONMENT=live needs LIVE_TRADING_ENABLED=1: no order is sent"
            )

    async def _once(
        self,
        client_order_id: str,
        send: Callable[[], Awaitable[OrderResult]],
        *,
        way_out: bool,
    ) -> OrderResult:
        """Send what was not sent before under this id; else what became of the first."""
        earlier = await self._claim(client_order_id, way_out=way_out)
        if earlier is None:
            result = await self._send(client_order_id, send, way_out=way_out)
        else:
            result = await self._fate_of_first(client_order_id)
        self._orders.labels(result.state.name).inc()
        return result

    async def _claim(self, client_order_id: str, *, way_out: bool) -> OrderClaim | None:
        """Claim the order's id; None when it may be sent."""
        claim = OrderClaim(now_ms(self._clock), await self._last_transaction_id())
        try:
            earlier = await self._claims.claim(client_order_id, claim)
            if earlier is None or claim.ts_ms - earlier.ts_ms < _RESEND_AFTER_S * 1000:
                return earlier
            # Long ago, and perhaps never sent: a crash lies between claim and order.
            fate = await self._fate_of_first(client_order_id)
            if fate.state is OrderState.NOT_FOUND and await self._claims.replace(
                client_order_id, earlier, claim
            ):
                return None
            return earlier
        except (StoreUnavailableError, CorruptRecordError):
            if way_out:
                # The way out stays open; what can only reduce opens nothing the second time.
                return None
            raise

    async def _send(
        self, client_order_id: str, send: Callable[[], Awaitable[OrderResult]], *, way_out: bool
    ) -> OrderResult:
        # Whoever decided on an entry looked too; the last to look is the one who sends it.
        if not way_out and await self._kill_switch.engaged():
            await self._release(client_order_id)
            raise KillSwitchEngagedError("the kill switch is engaged: only reductions are sent")
        try:
            result = await send()
        except BrokerUnavailableError:
            await self._release(client_order_id)
            raise
        if result.state is OrderState.REJECTED and result.reason == DUPLICATE:
            return await self._fate_of_first(client_order_id)
        return result

    async def _fate_of_first(self, client_order_id: str) -> OrderResult:
        try:
            return await self.fate(client_order_id, None)
        except BrokerUnavailableError as error:
            return OrderResult(client_order_id, OrderState.UNKNOWN, str(error))

    async def _look_up(self, client_order_id: str) -> OrderResult | None:
        for pause in _LOOKUP_PAUSES_S:
            await asyncio.sleep(pause)
            found = await self._broker.find_order(client_order_id)
            if found is not None:
                return found
        return None

    async def _search_ledger(self, client_order_id: str, since: int | None) -> OrderResult | None:
        if since is None:
            since = max(0, await self._broker.last_transaction_id() - _TRANSACTIONS_BACK)
        page = await self._broker.transactions_since(since)
        return fate_of(client_order_id, page.transactions)

    async def _read_claim(self, client_order_id: str) -> OrderClaim | None:
        try:
            return await self._claims.read(client_order_id)
        except (StoreUnavailableError, CorruptRecordError):
            return None

    async def _release(self, client_order_id: str) -> None:
        try:
            await self._claims.release(client_order_id)
        except StoreUnavailableError as error:
            _log.warning("claim not released", client_order_id=client_order_id, error=str(error))

"""The broker, through the gateway over gRPC."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import grpc
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep_fx.instrument import Instrument
from sep_kit.errors import PeerUnavailableError, RemoteError, SepError
from sep_kit.grpc.client import call
from sep_kit.logging import get_logger

from sep_guard.adapters.gateway_ledger import OWN_TAG, GatewayLedger
from sep_guard.domain.market import ZERO, Account, LeftOut, Quote, Trade
from sep_guard.domain.orders import Intent, Outcome, Result
from sep_guard.domain.risk.activity import OwnTrade
from sep_guard.domain.risk.ledger_events import LedgerPage
from sep_guard.domain.stop_guard import StopOrder, StopSet
from sep_guard.domain.trades import OpenTrades
from sep_guard.ports import Prices

_log = get_logger("PortfolioManager")
_PEER = "gateway"
_ORDER_DEADLINE_S = 15.0

_OUTCOMES = {
    gateway_pb2.ORDER_STATE_FILLED: Outcome.FILLED,
    gateway_pb2.ORDER_STATE_CANCELLED: Outcome.CANCELLED,
    gateway_pb2.ORDER_STATE_REJECTED: Outcome.REJECTED,
}


class GatewayBroker:
    """``Broker`` over the gateway's gRPC service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        self._ledger = GatewayLedger(channel)

    async def account(self, since_id: int = 0) -> Account:
        """The account now, with transaction ``since_id`` where the broker shows it in time."""
        request = gateway_pb2.GetAccountRequest(min_transaction_id=_id(since_id))
        response = await call(self._stub.GetAccount, request, peer=_PEER)
        percent = response.margin_closeout_percent
        return Account(
            margin_rate=_decimal(response.margin_rate),
            closeout_percent=_decimal(percent),
            unsupported=tuple(response.unsupported_kinds),
            balance=Decimal(response.balance),
            nav=Decimal(response.nav),
            margin_used=Decimal(response.margin_used),
            margin_available=Decimal(response.margin_available),
            last_transaction_id=response.last_transaction_id,
        )

    async def trades(self, since_id: int = 0) -> OpenTrades:
        """Open trades; the client tag of a trade says whether it is this stack's."""
        request = gateway_pb2.ListOpenTradesRequest(min_transaction_id=_id(since_id))
        response = await call(self._stub.ListOpenTrades, request, peer=_PEER)
        return OpenTrades(
            trades=tuple(map(_trade, response.trades)),
            last_transaction_id=response.last_transaction_id,
            left_out=tuple(
                LeftOut(instrument=m.instrument, name=m.name, fault=m.fault)
                for m in response.left_out
            ),
        )

    async def prices(self, instruments: Sequence[str]) -> Prices:
        """Current prices; a price without bid or ask is left out."""
        response = await call(
            self._stub.GetPricing,
            gateway_pb2.GetPricingRequest(instruments=instruments),
            peer=_PEER,
        )
        quotes = {
            p.instrument: Quote(
                bid=Decimal(p.bid),
                ask=Decimal(p.ask),
                ts_ms=int(p.ts_ms),
                tradeable=p.tradeable,
            )
            for p in response.prices
            if p.bid and p.ask
        }
        return Prices(
            quotes, {c.currency: Decimal(c.position_value) for c in response.home_conversions}
        )

    async def instruments(self) -> Mapping[str, Instrument]:
        """The broker's rules by instrument."""
        response = await call(
            self._stub.ListInstruments, gateway_pb2.ListInstrumentsRequest(), peer=_PEER
        )
        return {
            i.name: Instrument(
                name=i.name,
                display_precision=i.display_precision,
                trade_units_precision=i.trade_units_precision,
                minimum_trade_size=Decimal(i.minimum_trade_size),
                margin_rate=Decimal(i.margin_rate),
                maximum_order_units=Decimal(i.maximum_order_units),
            )
            for i in response.instruments
        }

    async def own_trades(self) -> Sequence[OwnTrade]:
        """Open trades of this stack."""
        return [
            OwnTrade(instrument=trade.instrument, trade_id=trade.id, units=trade.units)
            for trade in (await self.trades()).trades
            if trade.own
        ]

    async def ledger(self, since_id: int, through_id: int) -> LedgerPage:
        """The risk events of the ledger after one transaction, up to another one."""
        return await self._ledger.page(since_id, through_id)

    async def place(self, intent: Intent) -> Result:
        """Send an order. A failure that does not prove a refusal is UNKNOWN, never raised."""
        try:
            if intent.trade_id:
                closed = await call(
                    self._stub.CloseTrade, _close_request(intent), peer=_PEER,
                    deadline_s=_ORDER_DEADLINE_S,
                )  # fmt: skip
                return _result(closed.result)
            placed = await call(
                self._stub.PlaceMarketOrder, _order_request(intent), peer=_PEER,
                deadline_s=_ORDER_DEADLINE_S,
            )  # fmt: skip
        except RemoteError as error:
            if error.code in _PROVEN_REFUSALS:
                return _not_filled(Outcome.REJECTED, error)
            return _unknown(intent, error)
        except PeerUnavailableError as error:
            return _unknown(intent, error)
        return _result(placed.result)

    async def set_stop(self, stop: StopOrder) -> StopSet:
        """Give a trade of this stack a stop in place of the one it may have; never raises."""
        request = gateway_pb2.SetTradeStopRequest(
            trade_id=stop.trade_id,
            stop_loss_price=f"{stop.price:f}",
            client_order_id=stop.client_order_id,
            fencing_token=stop.fencing_token,
            decided_at_ms=stop.decided_ms,
        )
        try:
            response = await call(
                self._stub.SetTradeStop, request, peer=_PEER, deadline_s=_ORDER_DEADLINE_S
            )
        except SepError as error:
            _log.warning("stop not set", trade=stop.trade_id, error=str(error))
            return StopSet(in_place=False, reason=error.reason)
        result = response.result
        return StopSet(
            in_place=result.state == gateway_pb2.ORDER_STATE_PENDING,
            reason=result.reason,
            last_id=_last_id(result),
        )

    async def look_up(self, intent: Intent) -> Result | None:
        """The outcome of an order; None when the broker knows no such order."""
        response = await call(
            self._stub.GetOrder,
            gateway_pb2.GetOrderRequest(
                client_order_id=intent.client_order_id,
                since_transaction_id=intent.since_transaction_id,
            ),
            peer=_PEER,
            deadline_s=_ORDER_DEADLINE_S,
        )
        if response.result.state == gateway_pb2.ORDER_STATE_NOT_FOUND:
            return None
        return _result(response.result)


# The gateway returns these before it sends anything to the broker.
_PROVEN_REFUSALS = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)


def _order_request(intent: Intent) -> gateway_pb2.PlaceMarketOrderRequest:
    return gateway_pb2.PlaceMarketOrderRequest(
        client_order_id=intent.client_order_id,
        instrument=intent.instrument,
        units=f"{intent.units:f}",
        reduce_only=intent.reduce_only,
        stop_loss_price=_text(intent.stop_loss),
        take_profit_price=_text(intent.take_profit),
        price_bound=_text(intent.price_bound),
        fencing_token=intent.fencing_token,
        decided_at_ms=intent.sent_ms,
    )


def _close_request(intent: Intent) -> gateway_pb2.CloseTradeRequest:
    return gateway_pb2.CloseTradeRequest(
        trade_id=intent.trade_id,
        client_order_id=intent.client_order_id,
        units="" if intent.whole_trade else f"{abs(intent.units):f}",
        fencing_token=intent.fencing_token,
        decided_at_ms=intent.sent_ms,
    )


def _trade(trade: gateway_pb2.Trade) -> Trade:
    # An order that is not pending protects nothing; a gateway that names no state lists only
    # pending ones.
    stands = bool(trade.stop_loss_price) and trade.stop_loss_state in ("", "PENDING")
    return Trade(
        id=trade.id,
        instrument=trade.instrument,
        units=Decimal(trade.current_units),
        own=trade.client_tag == OWN_TAG,
        client_id=trade.client_id,
        stop_loss=Decimal(trade.stop_loss_price) if stands else None,
        margin_used=_decimal(trade.margin_used),
    )


def _unknown(intent: Intent, error: SepError) -> Result:
    _log.warning(
        "order outcome unknown", instrument=intent.instrument,
        client_order_id=intent.client_order_id, error=str(error),
    )  # fmt: skip
    return _not_filled(Outcome.UNKNOWN, error)


def _not_filled(outcome: Outcome, error: SepError) -> Result:
    return Result(
        outcome=outcome,
        reason=error.reason,
        filled_units=ZERO,
        fill_price=None,
        message=error.message,
    )


def _result(result: gateway_pb2.OrderResult) -> Result:
    return Result(
        outcome=_OUTCOMES.get(result.state, Outcome.UNKNOWN),
        reason=result.reason,
        filled_units=Decimal(result.filled_units or "0"),
        fill_price=Decimal(result.fill_price) if result.fill_price else None,
        message=result.message,
        last_id=_last_id(result),
        transaction_id=int(result.transaction_id or 0),
        by_broker=True,
    )


def _last_id(result: gateway_pb2.OrderResult) -> int:
    return max(int(result.transaction_id or 0), int(result.last_transaction_id or 0))


def _id(transaction_id: int) -> str:
    return str(transaction_id) if transaction_id else ""


def _decimal(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _text(price: Decimal | None) -> str:
    return "" if price is None else f"{price:f}"

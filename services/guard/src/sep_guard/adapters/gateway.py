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
from sep_guard.domain.market import ZERO, Account, Holding, Quote
from sep_guard.domain.orders import Intent, Outcome, Result
from sep_guard.domain.risk.activity import OwnTrade
from sep_guard.domain.risk.ledger_events import LedgerPage
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

    async def account(self) -> Account:
        """The account now."""
        response = await call(self._stub.GetAccount, gateway_pb2.GetAccountRequest(), peer=_PEER)
        return Account(
            balance=Decimal(response.balance),
            nav=Decimal(response.nav),
            margin_used=Decimal(response.margin_used),
            margin_available=Decimal(response.margin_available),
            last_transaction_id=response.last_transaction_id,
        )

    async def holdings(self) -> Mapping[str, Holding]:
        """Open units by instrument; the client tag of a trade says whether it is managed."""
        response = await call(
            self._stub.ListOpenTrades, gateway_pb2.ListOpenTradesRequest(), peer=_PEER
        )
        managed: dict[str, Decimal] = {}
        manual: dict[str, Decimal] = {}
        for trade in response.trades:
            side = managed if trade.client_tag == OWN_TAG else manual
            side[trade.instrument] = side.get(trade.instrument, ZERO) + Decimal(trade.current_units)
        return {
            i: Holding(managed=managed.get(i, ZERO), manual=manual.get(i, ZERO))
            for i in {*managed, *manual}
        }

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
                i.name,
                i.display_precision,
                i.trade_units_precision,
                Decimal(i.minimum_trade_size),
                Decimal(i.margin_rate),
                Decimal(i.maximum_order_units),
            )
            for i in response.instruments
        }

    async def own_trades(self) -> Sequence[OwnTrade]:
        """Open trades of this stack."""
        response = await call(
            self._stub.ListOpenTrades, gateway_pb2.ListOpenTradesRequest(), peer=_PEER
        )
        return [
            OwnTrade(
                instrument=trade.instrument,
                trade_id=trade.id,
                units=Decimal(trade.current_units),
            )
            for trade in response.trades
            if trade.client_tag == OWN_TAG
        ]

    async def ledger(self, since_id: int, through_id: int) -> LedgerPage:
        """What the ledger says between two transactions, the first excluded."""
        return await self._ledger.page(since_id, through_id)

    async def place(self, intent: Intent) -> Result:
        """Send an order. A failure that does not prove a refusal is UNKNOWN, never raised."""
        request = gateway_pb2.PlaceMarketOrderRequest(
            client_order_id=intent.client_order_id,
            instrument=intent.instrument,
            units=f"{intent.units:f}",
            reduce_only=intent.reduce_only,
            stop_loss_price=_text(intent.stop_loss),
            take_profit_price=_text(intent.take_profit),
            price_bound=_text(intent.price_bound),
        )
        try:
            response = await call(
                self._stub.PlaceMarketOrder, request, peer=_PEER, deadline_s=_ORDER_DEADLINE_S
            )
        except RemoteError as error:
            if error.code in _PROVEN_REFUSALS:
                return _not_filled(Outcome.REJECTED, error)
            return _unknown(intent, error)
        except PeerUnavailableError as error:
            return _unknown(intent, error)
        return _result(response.result)

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


def _unknown(intent: Intent, error: SepError) -> Result:
    _log.warning(
        "order outcome unknown", instrument=intent.instrument,
        client_order_id=intent.client_order_id, error=str(error),
    )  # fmt: skip
    return _not_filled(Outcome.UNKNOWN, error)


def _not_filled(outcome: Outcome, error: SepError) -> Result:
    return Result(outcome=outcome, reason=error.reason, filled_units=ZERO, fill_price=None)


def _result(result: gateway_pb2.OrderResult) -> Result:
    return Result(
        outcome=_OUTCOMES.get(result.state, Outcome.UNKNOWN),
        reason=result.reason,
        filled_units=Decimal(result.filled_units or "0"),
        fill_price=Decimal(result.fill_price) if result.fill_price else None,
    )


def _text(price: Decimal | None) -> str:
    return "" if price is None else f"{price:f}"

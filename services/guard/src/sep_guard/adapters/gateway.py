"""The broker as the gateway gives it, over gRPC."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import grpc
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep_fx.instrument import Instrument
from sep_kit.errors import PeerUnavailableError, RemoteError, SepError
from sep_kit.grpc.client import call
from sep_kit.logging import get_logger

from sep_guard.domain.market import ZERO, Account, Holding, Quote
from sep_guard.domain.orders import Intent, Outcome, Result
from sep_guard.ports import Prices

_log = get_logger("PortfolioManager")
_PEER = "gateway"
_ORDER_DEADLINE_S = 15.0
OWN_TAG = "sep"
"""The client tag of trades that this stack opened."""

_OUTCOMES = {
    gateway_pb2.ORDER_STATE_FILLED: Outcome.FILLED,
    gateway_pb2.ORDER_STATE_CANCELLED: Outcome.CANCELLED,
    gateway_pb2.ORDER_STATE_REJECTED: Outcome.REJECTED,
}


class GatewayBroker:
    """Asks the gateway."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = gateway_pb2_grpc.GatewayServiceStub(channel)

    async def account(self) -> Account:
        """The account now."""
        answer = await call(self._stub.GetAccount, gateway_pb2.GetAccountRequest(), peer=_PEER)
        return Account(
            Decimal(answer.balance),
            Decimal(answer.nav),
            Decimal(answer.margin_used),
            Decimal(answer.margin_available),
            answer.last_transaction_id,
        )

    async def holdings(self) -> Mapping[str, Holding]:
        """Open units by instrument, told apart by the trades' tag."""
        answer = await call(
            self._stub.ListOpenTrades, gateway_pb2.ListOpenTradesRequest(), peer=_PEER
        )
        managed: dict[str, Decimal] = {}
        manual: dict[str, Decimal] = {}
        for trade in answer.trades:
            side = managed if trade.client_tag == OWN_TAG else manual
            side[trade.instrument] = side.get(trade.instrument, ZERO) + Decimal(trade.current_units)
        return {i: Holding(managed.get(i, ZERO), manual.get(i, ZERO)) for i in {*managed, *manual}}

    async def prices(self, instruments: Sequence[str]) -> Prices:
        """Current prices; one without a bid or ask is left out."""
        answer = await call(
            self._stub.GetPricing,
            gateway_pb2.GetPricingRequest(instruments=instruments),
            peer=_PEER,
        )
        quotes = {
            p.instrument: Quote(Decimal(p.bid), Decimal(p.ask), int(p.ts_ms), p.tradeable)
            for p in answer.prices
            if p.bid and p.ask
        }
        return Prices(
            quotes, {c.currency: Decimal(c.position_value) for c in answer.home_conversions}
        )

    async def instruments(self) -> Mapping[str, Instrument]:
        """The broker's rules."""
        answer = await call(
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
            for i in answer.instruments
        }

    async def place(self, intent: Intent) -> Result:
        """Send an order. A failure that does not prove that it was refused is UNKNOWN."""
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
            answer = await call(
                self._stub.PlaceMarketOrder, request, peer=_PEER, deadline_s=_ORDER_DEADLINE_S
            )
        except RemoteError as error:
            if error.code in _PROVEN_REFUSALS:
                return Result(Outcome.REJECTED, error.reason, ZERO, None)
            return _unknown(intent, error)
        except PeerUnavailableError as error:
            return _unknown(intent, error)
        return _result(answer.result)

    async def look_up(self, intent: Intent) -> Result | None:
        """What became of an order; None where the broker knows no such order."""
        answer = await call(
            self._stub.GetOrder,
            gateway_pb2.GetOrderRequest(
                client_order_id=intent.client_order_id,
                since_transaction_id=intent.since_transaction_id,
            ),
            peer=_PEER,
            deadline_s=_ORDER_DEADLINE_S,
        )
        if answer.result.state == gateway_pb2.ORDER_STATE_NOT_FOUND:
            return None
        return _result(answer.result)


# The gateway gives these before it sends anything to the broker.
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
    return Result(Outcome.UNKNOWN, error.reason, ZERO, None)


def _result(result: gateway_pb2.OrderResult) -> Result:
    return Result(
        _OUTCOMES.get(result.state, Outcome.UNKNOWN),
        result.reason,
        Decimal(result.filled_units or "0"),
        Decimal(result.fill_price) if result.fill_price else None,
    )


def _text(price: Decimal | None) -> str:
    return "" if price is None else f"{price:f}"

"""Requests that trade, and the results in their responses."""

from dataclasses import dataclass
from typing import Any

from sep_gateway.adapters.oanda import parse_transactions
from sep_gateway.adapters.oanda.failures import RefusedError
from sep_gateway.domain.orders import MarketOrder, OrderResult, OrderState, PositionClose
from sep_gateway.domain.transactions import result_of

Json = dict[str, Any]

TAG = "sep"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRequest:
    """A request that trades.

    ``path`` is relative to the account; ``force`` sends it even while the circuit is open;
    ``prefix`` precedes the transaction names in the response. ``client_order_id`` is empty if the
    broker accepts none.
    """

    method: str
    endpoint: str
    path: str
    body: Json
    force: bool
    client_order_id: str = ""
    prefix: str = ""


def market_order_request(order: MarketOrder) -> TradeRequest:
    """The request of a market order."""
    extensions = _extensions(order.client_order_id)
    body: Json = {
        "type": "MARKET",
        "instrument": order.instrument,
        "units": format(order.units, "f"),
        "timeInForce": "FOK",
        "positionFill": "REDUCE_ONLY" if order.reduce_only else "DEFAULT",
        "clientExtensions": extensions,
    }
    if not order.reduce_only:
        body["tradeClientExtensions"] = extensions
    if order.price_bound is not None:
        body["priceBound"] = format(order.price_bound, "f")
    for field, price in (
        ("stopLossOnFill", order.stop_loss_price),
        ("takeProfitOnFill", order.take_profit_price),
    ):
        if price is not None:
            body[field] = {"price": format(price, "f"), "timeInForce": "GTC"}
    return TradeRequest(
        method="POST",
        endpoint="orders",
        path="orders",
        body={"order": body},
        # Reductions are sent even while the circuit is open.
        force=order.reduce_only,
        client_order_id=order.client_order_id,
    )


def position_close_request(close: PositionClose) -> TradeRequest:
    """The request that closes one whole side of a position."""
    side, other = ("long", "short") if close.long else ("short", "long")
    return TradeRequest(
        method="PUT",
        endpoint="positions/close",
        path=f"positions/{close.instrument}/close",
        body={
            f"{side}Units": "ALL",
            f"{other}Units": "NONE",
            f"{side}ClientExtensions": _extensions(close.client_order_id),
        },
        force=True,
        client_order_id=close.client_order_id,
        prefix=side,
    )


def trade_close_request(trade_id: int) -> TradeRequest:
    """The request that closes a whole trade."""
    return TradeRequest(
        method="PUT",
        endpoint="trades/close",
        path=f"trades/{trade_id}/close",
        body={"units": "ALL"},
        force=True,
    )


def created_result(request: TradeRequest, response: Json) -> OrderResult:
    """The result in a 200 or 201 response: filled, cancelled, or still pending.

    Raises:
        ValueError: the response contains none of them.
    """
    for name in ("orderFillTransaction", "orderCancelTransaction"):
        key = _prefixed(request.prefix, name)
        if key in response:
            transaction = parse_transactions.transaction(response[key])
            result = result_of(request.client_order_id, transaction)
            if result is not None:
                return result
    if _prefixed(request.prefix, "orderCreateTransaction") not in response:
        raise ValueError("no transaction in the response")
    return OrderResult(request.client_order_id, OrderState.PENDING)


def rejected_result(request: TradeRequest, error: RefusedError) -> OrderResult:
    """The result of a request that the broker refused with 400 or 404."""
    entry = error.body.get(_prefixed(request.prefix, "orderRejectTransaction"))
    if entry is None:
        # Refused before it became an order, such as an invalid body.
        reason = error.error_code or f"HTTP_{error.status}"
        return OrderResult(request.client_order_id, OrderState.REJECTED, reason)
    rejected = parse_transactions.transaction(entry)
    reason = rejected.reason or error.error_code
    return OrderResult(
        request.client_order_id, OrderState.REJECTED, reason, transaction_id=rejected.id
    )


def _extensions(client_order_id: str) -> Json:
    return {"id": client_order_id, "tag": TAG, "comment": "sent by the SEP gateway"}


def _prefixed(prefix: str, name: str) -> str:
    """``long`` and ``orderFillTransaction`` give ``longOrderFillTransaction``."""
    return prefix + name[0].upper() + name[1:] if prefix else name

"""Requests that trade, and the results in their responses."""

from dataclasses import dataclass, replace
from typing import Any

from sep_gateway.adapters.oanda import parse_transactions
from sep_gateway.adapters.oanda.failures import RefusedError
from sep_gateway.domain.orders import (
    MarketOrder,
    OrderResult,
    OrderState,
    PositionClose,
    TradeClose,
    TradeStop,
)
from sep_gateway.domain.transactions import OWN_TAG, result_of

Json = dict[str, Any]

# A trade that is gone has one reason, whichever request found out.
_GONE = {"NO_SUCH_TRADE": "TRADE_DOESNT_EXIST"}


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
        "positionFill": "REDUCE_ONLY" if order.reduce_only else "OPEN_ONLY",
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


def trade_close_request(close: TradeClose) -> TradeRequest:
    """The request that closes a trade, or a part of it."""
    return TradeRequest(
        method="PUT",
        endpoint="trades/close",
        path=f"trades/{close.trade_id}/close",
        body={"units": "ALL" if close.units is None else format(close.units, "f")},
        force=True,
        client_order_id=close.client_order_id,
    )


def trade_stop_request(stop: TradeStop) -> TradeRequest:
    """The request that gives a trade a stop loss in place of the one it has.

    The stop has neither id nor tag of its own, like one attached to an entry: its fill is not an
    order of this stack.
    """
    return TradeRequest(
        method="PUT",
        endpoint="trades/orders",
        path=f"trades/{stop.trade_id}/orders",
        body={
            "stopLoss": {
                "price": format(stop.price, "f"),
                "timeInForce": "GTC",
                "clientExtensions": {"comment": stop.client_order_id},
            }
        },
        force=True,
        client_order_id=stop.client_order_id,
    )


def created_result(request: TradeRequest, response: Json) -> OrderResult:
    """The result in a 200 or 201 response: filled, cancelled, or still pending.

    Raises:
        ValueError: the response contains none of them.
    """
    last = last_transaction(response)
    for name in ("orderFillTransaction", "orderCancelTransaction"):
        key = _prefixed(request.prefix, name)
        if key in response:
            transaction = parse_transactions.transaction(response[key])
            result = result_of(request.client_order_id, transaction)
            if result is not None:
                return replace(result, last_transaction_id=last)
    if _prefixed(request.prefix, "orderCreateTransaction") not in response:
        raise ValueError("no transaction in the response")
    return OrderResult(
        client_order_id=request.client_order_id, state=OrderState.PENDING, last_transaction_id=last
    )


def stop_result(request: TradeRequest, response: Json) -> OrderResult:
    """The result of a trade's new stop: PENDING, or what became of it at once.

    Raises:
        ValueError: the response contains no stop.
    """
    last = last_transaction(response)
    for name in ("stopLossOrderFillTransaction", "stopLossOrderCreatedCancelTransaction"):
        if name in response:
            transaction = parse_transactions.transaction(response[name])
            result = result_of(request.client_order_id, transaction)
            if result is not None:
                return replace(result, last_transaction_id=last)
    if "stopLossOrderTransaction" not in response:
        raise ValueError("no stop in the response")
    return OrderResult(
        client_order_id=request.client_order_id, state=OrderState.PENDING, last_transaction_id=last
    )


def rejected_result(request: TradeRequest, error: RefusedError) -> OrderResult:
    """The result of a request that the broker refused with a status of 400 to 404."""
    last = last_transaction(error.body)
    entry = next(
        (error.body[key] for key in _reject_names(request.prefix) if key in error.body), None
    )
    if entry is None:
        # Refused before it became an order, such as an invalid body.
        reason = _GONE.get(error.error_code, error.error_code) or f"HTTP_{error.status}"
        return OrderResult(
            client_order_id=request.client_order_id,
            state=OrderState.REJECTED,
            reason=reason,
            message=error.words,
            last_transaction_id=last,
        )
    rejected = parse_transactions.transaction(entry)
    return OrderResult(
        client_order_id=request.client_order_id,
        state=OrderState.REJECTED,
        reason=rejected.reason or error.error_code,
        transaction_id=rejected.id,
        message=error.words,
        last_transaction_id=last,
    )


def last_transaction(response: Json) -> int:
    """``lastTransactionID`` of a response; 0 if it has none that can be read."""
    text = str(response.get("lastTransactionID", ""))
    return int(text) if text.isascii() and text.isdigit() else 0


def _reject_names(prefix: str) -> tuple[str, ...]:
    return (_prefixed(prefix, "orderRejectTransaction"), "stopLossOrderRejectTransaction")


def _extensions(client_order_id: str) -> Json:
    return {"id": client_order_id, "tag": OWN_TAG, "comment": "sent by the SEP gateway"}


def _prefixed(prefix: str, name: str) -> str:
    """``long`` and ``orderFillTransaction`` give ``longOrderFillTransaction``."""
    return prefix + name[0].upper() + name[1:] if prefix else name

"""Parses the broker's transactions and orders."""

from decimal import Decimal
from typing import Any

from sep_gateway.adapters.oanda.parse import finite
from sep_gateway.domain.orders import OrderResult, OrderState
from sep_gateway.domain.transactions import Transaction

Json = dict[str, Any]

# Average prices are rounded to this; the broker's prices have at most five decimals.
_PRICE_DIGITS = Decimal("0.0000001")


def transaction(entry: Json) -> Transaction:
    """One transaction; fields that its type does not have stay empty."""
    extensions = entry.get("clientExtensions") or {}
    kind = str(entry["type"])
    # The reason of a creation (CLIENT_ORDER) carries no information.
    reason = entry.get("rejectReason") or entry.get("reason") or ""
    return Transaction(
        id=int(entry["id"]),
        type=kind,
        order_id=str(entry.get("orderID", "")),
        client_order_id=str(entry.get("clientOrderID") or extensions.get("id", "")),
        instrument=str(entry.get("instrument", "")),
        # Parsed only for fills: an unusual number elsewhere must not stop the ledger.
        units=finite(entry["units"]) if kind == "ORDER_FILL" else Decimal(0),
        price=fill_price(entry) if kind == "ORDER_FILL" else None,
        reason=str(reason),
    )


def fill_price(fill: Json) -> Decimal | None:
    """Average price of the trades that a fill opened, reduced and closed.

    The fill's own ``price`` is deprecated and wrong for a fill at several prices; it is used
    only if no trade is listed.
    """
    parts = [
        part
        for part in (
            fill.get("tradeOpened"),
            fill.get("tradeReduced"),
            *(fill.get("tradesClosed") or ()),
        )
        if part and "price" in part
    ]
    units = [abs(finite(part["units"])) for part in parts]
    total = sum(units, Decimal(0))
    if total == 0:
        return finite(fill["price"]) if "price" in fill else None
    prices = [finite(part["price"]) for part in parts]
    if len(set(prices)) == 1:
        return prices[0]
    cash = sum((p * u for p, u in zip(prices, units, strict=True)), Decimal(0))
    return (cash / total).quantize(_PRICE_DIGITS).normalize()


def pending_result(client_order_id: str, order: Json) -> OrderResult | None:
    """The result of an order that is still pending; None once it has ended."""
    if order["state"] in ("PENDING", "TRIGGERED"):
        return OrderResult(client_order_id, OrderState.PENDING)
    return None


def ending_transaction(order: Json) -> str:
    """Id of the transaction that filled or cancelled an order."""
    key = "fillingTransactionID" if order["state"] == "FILLED" else "cancellingTransactionID"
    return str(order[key])

"""The broker's transactions and orders as values."""

from decimal import Decimal
from typing import Any

from sep_gateway.adapters.oanda.parse import finite
from sep_gateway.domain.orders import OrderResult, OrderState
from sep_gateway.domain.transactions import Transaction

Json = dict[str, Any]

# A quotient of decimals is rounded here; the broker's prices have five at most.
_PRICE_DIGITS = Decimal("0.0000001")


def transaction(entry: Json) -> Transaction:
    """One transaction; what a type does not have stays empty."""
    extensions = entry.get("clientExtensions") or {}
    kind = str(entry["type"])
    # A creation's own reason says only that a client asked.
    reason = entry.get("rejectReason") or entry.get("reason") or ""
    return Transaction(
        id=int(entry["id"]),
        type=kind,
        order_id=str(entry.get("orderID", "")),
        client_order_id=str(entry.get("clientOrderID") or extensions.get("id", "")),
        instrument=str(entry.get("instrument", "")),
        # Read only where they matter: a number of an unusual kind must not stop the ledger.
        units=finite(entry["units"]) if kind == "ORDER_FILL" else Decimal(0),
        price=fill_price(entry) if kind == "ORDER_FILL" else None,
        reason=str(reason),
    )


def fill_price(fill: Json) -> Decimal | None:
    """Average price of the trades that a fill opened, reduced and closed.

    The fill's own ``price`` is deprecated and wrong for a fill of several prices; it is
    the last resort.
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


def unfinished_order(client_order_id: str, order: Json) -> OrderResult | None:
    """The result of an order that waits at the broker; None when it has ended."""
    if order["state"] in ("PENDING", "TRIGGERED"):
        return OrderResult(client_order_id, OrderState.PENDING)
    return None


def ending_transaction(order: Json) -> str:
    """Id of the transaction that filled or cancelled an order."""
    key = "fillingTransactionID" if order["state"] == "FILLED" else "cancellingTransactionID"
    return str(order[key])

"""Transactions of the account's ledger, and what they say about an order."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from sep_gateway.domain.orders import OrderResult, OrderState

DUPLICATE = "CLIENT_ORDER_ID_ALREADY_EXISTS"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One entry of the ledger; what its type does not have is empty.

    ``client_order_id`` is the id that the order was sent with, on its creation, reject,
    fill or cancel. ``units`` and ``price`` are those of a fill, the price being the
    average of the trades that it opened or closed.
    """

    id: int
    type: str
    order_id: str = ""
    client_order_id: str = ""
    instrument: str = ""
    units: Decimal = Decimal(0)
    price: Decimal | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """Transactions in id order; ``last_id`` is the newest of the account."""

    transactions: tuple[Transaction, ...]
    last_id: int


def result_of(client_order_id: str, transaction: Transaction) -> OrderResult | None:
    """What a fill, cancel or reject means for its order; None for any other type."""
    if transaction.type == "ORDER_FILL":
        return OrderResult(
            client_order_id,
            OrderState.FILLED,
            filled_units=transaction.units,
            fill_price=transaction.price,
            transaction_id=transaction.id,
        )
    if transaction.type == "ORDER_CANCEL":
        state = OrderState.CANCELLED
    elif transaction.type.endswith("_ORDER_REJECT"):
        state = OrderState.REJECTED
    else:
        return None
    return OrderResult(client_order_id, state, transaction.reason, transaction_id=transaction.id)


def fate_of(client_order_id: str, transactions: Iterable[Transaction]) -> OrderResult | None:
    """What became of an order, by the ledger; None when it does not appear there.

    A fill outweighs a cancel, a cancel an order that only waits, and that a reject. A
    reject as a duplicate tells that there is another order of this id, and no more.
    """
    found = list(transactions)
    created = {
        t.id: t for t in found if t.client_order_id == client_order_id and t.type.endswith("_ORDER")
    }
    about = [
        t
        for t in found
        if t.client_order_id == client_order_id or (t.order_id and int(t.order_id) in created)
    ]
    for wanted in ("ORDER_FILL", "ORDER_CANCEL"):
        for transaction in about:
            if transaction.type == wanted:
                return result_of(client_order_id, transaction)
    if created:
        return OrderResult(client_order_id, OrderState.PENDING)
    rejects = [t for t in about if t.type.endswith("_ORDER_REJECT")]
    for transaction in rejects:
        if transaction.reason != DUPLICATE:
            return result_of(client_order_id, transaction)
    if rejects:
        return OrderResult(client_order_id, OrderState.UNKNOWN, DUPLICATE)
    return None

"""Closes of trades by their id, which take no client order id of their own."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from sep_gateway.domain.orders import OrderResult, OrderState
from sep_gateway.domain.transactions import Transaction, result_of


def trade_close_claim(trade_id: str) -> str:
    """The claim of a trade's close: says that this stack closed it, or a part of it."""
    return f"close-trade-{trade_id}"


def closes_in_ledger(
    client_order_id: str, trade_id: int, units: Decimal | None, transactions: Iterable[Transaction]
) -> Iterator[OrderResult]:
    """Possible outcomes of a close among the transactions since it was claimed, oldest first.

    The ledger says which trade an order closes and how much of it, and not who asked for it.

    Args:
        units: how much of the trade was to be closed; None for all of it.
    """
    found = list(transactions)
    for order in found:
        if not _asks_for(order, str(trade_id), units):
            continue
        if order.type.endswith("_ORDER_REJECT"):
            ends = [order]
        else:
            ends = [t for t in found if t.order_id == str(order.id)]
        results = (result_of(client_order_id, end) for end in ends)
        ended = next((r for r in results if r is not None), None)
        yield ended or OrderResult(client_order_id=client_order_id, state=OrderState.PENDING)


def _asks_for(order: Transaction, trade_id: str, units: Decimal | None) -> bool:
    details = order.details
    if details.trade_close_id != trade_id or not order.type.startswith("MARKET_ORDER"):
        return False
    return details.trade_close_units == units

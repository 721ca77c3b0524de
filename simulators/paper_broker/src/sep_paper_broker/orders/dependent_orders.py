"""Stop losses and take profits: attaching, cancelling, trigger conditions."""

from dataclasses import dataclass, replace
from decimal import Decimal

from sep_paper_broker.account.book import Book
from sep_paper_broker.account.ledger import Change
from sep_paper_broker.account.trades import Trade
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.orders.order import (
    DependentOrder,
    OrderState,
    StopLossOrder,
    TakeProfitOrder,
)
from sep_paper_broker.orders.order_records import OrderCancel, StopLossCreated, TakeProfitCreated
from sep_paper_broker.orders.reasons import CancelReason, DependentOrderReason
from sep_paper_broker.orders.requests import StopLossDetails, TakeProfitDetails


def stop_price(trade: Trade, details: StopLossDetails) -> Decimal:
    """The price of a stop loss: as given, or the trade's price less or plus the distance.

    Raises:
        ValueError: the details have neither a price nor a distance.
    """
    if details.price is not None:
        return details.price
    if details.distance is None:
        raise ValueError("a stop loss needs a price or a distance")
    return trade.price - details.distance if trade.is_long else trade.price + details.distance


def is_triggered(order: DependentOrder, trade: Trade, quote: Quote) -> bool:
    """Whether a quote reaches the order: the bid for a long trade, the ask for a short one."""
    price = quote.closing_price(trade.current_units)
    below = isinstance(order, StopLossOrder) == trade.is_long
    return price <= order.price if below else price >= order.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The origin of a dependent order: a fill, a request, or an order that it replaces.

    Args:
        fill_id: the transaction of the fill that it was requested with.
        cancellation: the transaction that cancelled the order in whose place it stands.
        replaces_order_id: the id of that order.
    """

    reason: DependentOrderReason
    fill_id: str | None = None
    cancellation: Transaction | None = None
    replaces_order_id: str | None = None

    @property
    def cancelling_transaction_id(self) -> str | None:
        """The id of the cancellation."""
        return self.cancellation.id if self.cancellation else None


def attach(
    book: Book,
    change: Change,
    trade: Trade,
    details: TakeProfitDetails | StopLossDetails,
    origin: Origin,
) -> Transaction:
    """Attach a take profit or a stop loss to an open trade that has none.

    Raises:
        ValueError: a stop loss has neither a price nor a distance.
    """
    if isinstance(details, TakeProfitDetails):
        return _attach_take_profit(book, change, trade, details, origin)
    return _attach_stop_loss(book, change, trade, details, origin)


def _attach_take_profit(
    book: Book, change: Change, trade: Trade, details: TakeProfitDetails, origin: Origin
) -> Transaction:
    price = book.instruments[trade.instrument].round_price(details.price)
    transaction = book.ledger.record(
        change,
        TakeProfitCreated(
            trade_id=trade.id,
            client_trade_id=trade.client_id,
            price=price,
            time_in_force=details.time_in_force,
            client_extensions=details.client_extensions,
            reason=origin.reason,
            order_fill_transaction_id=origin.fill_id,
            replaces_order_id=origin.replaces_order_id,
            cancelling_transaction_id=origin.cancelling_transaction_id,
        ),
    )
    book.put_order(
        TakeProfitOrder(
            id=transaction.id,
            create_time=change.time,
            client_extensions=details.client_extensions,
            trade_id=trade.id,
            client_trade_id=trade.client_id,
            price=price,
            time_in_force=details.time_in_force,
            replaces_order_id=origin.replaces_order_id,
        )
    )
    book.put_trade(replace(book.trades[trade.id], take_profit_order_id=transaction.id))
    return transaction


def _attach_stop_loss(
    book: Book, change: Change, trade: Trade, details: StopLossDetails, origin: Origin
) -> Transaction:
    price = book.instruments[trade.instrument].round_price(stop_price(trade, details))
    transaction = book.ledger.record(
        change,
        StopLossCreated(
            trade_id=trade.id,
            client_trade_id=trade.client_id,
            price=price,
            distance=details.distance,
            time_in_force=details.time_in_force,
            client_extensions=details.client_extensions,
            reason=origin.reason,
            order_fill_transaction_id=origin.fill_id,
            replaces_order_id=origin.replaces_order_id,
            cancelling_transaction_id=origin.cancelling_transaction_id,
        ),
    )
    book.put_order(
        StopLossOrder(
            id=transaction.id,
            create_time=change.time,
            client_extensions=details.client_extensions,
            trade_id=trade.id,
            client_trade_id=trade.client_id,
            price=price,
            distance=details.distance,
            time_in_force=details.time_in_force,
            replaces_order_id=origin.replaces_order_id,
        )
    )
    book.put_trade(replace(book.trades[trade.id], stop_loss_order_id=transaction.id))
    return transaction


def cancel(
    book: Book,
    change: Change,
    order: DependentOrder,
    reason: CancelReason,
    replaced_by: str | None = None,
) -> Transaction:
    """Cancel a pending order and detach it from its trade."""
    transaction = book.ledger.record(
        change, OrderCancel(order.id, reason, order.client_id, replaced_by)
    )
    book.put_order(replace(order.cancelled(transaction), replaced_by_order_id=replaced_by))
    trade = book.trades[order.trade_id]
    if trade.stop_loss_order_id == order.id:
        book.put_trade(replace(trade, stop_loss_order_id=None))
    elif trade.take_profit_order_id == order.id:
        book.put_trade(replace(trade, take_profit_order_id=None))
    return transaction


def pending_of(book: Book, trade: Trade) -> list[DependentOrder]:
    """A trade's pending orders, stop loss first: if a quote reaches both, the worse one fills."""
    ids = (trade.stop_loss_order_id, trade.take_profit_order_id)
    orders = (book.orders[order_id] for order_id in ids if order_id is not None)
    return [
        order
        for order in orders
        if isinstance(order, StopLossOrder | TakeProfitOrder) and order.state is OrderState.PENDING
    ]

"""Client requests that change dependent orders and client extensions."""

from dataclasses import replace

from sep_paper_broker.account.book import Book
from sep_paper_broker.account.ledger import Change
from sep_paper_broker.account.trades import Trade
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.orders import dependent_orders, execution
from sep_paper_broker.orders.checks import (
    check_order_extensions,
    check_stop_loss,
    check_take_profit,
    check_trade_extensions,
)
from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.order import (
    DependentOrder,
    MarketOrder,
    OrderState,
    StopLossOrder,
    TakeProfitOrder,
)
from sep_paper_broker.orders.order_records import (
    OrderCancelReject,
    OrderClientExtensionsModify,
    OrderClientExtensionsModifyReject,
    StopLossRejected,
    TakeProfitRejected,
    TradeClientExtensionsModify,
    TradeClientExtensionsModifyReject,
)
from sep_paper_broker.orders.outcomes import ChangeOutcome, DependentOutcome, TradeOrdersOutcome
from sep_paper_broker.orders.reasons import CancelReason, DependentOrderReason, RejectReason
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    StopLossDetails,
    TakeProfitDetails,
    TradeOrdersRequest,
)

R = RejectReason


def set_trade_orders(
    book: Book, change: Change, trade: Trade, request: TradeOrdersRequest
) -> TradeOrdersOutcome:
    """Create, replace or cancel the dependent orders of an open trade.

    Both are validated before either is changed.
    """
    first = len(book.ledger)
    refused = _refusals(book, change, trade, request)
    if refused is not None:
        return replace(refused, related=book.ids_after(first))
    take_profit, stop_loss = DependentOutcome(), DependentOutcome()
    if "take_profit" in request.given:
        take_profit = _replace(book, change, trade, TakeProfitOrder, request.take_profit)
    if "stop_loss" in request.given:
        stop_loss = _replace(book, change, trade, StopLossOrder, request.stop_loss)
    fills = _trigger_at_once(book, trade)
    return TradeOrdersOutcome(
        book.ids_after(first), _with_fill(take_profit, fills), _with_fill(stop_loss, fills)
    )


def cancel_order(book: Book, change: Change, specifier: str) -> ChangeOutcome:
    """Cancel a pending order, by its id or ``@`` and its client id."""
    first = len(book.ledger)
    order = book.find_order(specifier)
    if order is None or isinstance(order, MarketOrder) or order.state is not OrderState.PENDING:
        body = OrderCancelReject(
            R.ORDER_DOESNT_EXIST,
            None if specifier.startswith("@") else specifier,
            specifier[1:] if specifier.startswith("@") else None,
        )
        reject = book.ledger.record(change, body)
        return ChangeOutcome(book.ids_after(first), reject=reject)
    done = dependent_orders.cancel(book, change, order, CancelReason.CLIENT_REQUEST)
    return ChangeOutcome(book.ids_after(first), done)


def set_order_extensions(
    book: Book,
    change: Change,
    specifier: str,
    extensions: ClientExtensions | None,
    trade_extensions: ClientExtensions | None,
) -> ChangeOutcome:
    """Change the client extensions of a pending order."""
    order = book.find_order(specifier)
    fault = _order_extensions_fault(book, order, extensions, trade_extensions)
    if fault is not None or order is None:
        body = OrderClientExtensionsModifyReject(
            fault or R.ORDER_DOESNT_EXIST,
            order.id if order else None,
            order.client_id if order else None,
            extensions,
            trade_extensions,
        )
        reject = book.ledger.record(change, body)
        return ChangeOutcome((reject.id,), reject=reject)
    done = book.ledger.record(
        change,
        OrderClientExtensionsModify(order.id, order.client_id, extensions, trade_extensions),
    )
    if extensions is not None:
        book.put_order(
            replace(order, client_extensions=_merged(order.client_extensions, extensions))
        )
    return ChangeOutcome((done.id,), done)


def set_trade_extensions(
    book: Book, change: Change, trade: Trade, extensions: ClientExtensions
) -> ChangeOutcome:
    """Change the client extensions of a trade."""
    if extensions == ClientExtensions():
        fault: RejectReason | None = R.CLIENT_EXTENSIONS_DATA_MISSING
    else:
        own = replace(extensions, id=None) if extensions.id == trade.client_id else extensions
        fault = check_trade_extensions(book, own)
    if fault is not None:
        body = TradeClientExtensionsModifyReject(fault, trade.id, trade.client_id, extensions)
        reject = book.ledger.record(change, body)
        return ChangeOutcome((reject.id,), reject=reject)
    done = book.ledger.record(
        change, TradeClientExtensionsModify(trade.id, trade.client_id, extensions)
    )
    book.put_trade(replace(trade, client_extensions=_merged(trade.client_extensions, extensions)))
    return ChangeOutcome((done.id,), done)


def _refusals(
    book: Book, change: Change, trade: Trade, request: TradeOrdersRequest
) -> TradeOrdersOutcome | None:
    instrument = book.instruments[trade.instrument]
    take_profit = stop_loss = None
    reason = DependentOrderReason.CLIENT_ORDER
    if (wanted := request.take_profit) is not None:
        fault = check_take_profit(book, instrument, wanted)
        if fault is not None:
            take_profit = book.ledger.record(
                change,
                TakeProfitRejected(
                    trade_id=trade.id,
                    price=wanted.price,
                    reason=reason,
                    time_in_force=wanted.time_in_force,
                    client_extensions=wanted.client_extensions,
                    reject_reason=fault,
                ),
            )
    if (stop := request.stop_loss) is not None:
        fault = check_stop_loss(book, instrument, stop)
        if fault is not None:
            stop_loss = book.ledger.record(
                change,
                StopLossRejected(
                    trade_id=trade.id,
                    price=stop.price,
                    distance=stop.distance,
                    reason=reason,
                    time_in_force=stop.time_in_force,
                    guaranteed=stop.guaranteed,
                    client_extensions=stop.client_extensions,
                    reject_reason=fault,
                ),
            )
    if take_profit is None and stop_loss is None:
        return None
    return TradeOrdersOutcome(
        (), DependentOutcome(reject=take_profit), DependentOutcome(reject=stop_loss)
    )


def _replace(
    book: Book,
    change: Change,
    trade: Trade,
    kind: type[DependentOrder],
    details: TakeProfitDetails | StopLossDetails | None,
) -> DependentOutcome:
    """Cancel the trade's pending order of this kind, and attach a new one unless None."""
    old = _pending(book, trade, kind)
    cancelled = _cancel_old(book, change, old, replaced=details is not None)
    if details is None:
        return DependentOutcome(cancelled)
    origin = dependent_orders.Origin(
        reason=_reason(old), cancellation=cancelled, replaces_order_id=old.id if old else None
    )
    created = dependent_orders.attach(book, change, trade, details, origin)
    return DependentOutcome(cancelled, created)


def _pending(book: Book, trade: Trade, kind: type[DependentOrder]) -> DependentOrder | None:
    orders = dependent_orders.pending_of(book, book.trades[trade.id])
    return next((order for order in orders if isinstance(order, kind)), None)


def _cancel_old(
    book: Book, change: Change, old: DependentOrder | None, *, replaced: bool
) -> Transaction | None:
    if old is None:
        return None
    if not replaced:
        return dependent_orders.cancel(book, change, old, CancelReason.CLIENT_REQUEST)
    # The transaction of the new order follows that of the cancellation.
    successor = str(len(book.ledger) + 2)
    reason = CancelReason.CLIENT_REQUEST_REPLACED
    return dependent_orders.cancel(book, change, old, reason, successor)


def _reason(old: DependentOrder | None) -> DependentOrderReason:
    return DependentOrderReason.CLIENT_ORDER if old is None else DependentOrderReason.REPLACEMENT


def _trigger_at_once(book: Book, trade: Trade) -> list[Transaction]:
    quote = book.tradeable_quote(trade.instrument)
    return [] if quote is None else execution.trigger(book, quote)


def _with_fill(outcome: DependentOutcome, fills: list[Transaction]) -> DependentOutcome:
    created = outcome.create
    for fill in fills:
        body = fill.body
        if created is not None and isinstance(body, OrderFill) and body.order_id == created.id:
            return replace(outcome, fill=fill)
    return outcome


def _order_extensions_fault(
    book: Book,
    order: MarketOrder | DependentOrder | None,
    extensions: ClientExtensions | None,
    trade_extensions: ClientExtensions | None,
) -> RejectReason | None:
    if order is None or order.state is not OrderState.PENDING:
        return R.ORDER_DOESNT_EXIST
    if extensions is None and trade_extensions is None:
        return R.CLIENT_EXTENSIONS_DATA_MISSING
    if extensions is not None and extensions.id == order.client_id:
        extensions = replace(extensions, id=None)
    return check_order_extensions(book, extensions) or check_trade_extensions(
        book, trade_extensions
    )


def _merged(old: ClientExtensions | None, new: ClientExtensions) -> ClientExtensions:
    if old is None:
        return new
    return ClientExtensions(
        new.id if new.id is not None else old.id,
        new.tag if new.tag is not None else old.tag,
        new.comment if new.comment is not None else old.comment,
    )

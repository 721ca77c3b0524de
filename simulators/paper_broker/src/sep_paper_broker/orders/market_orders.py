"""Market orders: validated, created, then filled or cancelled immediately."""

from dataclasses import fields
from typing import Any

from sep_paper_broker.account.book import Book
from sep_paper_broker.account.ledger import Change
from sep_paper_broker.account.trades import ZERO, Trade
from sep_paper_broker.orders import execution
from sep_paper_broker.orders.checks import check_market_order
from sep_paper_broker.orders.dependent_orders import stop_price
from sep_paper_broker.orders.execution import PricedFill
from sep_paper_broker.orders.fill_plan import FillPlan, plan_fill
from sep_paper_broker.orders.order import MarketOrder
from sep_paper_broker.orders.order_records import (
    MarketOrderCreated,
    MarketOrderRejected,
    MarketOrderTerms,
)
from sep_paper_broker.orders.outcomes import OrderOutcome
from sep_paper_broker.orders.reasons import CancelReason, MarketOrderReason, RejectReason
from sep_paper_broker.orders.requests import ClientExtensions, MarketOrderRequest


def submit(
    book: Book, change: Change, request: MarketOrderRequest, *, margin_refused: bool = False
) -> OrderOutcome:
    """Execute a client's market order.

    Args:
        margin_refused: cancel an order that opens a trade for insufficient margin.
    """
    terms = MarketOrderTerms(
        instrument=request.instrument,
        units=request.units,
        time_in_force=request.time_in_force,
        position_fill=request.position_fill,
        reason=MarketOrderReason.CLIENT_ORDER,
        price_bound=request.price_bound,
        client_extensions=request.client_extensions,
        take_profit_on_fill=request.take_profit_on_fill,
        stop_loss_on_fill=request.stop_loss_on_fill,
        trade_client_extensions=request.trade_client_extensions,
    )
    refused = check_market_order(book, request)
    if refused is not None:
        return reject(book, change, terms, refused)
    trades = book.open_trades(request.instrument)
    plan = plan_fill(trades, request.units, request.position_fill, request.time_in_force)
    return execute_market_order(book, change, terms, plan, margin_refused=margin_refused)


def execute_market_order(
    book: Book,
    change: Change,
    terms: MarketOrderTerms,
    plan: FillPlan | CancelReason,
    *,
    margin_refused: bool = False,
) -> OrderOutcome:
    """Create the order, then fill or cancel it."""
    first = len(book.ledger)
    body = MarketOrderCreated(**_fields(terms))
    create = book.ledger.record(change, body)
    order = MarketOrder(
        id=create.id,
        create_time=change.time,
        client_extensions=body.client_extensions,
        instrument=body.instrument,
        units=body.units,
        time_in_force=body.time_in_force,
        position_fill=body.position_fill,
        price_bound=body.price_bound,
        trade_close=body.trade_close,
        long_position_closeout=body.long_position_closeout,
        short_position_closeout=body.short_position_closeout,
        margin_closeout=body.margin_closeout,
        take_profit_on_fill=body.take_profit_on_fill,
        stop_loss_on_fill=body.stop_loss_on_fill,
        trade_client_extensions=body.trade_client_extensions,
    )
    book.put_order(order)
    decision = _price_or_cancel(book, order, plan, margin_refused=margin_refused)
    if isinstance(decision, CancelReason):
        cancel = execution.cancel_market_order(book, change, order, decision)
        return OrderOutcome(book.ids_after(first), create, cancel=cancel)
    fill = execution.fill(book, change, order, decision, body.reason.fill_reason)
    return OrderOutcome(book.ids_after(first), create, fill=fill)


def reject(
    book: Book, change: Change, terms: MarketOrderTerms, reason: RejectReason
) -> OrderOutcome:
    """Record a rejected market order."""
    body = MarketOrderRejected(reject_reason=reason, **_fields(terms))
    transaction = book.ledger.record(change, body)
    return OrderOutcome((transaction.id,), reject=transaction)


def _price_or_cancel(
    book: Book, order: MarketOrder, plan: FillPlan | CancelReason, *, margin_refused: bool
) -> PricedFill | CancelReason:
    quote = book.tradeable_quote(order.instrument)
    if quote is None:
        return CancelReason.MARKET_HALTED
    if isinstance(plan, CancelReason):
        return plan
    priced = execution.price_fill(book, plan, quote)
    if order.price_bound is not None:
        beyond = priced.price - order.price_bound
        if (beyond if order.units > 0 else -beyond) > 0:
            return CancelReason.BOUNDS_VIOLATION
    if plan.opened:
        if (fault := _check_on_fill(book, order, priced)) is not None:
            return fault
        if margin_refused or not execution.margin_suffices(book, priced):
            return CancelReason.INSUFFICIENT_MARGIN
    return priced


def _check_on_fill(book: Book, order: MarketOrder, priced: PricedFill) -> CancelReason | None:
    """The reason to cancel an order whose stop loss or take profit would fill immediately."""
    long = order.units > 0
    closing = priced.quote.closing_price(order.units)
    take_profit, stop_loss = order.take_profit_on_fill, order.stop_loss_on_fill
    if take_profit is not None:
        price = take_profit.price
        if price <= closing if long else price >= closing:
            return CancelReason.TAKE_PROFIT_ON_FILL_LOSS
        if _client_id_taken(book, take_profit.client_extensions):
            return CancelReason.TAKE_PROFIT_ON_FILL_CLIENT_ORDER_ID_ALREADY_EXISTS
    if stop_loss is not None:
        opened = Trade(
            id="",
            instrument=order.instrument,
            price=priced.price,
            open_time=0,
            initial_units=priced.plan.opened,
            current_units=priced.plan.opened,
            initial_margin_required=ZERO,
        )
        price = stop_price(opened, stop_loss)
        if price >= closing if long else price <= closing:
            return CancelReason.STOP_LOSS_ON_FILL_LOSS
        if _client_id_taken(book, stop_loss.client_extensions):
            return CancelReason.STOP_LOSS_ON_FILL_CLIENT_ORDER_ID_ALREADY_EXISTS
    return None


def _client_id_taken(book: Book, extensions: ClientExtensions | None) -> bool:
    if extensions is None or extensions.id is None:
        return False
    return book.order_client_id_taken(extensions.id)


def _fields(terms: MarketOrderTerms) -> dict[str, Any]:
    return {field.name: getattr(terms, field.name) for field in fields(terms)}

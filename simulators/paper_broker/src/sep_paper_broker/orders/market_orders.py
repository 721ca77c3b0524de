"""Market orders: validated, created, then filled or cancelled immediately."""

from dataclasses import fields, replace
from typing import Any

from sep_paper_broker.account.book import Book
from sep_paper_broker.account.ledger import Change
from sep_paper_broker.account.trades import ZERO, Trade
from sep_paper_broker.orders import execution
from sep_paper_broker.orders.checks import check_market_order
from sep_paper_broker.orders.conditions import NORMAL, OrderConditions
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
from sep_paper_broker.orders.requests import ClientExtensions, MarketOrderRequest, TimeInForce


def submit(
    book: Book,
    change: Change,
    request: MarketOrderRequest,
    conditions: OrderConditions = NORMAL,
) -> OrderOutcome:
    """Execute a client's market order."""
    refused = check_market_order(book, request)
    if book.profile.mt4_account_id is not None:
        request = _with_mt4_extensions(book, request)
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
    if refused is not None:
        return reject(book, change, terms, refused)
    plan = plan_fill(
        book.open_trades(request.instrument),
        request.units,
        request.position_fill,
        request.time_in_force,
        hedging=book.profile.hedging_enabled,
    )
    opens = isinstance(plan, FillPlan) and bool(plan.opened)
    if opens and conditions.reject_opening is not None:
        return reject(book, change, terms, conditions.reject_opening)
    return execute_market_order(book, change, terms, plan, conditions)


def execute_market_order(
    book: Book,
    change: Change,
    terms: MarketOrderTerms,
    plan: FillPlan | CancelReason,
    conditions: OrderConditions = NORMAL,
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
    decision = _price_or_cancel(book, order, plan, conditions)
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
    book: Book,
    order: MarketOrder,
    plan: FillPlan | CancelReason,
    conditions: OrderConditions,
) -> PricedFill | CancelReason:
    quote = book.tradeable_quote(order.instrument)
    if quote is None:
        return CancelReason.MARKET_HALTED
    plan = _within_conditions(book, order, plan, conditions)
    if isinstance(plan, CancelReason):
        return plan
    priced = execution.price_fill(book, plan, quote.worse_by(conditions.slippage, order.units))
    fault = _check_bound(order, priced) or _check_opening(book, order, priced, conditions)
    return fault or priced


def _within_conditions(
    book: Book,
    order: MarketOrder,
    plan: FillPlan | CancelReason,
    conditions: OrderConditions,
) -> FillPlan | CancelReason:
    """The plan limited to the available liquidity, or the reason to cancel the order."""
    if isinstance(plan, CancelReason):
        return plan
    if conditions.oldest_first and not _closes_oldest(book, order, plan):
        return CancelReason.FIFO_VIOLATION
    if conditions.liquidity is None or abs(plan.units) <= conditions.liquidity:
        return plan
    if order.time_in_force is TimeInForce.IOC and conditions.liquidity:
        return plan.limited_to(conditions.liquidity)
    return CancelReason.INSUFFICIENT_LIQUIDITY


def _check_bound(order: MarketOrder, priced: PricedFill) -> CancelReason | None:
    if order.price_bound is None:
        return None
    beyond = priced.price - order.price_bound
    violated = (beyond if order.units > 0 else -beyond) > 0
    return CancelReason.BOUNDS_VIOLATION if violated else None


def _check_opening(
    book: Book, order: MarketOrder, priced: PricedFill, conditions: OrderConditions
) -> CancelReason | None:
    """The reason to cancel an order that opens a trade; None for one that only reduces."""
    if not priced.plan.opened:
        return None
    if (fault := _check_on_fill(book, order, priced)) is not None:
        return fault
    if conditions.cancel_opening is not None:
        return conditions.cancel_opening
    return None if execution.margin_suffices(book, priced) else CancelReason.INSUFFICIENT_MARGIN


def _closes_oldest(book: Book, order: MarketOrder, plan: FillPlan) -> bool:
    """Whether a close of a trade closes the oldest one of the instrument; True for other orders."""
    if order.trade_close is None:
        return True
    oldest = book.open_trades(order.instrument)[0]
    return all(reduction.trade.id == oldest.id for reduction in plan.reductions)


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


def _with_mt4_extensions(book: Book, request: MarketOrderRequest) -> MarketOrderRequest:
    """The request with MetaTrader's client extensions: a ticket number and the tag 0."""
    ticket = ClientExtensions(id=str(len(book.ledger) + 1), tag="0")
    return replace(request, client_extensions=ticket, trade_client_extensions=ticket)


def _client_id_taken(book: Book, extensions: ClientExtensions | None) -> bool:
    if extensions is None or extensions.id is None:
        return False
    return book.order_client_id_taken(extensions.id)


def _fields(terms: MarketOrderTerms) -> dict[str, Any]:
    return {field.name: getattr(terms, field.name) for field in fields(terms)}

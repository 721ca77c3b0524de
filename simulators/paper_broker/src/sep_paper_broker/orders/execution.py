"""Execution of fills: their effect on trades, balance and ledger."""

from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.account.book import Book
from sep_paper_broker.account.conversion import ConversionFactors, cash
from sep_paper_broker.account.ledger import Change
from sep_paper_broker.account.margin import Holding, Valuation, value_of
from sep_paper_broker.account.trades import ZERO, Trade, TradeState
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.orders import dependent_orders
from sep_paper_broker.orders.fill_plan import FillPlan, Reduction
from sep_paper_broker.orders.fill_records import (
    FullPrice,
    OrderFill,
    PriceLevel,
    TradeOpen,
    TradeReduce,
)
from sep_paper_broker.orders.order import MarketOrder, Order
from sep_paper_broker.orders.order_records import OrderCancel
from sep_paper_broker.orders.reasons import CancelReason, DependentOrderReason, FillReason

LIQUIDITY = 10_000_000
_NOTHING = Decimal("0.0000")


@dataclass(frozen=True, slots=True)
class PricedFill:
    """A fill plan with the quote and the conversion factors it executes at."""

    plan: FillPlan
    quote: Quote
    factors: ConversionFactors

    @property
    def price(self) -> Decimal:
        """The price of the fill."""
        return self.quote.dealing_price(self.plan.units)

    def result_of(self, reduction: Reduction) -> Decimal:
        """The realised profit or loss of a reduction, in home currency."""
        gained = (reduction.trade.price - self.price) * reduction.units
        return self.factors.of_result(gained)

    def half_spread_cost(self, units: Decimal) -> Decimal:
        """The cost of half the spread on the units, in home currency."""
        half = (self.quote.ask - self.quote.bid) / 2
        return cash(abs(units) * half * self.factors.value)


def price_fill(book: Book, plan: FillPlan, quote: Quote) -> PricedFill:
    """Price a plan at a quote.

    Raises:
        NoConversionError: no quote converts the quote currency.
    """
    currency = book.instruments[quote.instrument].quote
    return PricedFill(plan, quote, book.conversion.factors(currency))


def margin_suffices(book: Book, priced: PricedFill) -> bool:
    """Whether margin used would not exceed NAV after the fill.

    Only fills that open a trade need margin; a reduction always passes.
    """
    if not priced.plan.opened:
        return True
    instrument = priced.quote.instrument
    touched = {reduction.trade.id for reduction in priced.plan.reductions}
    held = book.value_of_trades(t for t in book.open_trades() if t.id not in touched)
    rate = book.margin_rate_of(instrument)
    opened = Holding(
        units=priced.plan.opened, price=priced.price, margin_rate=rate, quote=priced.quote
    )
    held += value_of(opened, book.conversion)
    for reduction in priced.plan.reductions:
        # Only the last reduction can leave units open, and then nothing is opened.
        left = reduction.trade.current_units + reduction.units
        if left:
            held += value_of(book.holding(instrument, left, reduction.trade.price), book.conversion)
    realized = sum((priced.result_of(r) for r in priced.plan.reductions), ZERO)
    after = Valuation.of(book.balance + realized, held)
    return after.margin_used <= after.nav


def fill(
    book: Book, change: Change, order: Order, priced: PricedFill, reason: FillReason
) -> Transaction:
    """Fill an order.

    Reduces or closes trades, opens a trade with the remaining units, cancels the dependent orders
    of closed trades and attaches those requested on fill.
    """
    fill_id = str(len(book.ledger) + 1)
    reduced = [_trade_reduce_record(priced, reduction) for reduction in priced.plan.reductions]
    closes = [not (r.trade.current_units + r.units) for r in priced.plan.reductions]
    realized = sum((r.realized_pl for r in reduced), _NOTHING)
    balance = book.balance + realized
    opened = _trade_open_record(book, order, priced, fill_id) if priced.plan.opened else None
    body = OrderFill(
        order_id=order.id,
        client_order_id=order.client_id,
        instrument=priced.quote.instrument,
        units=priced.plan.units,
        gain_quote_home_conversion_factor=priced.factors.gain,
        loss_quote_home_conversion_factor=priced.factors.loss,
        price=priced.price,
        full_vwap=priced.price,
        full_price=_full_price(priced.quote),
        reason=reason,
        pl=realized,
        financing=_NOTHING,
        commission=_NOTHING,
        guaranteed_execution_fee=_NOTHING,
        account_balance=balance,
        half_spread_cost=priced.half_spread_cost(priced.plan.units),
        trade_opened=opened,
        trades_closed=tuple(r for r, c in zip(reduced, closes, strict=True) if c) or None,
        trade_reduced=next((r for r, c in zip(reduced, closes, strict=True) if not c), None),
    )
    transaction = book.ledger.record(change, body)
    book.balance = balance
    book.pl += realized
    book.last_fill_time = change.time
    book.put_order(order.filled(transaction, body))
    for reduction, result in zip(priced.plan.reductions, reduced, strict=True):
        _apply_reduction(book, change, transaction, reduction, result)
    if opened is not None:
        _open_trade(book, change, order, priced, opened)
    return transaction


def cancel_market_order(
    book: Book, change: Change, order: MarketOrder, reason: CancelReason
) -> Transaction:
    """Cancel a market order."""
    transaction = book.ledger.record(change, OrderCancel(order.id, reason, order.client_id))
    book.put_order(order.cancelled(transaction))
    return transaction


def trigger(book: Book, quote: Quote) -> list[Transaction]:
    """Fill the dependent orders that a tradeable quote reaches. Returns the fills in order."""
    fills: list[Transaction] = []
    for trade in book.open_trades(quote.instrument):
        for order in dependent_orders.pending_of(book, trade):
            if not dependent_orders.is_triggered(order, trade, quote):
                continue
            change = book.ledger.begin(quote.time_ns)
            plan = FillPlan((Reduction(trade, -trade.current_units),))
            reason = FillReason(f"{order.type}_ORDER")
            dealt = quote
            if reason is FillReason.STOP_LOSS_ORDER and (slip := book.stop_slippage(quote)):
                dealt = quote.worse_by(slip, plan.units)
            fills.append(fill(book, change, order, price_fill(book, plan, dealt), reason))
            break
    return fills


def _trade_reduce_record(priced: PricedFill, reduction: Reduction) -> TradeReduce:
    return TradeReduce(
        trade_id=reduction.trade.id,
        units=reduction.units,
        price=priced.price,
        realized_pl=priced.result_of(reduction),
        financing=_NOTHING,
        guaranteed_execution_fee=_NOTHING,
        half_spread_cost=priced.half_spread_cost(reduction.units),
    )


def _trade_open_record(book: Book, order: Order, priced: PricedFill, trade_id: str) -> TradeOpen:
    rate = book.margin_rate_of(priced.quote.instrument)
    holding = Holding(
        units=priced.plan.opened, price=priced.price, margin_rate=rate, quote=priced.quote
    )
    return TradeOpen(
        trade_id=trade_id,
        units=priced.plan.opened,
        price=priced.price,
        guaranteed_execution_fee=_NOTHING,
        half_spread_cost=priced.half_spread_cost(priced.plan.opened),
        initial_margin_required=value_of(holding, book.conversion).margin_used,
        client_extensions=(
            order.trade_client_extensions if isinstance(order, MarketOrder) else None
        ),
    )


def _apply_reduction(
    book: Book, change: Change, fill: Transaction, reduction: Reduction, result: TradeReduce
) -> None:
    trade = reduction.trade
    pending = dependent_orders.pending_of(book, trade)
    left = trade.reduced(reduction.units, result.price, result.realized_pl, fill.id, change.time)
    book.put_trade(left)
    tally = book.tally(trade.instrument)
    book.tallies[trade.instrument] = tally.with_pl(result.realized_pl, long=trade.is_long)
    if left.state is TradeState.CLOSED:
        for order in pending:
            dependent_orders.cancel(book, change, order, CancelReason.LINKED_TRADE_CLOSED)


def _open_trade(
    book: Book, change: Change, order: Order, priced: PricedFill, opened: TradeOpen
) -> None:
    trade = Trade(
        id=opened.trade_id,
        instrument=priced.quote.instrument,
        price=opened.price,
        open_time=change.time,
        initial_units=opened.units,
        current_units=opened.units,
        initial_margin_required=opened.initial_margin_required,
        client_extensions=opened.client_extensions,
    )
    book.put_trade(trade)
    if not isinstance(order, MarketOrder):
        return
    origin = dependent_orders.Origin(reason=DependentOrderReason.ON_FILL, fill_id=trade.id)
    for details in (order.take_profit_on_fill, order.stop_loss_on_fill):
        if details is not None:
            dependent_orders.attach(book, change, trade, details, origin)


def _full_price(quote: Quote) -> FullPrice:
    return FullPrice(
        instrument=quote.instrument,
        time=quote.time_ns,
        tradeable=quote.tradeable,
        bids=(PriceLevel(price=quote.bid, liquidity=LIQUIDITY),),
        asks=(PriceLevel(price=quote.ask, liquidity=LIQUIDITY),),
        closeout_bid=quote.bid,
        closeout_ask=quote.ask,
    )

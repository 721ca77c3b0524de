"""Closing of trades and positions with reduce-only market orders."""

from decimal import Decimal

from sep_paper_broker.account.book import Book
from sep_paper_broker.account.ledger import Change
from sep_paper_broker.account.trades import ZERO, TradeState
from sep_paper_broker.orders.checks import check_order_extensions
from sep_paper_broker.orders.conditions import NORMAL, OrderConditions
from sep_paper_broker.orders.fill_plan import FillPlan, Reduction, plan_fill
from sep_paper_broker.orders.market_orders import execute_market_order, reject
from sep_paper_broker.orders.order_records import (
    MarginCloseout,
    MarketOrderTerms,
    PositionCloseout,
    TradeClose,
)
from sep_paper_broker.orders.outcomes import CloseoutOutcome, OrderOutcome
from sep_paper_broker.orders.reasons import MarketOrderReason, RejectReason
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    CloseAmount,
    CloseUnits,
    PositionFill,
    SideClose,
    TimeInForce,
)


def close_trade(
    book: Book,
    change: Change,
    specifier: str,
    units: CloseUnits,
    conditions: OrderConditions = NORMAL,
) -> OrderOutcome:
    """Close all units of a trade, or a positive number of them."""
    trade = book.find_trade(specifier)
    exists = trade is not None and trade.state is TradeState.OPEN
    size = abs(trade.current_units) if trade is not None and exists else ZERO
    taken = size if isinstance(units, CloseAmount) else units
    signed = taken if trade is None or not trade.is_long else -taken
    terms = _closing_terms(
        trade.instrument if trade is not None else "",
        signed,
        MarketOrderReason.TRADE_CLOSE,
        trade_close=TradeClose(
            trade.id if trade is not None else specifier,
            str(units),
            trade.client_id if trade is not None else None,
        ),
    )
    if trade is None or not exists:
        return reject(book, change, terms, RejectReason.TRADE_DOESNT_EXIST)
    if (refused := _check_close(book, trade.instrument, taken)) is not None:
        return reject(book, change, terms, refused)
    if taken > size:
        refused = RejectReason.CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE
        return reject(book, change, terms, refused)
    plan = FillPlan((Reduction(trade, signed),))
    return execute_market_order(book, change, terms, plan, conditions)


def close_position(
    book: Book,
    change: Change,
    instrument: str,
    long_side: SideClose,
    short_side: SideClose,
    conditions: OrderConditions = NORMAL,
) -> CloseoutOutcome:
    """Close sides of a position, oldest trades first. One invalid side rejects the request."""
    first = len(book.ledger)
    sides = {True: long_side, False: short_side}
    faults = {
        long: _check_side(book, instrument, side, long=long)
        for long, side in sides.items()
        if side.units is not CloseAmount.NONE
    }
    refused = any(faults.values())
    outcomes: dict[bool, OrderOutcome] = {}
    for long, side in sides.items():
        if long not in faults:
            continue
        fault = faults[long]
        terms = _closeout_terms(book, instrument, side, long=long)
        if refused:
            if fault is not None:
                outcomes[long] = reject(book, change, terms, fault)
            continue
        trades = book.open_trades(instrument)
        plan = plan_fill(trades, terms.units, PositionFill.REDUCE_ONLY, TimeInForce.FOK)
        outcomes[long] = execute_market_order(book, change, terms, plan, conditions)
    return CloseoutOutcome(book.ids_after(first), outcomes.get(True), outcomes.get(False))


def close_out(book: Book, change: Change) -> list[OrderOutcome]:
    """Close every trade of a tradeable instrument: the margin closeout."""
    outcomes = []
    for trade in book.open_trades():
        if book.tradeable_quote(trade.instrument) is None:
            continue
        terms = _closing_terms(
            trade.instrument,
            -trade.current_units,
            MarketOrderReason.MARGIN_CLOSEOUT,
            margin_closeout=MarginCloseout(),
        )
        plan = FillPlan((Reduction(trade, -trade.current_units),))
        outcomes.append(execute_market_order(book, change, terms, plan))
    return outcomes


def _check_close(book: Book, instrument: str, units: Decimal) -> RejectReason | None:
    if units <= 0:
        return RejectReason.UNITS_INVALID
    if units != book.instruments[instrument].round_units(units):
        return RejectReason.UNITS_PRECISION_EXCEEDED
    return None


def _check_side(
    book: Book,
    instrument: str,
    side: SideClose,
    *,
    long: bool,
) -> RejectReason | None:
    units = side.units
    size = book.side_units(instrument, long=long)
    if not size:
        return RejectReason.CLOSEOUT_POSITION_DOESNT_EXIST
    if not isinstance(units, CloseAmount):
        if (fault := _check_close(book, instrument, units)) is not None:
            return fault
        if units > size:
            return RejectReason.CLOSEOUT_POSITION_UNITS_EXCEED_POSITION_SIZE
    return check_order_extensions(book, side.client_extensions)


def _closeout_terms(
    book: Book,
    instrument: str,
    side: SideClose,
    *,
    long: bool,
) -> MarketOrderTerms:
    units = side.units
    size = book.side_units(instrument, long=long)
    taken = size if isinstance(units, CloseAmount) else units
    closeout = PositionCloseout(instrument, str(units))
    return _closing_terms(
        instrument,
        -taken if long else taken,
        MarketOrderReason.POSITION_CLOSEOUT,
        long_position_closeout=closeout if long else None,
        short_position_closeout=None if long else closeout,
        client_extensions=side.client_extensions,
    )


def _closing_terms(
    instrument: str,
    units: Decimal,
    reason: MarketOrderReason,
    *,
    trade_close: TradeClose | None = None,
    long_position_closeout: PositionCloseout | None = None,
    short_position_closeout: PositionCloseout | None = None,
    margin_closeout: MarginCloseout | None = None,
    client_extensions: ClientExtensions | None = None,
) -> MarketOrderTerms:
    return MarketOrderTerms(
        instrument=instrument,
        units=units,
        time_in_force=TimeInForce.FOK,
        position_fill=PositionFill.REDUCE_ONLY,
        reason=reason,
        trade_close=trade_close,
        long_position_closeout=long_position_closeout,
        short_position_closeout=short_position_closeout,
        margin_closeout=margin_closeout,
        client_extensions=client_extensions,
    )

"""JSON of accounts, trades, positions and instruments."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sep_paper_broker.account.account import Account
from sep_paper_broker.account.book import Book
from sep_paper_broker.account.conversion import cash
from sep_paper_broker.account.margin import HoldingValue
from sep_paper_broker.account.trades import ZERO, Trade, TradeState
from sep_paper_broker.codec import TimeFormat, encode
from sep_paper_broker.market.instruments import Listing
from sep_paper_broker.orders.order import StopLossOrder, TakeProfitOrder

Json = dict[str, Any]


def money(amount: Decimal) -> str:
    """An amount of money with four decimals."""
    return format(cash(amount), "f")


def instrument(listing: Listing) -> Json:
    """The JSON of an instrument."""
    listed = listing.instrument
    precision = listed.display_precision
    return {
        "name": listed.name,
        "type": "CURRENCY",
        "displayName": listed.name.replace("_", "/"),
        "pipLocation": listing.pip_location,
        "displayPrecision": precision,
        "tradeUnitsPrecision": listed.trade_units_precision,
        "minimumTradeSize": format(listed.minimum_trade_size, "f"),
        "maximumTrailingStopDistance": format(Decimal(10_000).scaleb(-precision), "f"),
        "minimumTrailingStopDistance": format(Decimal(50).scaleb(-precision), "f"),
        "maximumPositionSize": "0",
        "maximumOrderUnits": format(listed.maximum_order_units, "f"),
        "marginRate": format(listed.margin_rate, "f"),
    }


def account_summary(account: Account, times: TimeFormat) -> Json:
    """The JSON of the account without its trades, positions and orders."""
    book = account.book
    profile = book.profile
    summary = {
        "id": profile.id,
        "alias": book.alias,
        "currency": profile.home_currency,
        "balance": money(book.balance),
        "createdByUserID": profile.user_id,
        "createdTime": times.write(profile.created_time),
        "guaranteedStopLossOrderMode": "DISABLED",
        "pl": money(book.pl),
        "resettablePL": money(book.pl),
        "resettablePLTime": times.write(profile.created_time),
        "financing": money(book.financing),
        "commission": money(ZERO),
        "guaranteedExecutionFees": money(ZERO),
        "marginCallExtensionCount": 0,
        "openTradeCount": len(book.open_trades()),
        "openPositionCount": len(book.instruments_held()),
        "pendingOrderCount": len(book.pending_orders()),
        "hedgingEnabled": profile.hedging_enabled,
        "lastTransactionID": account.last_transaction_id,
    }
    if book.margin_rate is not None:
        summary["marginRate"] = format(book.margin_rate, "f")
    if book.last_fill_time is not None:
        summary["lastOrderFillTimestamp"] = times.write(book.last_fill_time)
    summary.update(encode(account.valuation()))
    return summary


def account_details(account: Account, times: TimeFormat) -> Json:
    """The JSON of the account with its trades, positions and orders."""
    book = account.book
    return {
        **account_summary(account, times),
        "trades": [trade_summary(book, trade, times) for trade in book.open_trades()],
        "positions": [position(book, name) for name in known_positions(book)],
        "orders": encode(tuple(book.pending_orders()), times),
    }


def trade_summary(book: Book, trade: Trade, times: TimeFormat) -> Json:
    """The JSON of a trade with the ids of its dependent orders."""
    shape: Json = encode(trade, times)
    if trade.state is TradeState.OPEN:
        value = book.trade_value(trade)
        shape["unrealizedPL"] = money(value.unrealized_pl)
        shape["marginUsed"] = money(value.margin_used)
    shape["realizedPL"] = money(trade.realized_pl)
    shape["financing"] = money(trade.financing)
    return shape


def trade_details(book: Book, trade: Trade, times: TimeFormat) -> Json:
    """The JSON of a trade with its dependent orders."""
    shape = trade_summary(book, trade, times)
    for field, order_id in (
        ("takeProfitOrder", trade.take_profit_order_id),
        ("stopLossOrder", trade.stop_loss_order_id),
    ):
        shape.pop(f"{field}ID", None)
        order = book.orders.get(order_id or "")
        if isinstance(order, StopLossOrder | TakeProfitOrder):
            shape[field] = encode(order, times)
    return shape


def known_positions(book: Book) -> list[str]:
    """Instruments in which the account has or had a position."""
    return sorted({*book.instruments_held(), *book.tallies})


def position(book: Book, name: str) -> Json:
    """The JSON of a position with its two sides."""
    trades = book.open_trades(name)
    tally = book.tally(name)
    value = book.value_of_trades(trades)
    long = [trade for trade in trades if trade.current_units > 0]
    short = [trade for trade in trades if trade.current_units < 0]
    shape = {
        "instrument": name,
        "long": _side(book, long, tally.long_pl, tally.long_financing),
        "short": _side(book, short, tally.short_pl, tally.short_financing),
        "pl": money(tally.long_pl + tally.short_pl),
        "resettablePL": money(tally.long_pl + tally.short_pl),
        "financing": money(tally.long_financing + tally.short_financing),
        "commission": money(ZERO),
        "guaranteedExecutionFees": money(ZERO),
        "unrealizedPL": money(value.unrealized_pl),
    }
    if trades:
        shape["marginUsed"] = money(value.margin_used)
    return shape


def _side(book: Book, trades: list[Trade], pl: Decimal, financing: Decimal) -> Json:
    units = sum((trade.current_units for trade in trades), ZERO)
    side: Json = {
        "units": format(units, "f"),
        "pl": money(pl),
        "resettablePL": money(pl),
        "financing": money(financing),
        "guaranteedExecutionFees": money(ZERO),
        "unrealizedPL": money(book.value_of_trades(trades).unrealized_pl),
    }
    if trades:
        cost = sum((trade.price * trade.current_units for trade in trades), ZERO)
        side["averagePrice"] = format((cost / units).quantize(trades[0].price), "f")
        side["tradeIDs"] = [trade.id for trade in trades]
    return side


def changes_state(account: Account) -> Json:
    """The JSON of the account state that depends on prices, for ``/changes``."""
    book = account.book
    state: Json = encode(account.valuation())
    state.pop("balance")
    values = {trade.id: book.trade_value(trade) for trade in book.open_trades()}
    state["trades"] = [
        {"id": i, "unrealizedPL": money(v.unrealized_pl), "marginUsed": money(v.margin_used)}
        for i, v in values.items()
    ]
    state["positions"] = [_position_state(book, name, values) for name in book.instruments_held()]
    state["orders"] = [{"id": order.id} for order in book.pending_orders()]
    return state


def _position_state(book: Book, name: str, values: dict[str, HoldingValue]) -> Json:
    trades = book.open_trades(name)

    def result(chosen: Iterable[Trade]) -> Decimal:
        return sum((values[trade.id].unrealized_pl for trade in chosen), ZERO)

    margin = sum((values[trade.id].margin_used for trade in trades), ZERO)
    return {
        "instrument": name,
        "netUnrealizedPL": money(result(trades)),
        "longUnrealizedPL": money(result(t for t in trades if t.is_long)),
        "shortUnrealizedPL": money(result(t for t in trades if not t.is_long)),
        "marginUsed": money(margin),
    }

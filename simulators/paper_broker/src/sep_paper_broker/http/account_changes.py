"""Changes of the account since a transaction."""

from typing import Any

from sep_paper_broker.account.account import Account
from sep_paper_broker.account.transactions import DailyFinancing
from sep_paper_broker.codec import TimeFormat, encode
from sep_paper_broker.http import account_json
from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.order_records import (
    MarketOrderCreated,
    OrderCancel,
    StopLossCreated,
    TakeProfitCreated,
)


def changes_since(account: Account, transaction_id: int, times: TimeFormat) -> dict[str, Any]:
    """Orders, trades and positions changed after a transaction, in their current state."""
    book = account.book
    # Ordered sets of ids.
    orders: dict[str, dict[str, None]] = {"Created": {}, "Cancelled": {}, "Filled": {}}
    trades: dict[str, dict[str, None]] = {"Opened": {}, "Reduced": {}, "Closed": {}}
    positions: dict[str, None] = {}
    transactions = book.ledger.since(transaction_id)
    for transaction in transactions:
        body = transaction.body
        if isinstance(body, MarketOrderCreated | StopLossCreated | TakeProfitCreated):
            orders["Created"][transaction.id] = None
        elif isinstance(body, OrderCancel):
            orders["Cancelled"][body.order_id] = None
        elif isinstance(body, OrderFill):
            orders["Filled"][body.order_id] = None
            positions[body.instrument] = None
            if body.trade_opened is not None:
                trades["Opened"][body.trade_opened.trade_id] = None
            if body.trade_reduced is not None:
                trades["Reduced"][body.trade_reduced.trade_id] = None
            for closed in body.trades_closed or ():
                trades["Closed"][closed.trade_id] = None
        elif isinstance(body, DailyFinancing):
            positions.update(dict.fromkeys(p.instrument for p in body.position_financings))
    return {
        **{
            f"orders{what}": [encode(book.orders[i], times) for i in ids]
            for what, ids in orders.items()
        },
        "ordersTriggered": [],
        **{
            f"trades{what}": [account_json.trade_summary(book, book.trades[i], times) for i in ids]
            for what, ids in trades.items()
        },
        "positions": [account_json.position(book, name) for name in sorted(positions)],
        "transactions": [encode(transaction, times) for transaction in transactions],
    }

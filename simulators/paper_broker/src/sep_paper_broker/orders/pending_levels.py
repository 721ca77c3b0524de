"""The trigger levels of an account's pending stop losses and take profits."""

from collections.abc import Iterator
from decimal import Decimal

from sep_paper_broker.account.book import Book
from sep_paper_broker.market.trigger_levels import TriggerLevels
from sep_paper_broker.orders.dependent_orders import pending_of
from sep_paper_broker.orders.order import StopLossOrder


def pending_levels(book: Book) -> Iterator[TriggerLevels]:
    """The levels of every instrument with a pending order."""
    for instrument in book.instruments_held():
        levels = levels_in(book, instrument)
        if levels != TriggerLevels(instrument=instrument):
            yield levels


def levels_in(book: Book, instrument: str) -> TriggerLevels:
    """The nearest levels of one instrument."""
    lows: dict[bool, list[Decimal]] = {True: [], False: []}
    highs: dict[bool, list[Decimal]] = {True: [], False: []}
    for trade in book.open_trades(instrument):
        for order in pending_of(book, trade):
            below = isinstance(order, StopLossOrder) == trade.is_long
            (lows if below else highs)[trade.is_long].append(order.price)
    return TriggerLevels(
        instrument=instrument,
        bid_low=max(lows[True], default=None),
        bid_high=min(highs[True], default=None),
        ask_low=max(lows[False], default=None),
        ask_high=min(highs[False], default=None),
    )

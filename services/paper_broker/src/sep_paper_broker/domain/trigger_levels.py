"""The prices at which dependent orders wait, and when a market reaches one."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from sep_paper_broker.domain.book import Book
from sep_paper_broker.domain.dependent_orders import pending_of
from sep_paper_broker.domain.market import HOUR, Market, ticks_between
from sep_paper_broker.domain.orders import StopLossOrder


@dataclass(frozen=True, slots=True)
class TriggerLevels:
    """The nearest levels of an instrument; None where no order waits.

    Something fills when the bid is at or below ``bid_low`` or at or above ``bid_high``
    (orders of long trades), or the ask likewise (orders of short trades).
    """

    instrument: str
    bid_low: Decimal | None = None
    bid_high: Decimal | None = None
    ask_low: Decimal | None = None
    ask_high: Decimal | None = None


def levels_of(book: Book) -> Iterator[TriggerLevels]:
    """The levels of every instrument with a waiting order."""
    for instrument in book.instruments_held():
        levels = levels_in(book, instrument)
        if levels != TriggerLevels(instrument):
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
        instrument,
        bid_low=max(lows[True], default=None),
        bid_high=min(highs[True], default=None),
        ask_low=max(lows[False], default=None),
        ask_high=min(highs[False], default=None),
    )


def first_trigger(market: Market, levels: TriggerLevels, begin_s: int, end_s: int) -> int | None:
    """The first second of ``[begin_s, end_s)`` whose tick reaches a level."""
    precision = market.instruments[levels.instrument].display_precision
    while begin_s < end_s:
        until = min(end_s, (begin_s // HOUR + 1) * HOUR)
        ticks = ticks_between(market, levels.instrument, begin_s, until)
        reached = np.zeros(len(ticks), np.bool_)
        for prices, low, high in (
            (ticks.bid, levels.bid_low, levels.bid_high),
            (ticks.ask, levels.ask_low, levels.ask_high),
        ):
            if low is not None:
                reached |= prices <= int(low.scaleb(precision))
            if high is not None:
                reached |= prices >= int(high.scaleb(precision))
        if reached.any():
            return int(ticks.time[int(np.argmax(reached))])
        begin_s = until
    return None

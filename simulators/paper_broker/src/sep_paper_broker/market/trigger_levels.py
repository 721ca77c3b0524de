"""The nearest trigger prices of an instrument's orders, and when a market reaches one."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from sep_paper_broker.market.market import HOUR, Market, ticks_between


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerLevels:
    """The nearest trigger prices of an instrument; None where no order is pending.

    An order fills when the bid is at or below ``bid_low`` or at or above ``bid_high`` (orders of
    long trades), or the ask is at or beyond ``ask_low`` or ``ask_high`` (short trades).
    """

    instrument: str
    bid_low: Decimal | None = None
    bid_high: Decimal | None = None
    ask_low: Decimal | None = None
    ask_high: Decimal | None = None


def first_trigger(market: Market, levels: TriggerLevels, begin_s: int, end_s: int) -> int | None:
    """The first second of ``[begin_s, end_s)`` with a tick that reaches a level, else None."""
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

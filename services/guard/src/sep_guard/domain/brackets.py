"""Prices that go with an entry: stop, target, and the worst fill that it allows."""

from decimal import ROUND_CEILING

from sep_guard.domain.actions import Brackets
from sep_guard.domain.case import Case
from sep_guard.domain.thresholds import widest_spread_bps


def brackets_of(case: Case) -> Brackets | None:
    """The brackets of an entry now; None without a quote or a bracket in the signal.

    Stop and take profit are rounded away from the entry. Prices move in whole steps, so the
    rounded level is reached exactly when the level of the backtest is.
    """
    quote, signal, side = case.market.quote, case.market.signal, case.wanted.side
    if quote is None or signal is None or signal.bracket is None:
        return None
    entry = quote.ask if side > 0 else quote.bid
    instrument = case.market.instrument
    step = instrument.price_step
    return Brackets(
        stop_loss=entry - side * signal.bracket.stop.quantize(step, ROUND_CEILING),
        take_profit=entry + side * signal.bracket.take_profit.quantize(step, ROUND_CEILING),
        # No fill may be further from the quote than the widest spread allowed.
        price_bound=instrument.round_price(
            entry + side * quote.mid * widest_spread_bps(case.limits.entry, signal) / 10_000
        ),
    )

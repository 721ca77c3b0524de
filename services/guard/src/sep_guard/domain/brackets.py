"""Prices that go with an entry: stop, target, and the worst fill that it allows."""

from sep_guard.domain.actions import Brackets
from sep_guard.domain.case import Case
from sep_guard.domain.thresholds import in_force


def brackets_of(case: Case) -> Brackets | None:
    """The brackets of an entry now; None without a quote or a bracket in the signal."""
    quote, signal, side = case.market.quote, case.market.signal, case.wanted.side
    if quote is None or signal is None or signal.bracket is None:
        return None
    entry = quote.ask if side > 0 else quote.bid
    round_price = case.market.instrument.round_price
    return Brackets(
        stop_loss=round_price(entry - side * signal.bracket.stop),
        take_profit=round_price(entry + side * signal.bracket.take_profit),
        # No fill may be further from the quote than the widest spread allowed.
        price_bound=round_price(
            entry + side * quote.mid * in_force(case.limits.entry, signal).max_spread_bps / 10_000
        ),
    )

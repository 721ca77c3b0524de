"""Prices that go with an entry: stop, target, and the worst fill that it allows."""

from decimal import ROUND_CEILING, Decimal

from sep_fx.instrument import Instrument

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
    return Brackets(
        stop_loss=entry - side * _steps_above(signal.bracket.stop, instrument),
        take_profit=entry + side * _steps_above(signal.bracket.take_profit, instrument),
        # No fill may be further from the quote than the widest spread allowed.
        price_bound=instrument.round_price(
            entry + side * quote.mid * widest_spread_bps(case.limits.entry, signal) / 10_000
        ),
    )


def _steps_above(distance: Decimal, instrument: Instrument) -> Decimal:
    return distance.quantize(instrument.price_step, ROUND_CEILING)

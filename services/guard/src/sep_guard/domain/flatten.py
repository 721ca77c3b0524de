"""Flatten: everything to close, largest margin first."""

from collections.abc import Iterable
from decimal import Decimal

from sep_guard.domain.drain import Close, DrainReason
from sep_guard.domain.market import ZERO, Holding, Market


def plan_flatten(
    markets: Iterable[Market], *, include_manual: bool, only: str = ""
) -> tuple[Close, ...]:
    """A close of each managed position, and of the manual ones where asked for.

    A position without a price is closed as well: a full close needs none.

    Args:
        only: the one instrument to close; all of them if empty.
    """
    closes = [
        Close(
            instrument=market.instrument.name,
            current=units,
            units=abs(units),
            margin_freed=abs(units) * (market.margin_per_unit or ZERO),
            reason=DrainReason.FLATTEN,
            include_manual=include_manual,
        )
        for market in markets
        if only in ("", market.instrument.name)
        for units in _sides(market.holding, include_manual=include_manual)
    ]
    return tuple(sorted(closes, key=_largest_first))


def _sides(holding: Holding, *, include_manual: bool) -> tuple[Decimal, ...]:
    """Signed units of each side that is held; trades opened by hand can hold both."""
    if not holding.trades:
        units = holding.total if include_manual else holding.managed
        return (units,) if units else ()
    wanted = [t.units for t in holding.trades if t.own or include_manual]
    long, short = (u for u in wanted if u > 0), (u for u in wanted if u < 0)
    return tuple(u for u in (sum(long, ZERO), sum(short, ZERO)) if u)


def _largest_first(close: Close) -> tuple[Decimal, str]:
    return -close.margin_freed, close.instrument

"""Flatten: everything to close, largest margin first."""

from collections.abc import Iterable
from decimal import Decimal

from sep_guard.domain.drain import Close, DrainReason
from sep_guard.domain.market import ZERO, Market


def plan_flatten(markets: Iterable[Market], *, include_manual: bool) -> tuple[Close, ...]:
    """A close of each managed position, and of the manual ones where asked for.

    A position without a price is closed as well: a full close needs none.
    """
    closes = []
    for market in markets:
        holding = market.holding
        units = holding.total if include_manual else holding.managed
        if units:
            closes.append(
                Close(
                    instrument=market.instrument.name,
                    current=units,
                    units=abs(units),
                    margin_freed=abs(units) * (market.margin_per_unit or ZERO),
                    reason=DrainReason.FLATTEN,
                )
            )
    return tuple(sorted(closes, key=_largest_first))


def _largest_first(close: Close) -> tuple[Decimal, str]:
    return -close.margin_freed, close.instrument

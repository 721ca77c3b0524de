"""The guard's count of margin, held against the broker's own."""

from collections.abc import Iterable
from decimal import Decimal

from sep_guard.domain.market import ZERO, Account, Market

TOLERANCE = Decimal("0.02")
"""Difference, as a share of the modelled margin, beyond which the broker's count is used."""


def margin_ratio(account: Account, markets: Iterable[Market]) -> Decimal | None:
    """The broker's margin in use as a multiple of the modelled one.

    None where it is unknown: nothing is held, or something held has no price and its margin
    is not known from its trades.
    """
    modelled, other = ZERO, ZERO
    for market in markets:
        holding = market.holding
        units = abs(holding.managed) + holding.manual_units
        if not units and not holding.left_out:
            continue
        per_unit = market.modelled_margin_per_unit
        if per_unit is not None and not holding.left_out:
            modelled += units * per_unit
            continue
        margins = [t.margin_used for t in holding.trades]
        if not margins or None in margins or holding.left_out:
            return None
        other += sum((m for m in margins if m is not None), ZERO)
    used = account.margin_used - other
    return used / modelled if modelled > 0 and used >= 0 else None


def margin_factor(ratio: Decimal | None) -> Decimal:
    """What the modelled margin is multiplied by: 1 within the tolerance, else the ratio."""
    if ratio is None or abs(ratio - 1) <= TOLERANCE:
        return Decimal(1)
    return ratio

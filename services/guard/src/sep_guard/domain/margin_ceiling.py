"""Margin over the budget's ceiling, and what share of a position may stay."""

from collections.abc import Iterable
from decimal import Decimal

from sep_guard.domain.budget import budget_at_ceiling, budget_of, equity_of
from sep_guard.domain.limits import PortfolioLimits
from sep_guard.domain.market import ZERO, Account, Market

CLOSEOUT_NEAR = Decimal("0.8")
"""Margin closeout percentage, as a fraction, from which everything is closed. The broker closes
all positions at 1."""

ALL = Decimal(1)
_ROUNDING = Decimal("1e-6")


def near_closeout(account: Account) -> bool:
    """Whether the broker is about to close the positions itself."""
    percent = account.closeout_percent
    return percent is not None and percent >= CLOSEOUT_NEAR


def share_to_keep(account: Account, markets: Iterable[Market], limits: PortfolioLimits) -> Decimal:
    """The share of every managed position that fits under the ceiling; 1 when all of it does.

    Counted by the broker's margin in use. A band above the ceiling is tolerated, since prices
    move it. Margin of trades opened by hand can't be freed, and leaves less for the others.
    """
    ceiling = budget_at_ceiling(account, limits).ceiling
    if near_closeout(account):
        return ZERO
    if account.margin_used <= _tolerated(ceiling, limits):
        return ALL
    managed = sum((managed_margin(m, limits) for m in markets), ZERO)
    if managed <= 0:
        return ALL
    excess = account.margin_used - ceiling
    return max(ZERO, 1 - excess / managed)


def share_under_cap(account: Account, market: Market, limits: PortfolioLimits) -> Decimal:
    """The share of one managed position that fits under the instrument's cap; 1 within the band.

    The cap is the one of now, or the one that holds once the position is cut down to it:
    closing frees margin, and raises the cap.
    """
    margin = managed_margin(market, limits)
    others = min(account.margin_used - margin, budget_at_ceiling(account, limits).ceiling)
    share = limits.target_pct * min(1 / Decimal(limits.top_k), limits.max_per_position_pct)
    once_cut = min(
        account.balance * share, (equity_of(account) - max(ZERO, others)) * share / (1 + share)
    )
    cap = max(ZERO, budget_of(account, limits).per_instrument, once_cut)
    return cap / margin if margin > _tolerated(cap, limits) else ALL


def _tolerated(limit: Decimal, limits: PortfolioLimits) -> Decimal:
    # Sums of rounded figures differ in their last digits.
    return limit * (1 + limits.rebalance_band + _ROUNDING)


def managed_margin(market: Market, limits: PortfolioLimits) -> Decimal:
    """Margin of the units that this stack manages; 0 without a price."""
    holding = market.holding
    units = holding.total if limits.adopt_manual else holding.managed
    return abs(units) * (market.margin_per_unit or ZERO)

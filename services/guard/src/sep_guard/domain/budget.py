"""The risk budget: the margin that may be in use, in total and per instrument."""

from dataclasses import dataclass, replace
from decimal import Decimal

from sep_guard.domain.limits import PortfolioLimits
from sep_guard.domain.market import ZERO, Account
from sep_guard.domain.risk.exposure import NO_EXPOSURE, Exposure


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Margin in home currency.

    ``total`` is the target fraction of the margin available now. ``ceiling`` is the highest
    margin in use that is still within that fraction after the trade, because a trade reduces
    the margin available.
    """

    total: Decimal
    per_instrument: Decimal
    ramp_step: Decimal
    ceiling: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the rest of the portfolio leaves for the decision on one instrument.

    ``headroom`` is the margin that entries may still take; ``base`` is the margin that will
    be available once every weight is filled, of which weights are fractions. ``exposure`` and
    ``planned_value`` (value opened) include the entries decided before this one. ``reduced`` is
    the exposure once the cycle's reductions are filled too, None without any: closing one side
    of a hedge raises the net exposure in a currency. ``share`` is what may stay of each managed
    position, below 1 while margin is over the ceiling.
    """

    headroom: Decimal
    base: Decimal
    exposure: Exposure = NO_EXPOSURE
    planned_value: Decimal = ZERO
    reduced: Exposure | None = None
    share: Decimal = Decimal(1)


NO_CAPACITY = Capacity(headroom=ZERO, base=ZERO)


def budget_of(account: Account, limits: PortfolioLimits) -> Budget:
    """The budget of an account; 0 when balance or margin available is 0 or below."""
    base = max(ZERO, min(account.balance, account.margin_available))
    total = base * limits.target_pct
    pct = limits.target_pct
    equity = account.margin_available + account.margin_used
    return Budget(
        total=total,
        per_instrument=_cap(total, limits),
        ramp_step=limits.ramp_step_pct * total,
        ceiling=max(ZERO, min(total, equity * pct / (1 + pct))),
    )


def budget_at_ceiling(account: Account, limits: PortfolioLimits) -> Budget:
    """The budget once the margin in use is at its ceiling.

    Closing frees margin and raises the budget: this is where both meet, so that a reduction
    closes neither too much nor too little.
    """
    pct = limits.target_pct
    ceiling = max(ZERO, min(account.balance * pct, equity_of(account) * pct / (1 + pct)))
    return Budget(
        total=ceiling,
        per_instrument=_cap(ceiling, limits),
        ramp_step=limits.ramp_step_pct * ceiling,
        ceiling=ceiling,
    )


def equity_of(account: Account) -> Decimal:
    """What margin in use and margin available come to.

    A margin available that is never reported below 0 would hide how far over it is. A NAV that
    is not a number says nothing here: it trips the breaker, and exits go on.
    """
    margin = account.margin_available + account.margin_used
    return min(margin, account.nav) if account.nav.is_finite() else margin


def drain_budget_of(account: Account, limits: PortfolioLimits) -> Budget:
    """The budget that a drain closes down to.

    Closing frees margin, which raises the budget. Measured against the budget before the
    drain, an account far over its cap would close about twice as much as it has to.
    """
    now, pct = budget_of(account, limits), limits.target_pct
    equity = account.nav if account.nav.is_finite() else account.balance
    freed = max(ZERO, min(account.balance, equity / (1 + pct))) * pct
    total = max(now.total, freed)
    return replace(now, total=total, per_instrument=_cap(total, limits))


def weight_cap(limits: PortfolioLimits) -> Decimal:
    """The cap of one instrument as a fraction of margin available."""
    pct = limits.target_pct
    return min(pct / limits.top_k, pct * limits.max_per_position_pct)


def sizing_base(account: Account, *, held: Decimal, weights: Decimal) -> Decimal:
    """Margin available once every weight is filled, at most the balance.

    Weights are fractions of margin available, and filling them reduces it. Sized by the
    margin available now, the first positions would have to be cut again for the last ones.

    Args:
        held: margin of the positions that are moved to their weights.
        weights: the sum of those weights.
    """
    # Some brokers never report a negative margin available; NAV minus margin used is then true.
    available = account.margin_available
    if account.nav.is_finite():
        available = min(available, account.nav - account.margin_used)
    return max(ZERO, min(account.balance, (available + held) / (1 + weights)))


def _cap(total: Decimal, limits: PortfolioLimits) -> Decimal:
    return min(total / limits.top_k, limits.max_per_position_pct * total)

"""The risk budget: how much margin may be in use, in all and an instrument."""

from dataclasses import dataclass, replace
from decimal import Decimal

from sep_guard.domain.limits import PortfolioLimits
from sep_guard.domain.market import ZERO, Account


@dataclass(frozen=True, slots=True)
class Budget:
    """Margin in home currency.

    ``total`` is the share of what is available now; ``ceiling`` is the most margin in
    use at which it would still be within that share afterwards, since what is put to
    use is available no more.
    """

    total: Decimal
    per_instrument: Decimal
    ramp_step: Decimal
    ceiling: Decimal


def budget_of(account: Account, limits: PortfolioLimits) -> Budget:
    """The budget of an account; nothing where balance or margin is spent."""
    base = max(ZERO, min(account.balance, account.margin_available))
    total = base * limits.target_pct
    pct = limits.target_pct
    equity = account.margin_available + account.margin_used
    ceiling = max(ZERO, min(total, equity * pct / (1 + pct)))
    cap = min(total / limits.top_k, limits.max_per_position_pct * total)
    return Budget(total, cap, limits.ramp_step_pct * total, ceiling)


def drain_budget_of(account: Account, limits: PortfolioLimits) -> Budget:
    """The budget that a drain closes down to.

    Closing frees margin, and that raises the budget: down to the one of now, a drain of an
    account far over its cap would close twice as much as it has to.
    """
    now, pct = budget_of(account, limits), limits.target_pct
    freed = max(ZERO, min(account.balance, account.nav / (1 + pct))) * pct
    total = max(now.total, freed)
    cap = min(total / limits.top_k, limits.max_per_position_pct * total)
    return replace(now, total=total, per_instrument=cap)


@dataclass(frozen=True, slots=True)
class Room:
    """What the portfolio as a whole leaves to the decision on one instrument.

    ``headroom`` is margin that entries may still take; ``base`` is the margin that will be
    available once every weight is filled.
    """

    headroom: Decimal
    base: Decimal


def settled_base(account: Account, held: Decimal, weights: Decimal) -> Decimal:
    """Margin available once every weight is filled, at most the balance.

    Weights are shares of margin available, and filling them takes from it. Sized by what
    is available now, the first positions would be cut back again for the sake of the last.

    Args:
        held: margin of the positions that are moved to their weights.
        weights: their sum.
    """
    # Some brokers never tell less than 0; what NAV leaves is the truth then.
    available = min(account.margin_available, account.nav - account.margin_used)
    return max(ZERO, min(account.balance, (available + held) / (1 + weights)))

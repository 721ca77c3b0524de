"""The risk budget: how much margin may be in use, in all and an instrument."""

from dataclasses import dataclass
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
    cap = min(total / limits.top_k, limits.max_per_position_pct * total)
    pct = limits.target_pct
    equity = account.margin_available + account.margin_used
    ceiling = max(ZERO, min(total, equity * pct / (1 + pct)))
    return Budget(total, cap, limits.ramp_step_pct * total, ceiling)


def target_margin(account: Account, weight: Decimal, budget: Budget) -> Decimal:
    """Margin that a weight asks for, within the instrument's cap."""
    base = max(ZERO, min(account.balance, account.margin_available))
    return min(base * weight, budget.per_instrument)

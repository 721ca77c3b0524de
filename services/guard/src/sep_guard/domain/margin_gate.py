"""The margin gate: entries pause while too much margin is in use."""

from decimal import Decimal

from sep_guard.domain.limits import PortfolioLimits
from sep_guard.domain.market import Account
from sep_guard.domain.view import View


def utilisation(account: Account) -> Decimal:
    """marginUsed / (marginUsed + marginAvailable); 1 when that sum is 0 or below."""
    total = account.margin_used + account.margin_available
    return account.margin_used / total if total > 0 else Decimal(1)


def margin_gate(was_open: bool, used: Decimal, *, low: Decimal, high: Decimal) -> bool:
    """Whether the gate is open: closes at ``high``, opens below ``low``, unchanged between."""
    if used >= high:
        return False
    return True if used < low else was_open


def margin_gate_open(view: View, limits: PortfolioLimits) -> bool:
    """Whether the margin gate is open for the account of a view."""
    used = utilisation(view.account)
    return margin_gate(view.margin_was_open, used, low=limits.margin_low, high=limits.margin_high)

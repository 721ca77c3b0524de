"""The margin gate: entries pause while too much margin is in use."""

from decimal import Decimal

from sep_guard.domain.market import Account


def utilisation(account: Account) -> Decimal:
    """marginUsed / (marginUsed + marginAvailable); 1 where nothing is left to divide by."""
    total = account.margin_used + account.margin_available
    return account.margin_used / total if total > 0 else Decimal(1)


def margin_gate(was_open: bool, used: Decimal, low: Decimal, high: Decimal) -> bool:
    """Closes at ``high``, opens again below ``low``; in between it stays as it was."""
    if used >= high:
        return False
    return True if used < low else was_open

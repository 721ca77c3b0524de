"""Conditions of an entry that follow from the broker's account and its trades."""

from collections.abc import Iterable

from sep_guard.domain.checks import Candidate, Check, Either, Refusal
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.risk.breaker import BreakerCause
from sep_guard.domain.stop_guard import fault_of
from sep_guard.domain.view import View

_SUPPORTED = Check(Refusal.ACCOUNT_KIND, True, "supported", "supported")
_CURRENT = Either.of(Refusal.VIEW_STALE, "current", "older than a known transaction")
_ONE_WRITER = Either.of(Refusal.SECOND_WRITER, "none", "seen")
_LISTED = Either.of(Refusal.NOT_LISTED, "listed", "not listed")
_ALL_READ = Check(Refusal.TRADE_UNREADABLE, True, "none", "none")
_ALL_STOPPED = Check(Refusal.STOP_MISSING, True, "none", "none")


def check_account(view: View, limits: GuardLimits) -> tuple[Check, ...]:  # noqa: ARG001
    """An account that can be traded, seen as it is now, by this stack alone."""
    kinds = ", ".join(view.account.unsupported)
    return (
        Check(Refusal.ACCOUNT_KIND, False, kinds, "supported") if kinds else _SUPPORTED,
        _CURRENT.check(not view.behind),
        _ONE_WRITER.check(view.risk.tripped != BreakerCause.SECOND_WRITER),
    )


def check_trades(candidate: Candidate) -> Iterable[Check]:
    """A listed instrument whose trades can all be read, each with the stop it was given."""
    market = candidate.market
    unread = "; ".join([f"{m.name}: {m.fault}" for m in market.holding.left_out])
    faulty = ", ".join([f"{t.id} {f}" for t in market.holding.trades if (f := fault_of(t))])
    return (
        _LISTED.check(market.listed),
        Check(Refusal.TRADE_UNREADABLE, False, unread, "none") if unread else _ALL_READ,
        Check(Refusal.STOP_MISSING, False, faulty, "none") if faulty else _ALL_STOPPED,
    )

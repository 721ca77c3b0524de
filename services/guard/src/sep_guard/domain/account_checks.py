"""Conditions of an entry that follow from the broker's account and its trades."""

from collections.abc import Iterator

from sep_guard.domain.checks import Candidate, Check, Refusal
from sep_guard.domain.risk.breaker import BreakerCause
from sep_guard.domain.stop_guard import fault_of


def check_account(candidate: Candidate) -> Iterator[Check]:
    """An account that can be traded, seen as it is now, by this stack alone."""
    view = candidate.view
    kinds = ", ".join(view.account.unsupported)
    yield Check(Refusal.ACCOUNT_KIND, not kinds, kinds or "supported", "supported")
    seen = "older than a known transaction" if view.behind else "current"
    yield Check(Refusal.VIEW_STALE, not view.behind, seen, "current")
    other = view.risk.tripped == BreakerCause.SECOND_WRITER
    yield Check(Refusal.SECOND_WRITER, not other, "seen" if other else "none", "none")


def check_trades(candidate: Candidate) -> Iterator[Check]:
    """A listed instrument whose trades can all be read, each with the stop it was given."""
    market = candidate.market
    listed = "listed" if market.listed else "not listed"
    yield Check(Refusal.NOT_LISTED, market.listed, listed, "listed")
    left_out = market.holding.left_out
    faults = "; ".join(f"{m.name}: {m.fault}" for m in left_out)
    yield Check(Refusal.TRADE_UNREADABLE, not left_out, faults or "none", "none")
    faulty = [f"{t.id} {fault}" for t in market.holding.trades if (fault := fault_of(t))]
    yield Check(Refusal.STOP_MISSING, not faulty, ", ".join(faulty) or "none", "none")

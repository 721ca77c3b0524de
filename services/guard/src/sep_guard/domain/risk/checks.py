"""Conditions of an entry that follow from the risk limits."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from sep_guard.domain.checks import Candidate, Check, Either, Refusal
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.exposure import signed_net
from sep_guard.domain.risk.locks import Lock, LockCause
from sep_guard.domain.risk.price_reference import collar_bps, deviation_bps
from sep_guard.domain.view import View

_LOCKED = {
    LockCause.REJECTS: Refusal.RISK_REJECTS,
    LockCause.STOP_OUTS: Refusal.RISK_STOP_OUTS,
    LockCause.FOREIGN_CLOSE: Refusal.RISK_FOREIGN_CLOSE,
    LockCause.MANUAL: Refusal.LOCKED_BY_HAND,
}
_UNKNOWN = "unknown"
# The same for every instrument in most cycles.
_READABLE = Either.of(Refusal.RISK_UNREADABLE, "read", "unreadable")
_NOT_TRIPPED = Check(Refusal.BREAKER_TRIPPED, True, "none", "none")
_NO_LOCK = "no lock"
_ALL_UNLOCKED = tuple(Check(reason, True, "none", _NO_LOCK) for reason in _LOCKED.values())


def check_risk_state(view: View, limits: GuardLimits) -> tuple[Check, ...]:  # noqa: ARG001
    """Readable equity and ledger, and no tripped breaker."""
    risk, nav = view.risk, view.account.nav
    readable = risk.readable and nav.is_finite() and nav > 0
    tripped = risk.tripped
    return (
        _READABLE.check(readable),
        Check(Refusal.BREAKER_TRIPPED, False, tripped, "none") if tripped else _NOT_TRIPPED,
    )


def check_locks(candidate: Candidate) -> Iterable[Check]:
    """No running lock, and fewer entries within the hour than allowed."""
    name, risk = candidate.market.instrument.name, candidate.view.risk
    lock, checks = None, _ALL_UNLOCKED
    if name in risk.locks:
        locks = {lock.cause: lock for lock in risk.locks[name]}
        lock, checks = locks.get(LockCause.ORDER_RATE), _lock_checks(locks)
    entries = risk.entries_last_hour.get(name, 0)
    most = candidate.limits.risk.max_entries_per_hour
    # Further steps of a position that is held belong to the entry that opened it.
    held = bool(candidate.market.holding.managed)
    return (
        *checks,
        Check(
            Refusal.RISK_ORDER_RATE,
            lock is None and (held or entries < most),
            f"{entries} entries in an hour" if lock is None else lock.reason,
            f"< {most} entries in an hour",
        ),
    )


def _lock_checks(locks: Mapping[LockCause, Lock]) -> tuple[Check, ...]:
    return tuple(
        Check(reason, False, lock.reason, _NO_LOCK)
        if (lock := locks.get(cause))
        else Check(reason, True, "none", _NO_LOCK)
        for cause, reason in _LOCKED.items()
    )


def check_reference_price(candidate: Candidate) -> Iterable[Check]:
    """A quote near its last complete candle and its live manifold."""
    references, mid = candidate.market.references, candidate.mid
    allowed = collar_bps(references, candidate.limits.risk.price_collar_bps)
    off = None if mid is None else deviation_bps(mid, references)
    return (
        Check(
            Refusal.RISK_REFERENCE_PRICE,
            off is not None and off <= allowed,
            _UNKNOWN if off is None else f"{off:.2f} bps",
            f"<= {allowed:.2f} bps",
        ),
    )


def check_leverage(view: View, limits: GuardLimits) -> tuple[Check, ...]:
    """Leverage that leaves anything at all for an entry."""
    allowed = limits.risk.max_leverage
    return (_in_navs(Refusal.RISK_LEVERAGE, view.risk.exposure.gross, allowed, view),)


def check_currency(candidate: Candidate) -> Iterable[Check]:
    """Net exposure in both currencies that leaves anything at all for this entry."""
    view, market = candidate.view, candidate.market
    direction, net = market.signal.direction if market.signal else 0, ZERO
    if direction:
        net = max(signed_net(view.risk.exposure, market.instrument.name, direction))
    allowed = candidate.limits.risk.max_currency_leverage
    return (_in_navs(Refusal.RISK_CURRENCY, net, allowed, view),)


def check_turnover(view: View, limits: GuardLimits) -> tuple[Check, ...]:
    """Turnover that leaves anything at all for an entry."""
    allowed = limits.risk.max_turnover
    return (_in_navs(Refusal.RISK_TURNOVER, view.risk.opened_value, allowed, view),)


def _in_navs(reason: Refusal, value: Decimal, allowed: Decimal, view: View) -> Check:
    """A value in NAVs below what is allowed; unknown where NAV or exposure can't be right."""
    nav = view.account.nav
    usable = nav.is_finite() and nav > 0 and not view.risk.exposure.unvalued
    observed = value / nav if usable else None
    return Check(
        reason,
        observed is not None and observed < allowed,
        _UNKNOWN if observed is None else f"{observed:.2f} NAVs",
        f"< {allowed} NAVs",
    )

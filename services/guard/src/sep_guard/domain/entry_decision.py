"""GuardEvaluator: an increase of a position, through every limiter and every check."""

from sep_guard.domain.actions import Action, Kind
from sep_guard.domain.checks import failed
from sep_guard.domain.entry_checks import check_entry
from sep_guard.domain.entry_limiters import limit_entry
from sep_guard.domain.entry_request import EntryRequest
from sep_guard.domain.target_side import Cause


def decide_entry(request: EntryRequest) -> Action:
    """Enter, hold, or refuse. A flat instrument's checks are recorded whatever its size is."""
    case, target = request.case, request.target
    size = limit_entry(request)
    if case.side and not size.order and not size.refused:
        return case.hold(target, size.reasons)
    checks = check_entry(case.view, case.market, case.limits, case.shared)
    refused: tuple[str, ...] = failed(checks)
    if size.refused:
        refused = tuple(dict.fromkeys((*refused, *size.reasons)))
    if refused:
        return case.refuse(target, refused, checks, size.bounds)
    if not size.order:
        return case.hold(target, size.reasons, checks)
    return Action(
        instrument=case.market.instrument.name,
        kind=Kind.ENTRY,
        current=case.current,
        target=target,
        order=size.order,
        reasons=(Cause.REBALANCE if case.side else case.wanted.cause, *size.reasons),
        checks=checks,
        brackets=request.brackets,
        margin=size.margin,
        capacity=case.capacity,
        bounds=size.bounds,
    )

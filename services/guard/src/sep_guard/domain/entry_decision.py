"""GuardEvaluator: an increase of a position, through every limiter and every check."""

from sep_guard.domain.actions import Action, Brackets, Kind
from sep_guard.domain.case import Case
from sep_guard.domain.entry_checks import check_entry, failed
from sep_guard.domain.entry_limiters import EntryRequest, limit_entry
from sep_guard.domain.target_side import Cause


def decide_entry(request: EntryRequest) -> Action:
    """Enter, hold, or refuse. A flat instrument's checks are recorded whatever its size is."""
    case, target = request.case, request.target
    size = limit_entry(request)
    if case.side and not size.order and not size.refused:
        return case.hold(target, size.reasons)
    checks = check_entry(case.view, case.market, case.limits)
    refused = (*failed(checks), *(size.reasons if size.refused else ()))
    if refused:
        return case.refuse(target, refused, checks)
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
        brackets=_brackets(case),
        margin=size.margin,
    )


def _brackets(case: Case) -> Brackets | None:
    quote, signal, side = case.market.quote, case.market.signal, case.wanted.side
    if quote is None or signal is None or signal.bracket is None:
        return None
    entry = quote.ask if side > 0 else quote.bid
    round_price = case.market.instrument.round_price
    return Brackets(
        stop_loss=round_price(entry - side * signal.bracket.stop),
        take_profit=round_price(entry + side * signal.bracket.take_profit),
        # No fill may be further from the quote than the widest spread allowed.
        price_bound=round_price(
            entry + side * quote.mid * case.limits.entry.max_spread_bps / 10_000
        ),
    )

"""Entries that the broker refused in its answer, counted where its ledger does not show them.

Most refusals are in the ledger, and are counted there. A broker may also refuse a request before
it becomes an order, or answer with a transaction that its ledger never shows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sep_guard.domain.risk.activity import ActivityState, count_refused
from sep_guard.domain.risk.ledger_events import Refused
from sep_guard.domain.risk.limits import RiskLimits
from sep_guard.domain.risk.locks import Trigger

# Far more than the orders of a minute; an older one is not reported again.
_REMEMBERED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedOrder:
    """An entry that the broker cancelled or rejected in its answer.

    Attributes:
        transaction_id: of the cancel or reject; 0 where the answer named none.
        reason: the broker's code, or the status of its answer.
        message: what the broker said besides.
    """

    client_order_id: str
    instrument: str
    reason: str
    transaction_id: int
    ts_ms: int
    message: str = ""


def count_orders(
    state: ActivityState, refused: Iterable[RefusedOrder], limits: RiskLimits
) -> tuple[ActivityState, tuple[Trigger, ...]]:
    """Counts with the refusals that the ledger has not shown; each counts once.

    Args:
        state: counts after the ledger.
    """
    triggers = []
    for order in sorted(refused, key=lambda o: (o.ts_ms, o.client_order_id)):
        in_ledger = 0 < order.transaction_id <= state.through_id
        if in_ledger or order.client_order_id in state.refused_orders:
            continue
        event = Refused(
            transaction_id=order.transaction_id,
            ts_ms=order.ts_ms,
            instrument=order.instrument,
            reason=order.reason,
            message=order.message,
        )
        state, trigger = count_refused(state, event, limits)
        if trigger is not None:
            triggers.append(trigger)
        counted = {**state.refused_orders, order.client_order_id: order.transaction_id}
        newest = dict(list(counted.items())[-_REMEMBERED:])
        state = replace(state, refused_orders=newest)
    return state, tuple(triggers)

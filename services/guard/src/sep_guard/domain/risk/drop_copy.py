"""Drop copy: each fill marked as this stack's must match a claim of its store.

One that does not is the fill of a second writer: another stack that trades the same account, or
this one restored from an old store.
"""

from collections.abc import Collection

from sep_guard.domain.risk.breaker import BreakerCause, Trip, trip_of_fault
from sep_guard.domain.risk.ledger_events import LedgerPage, Unclaimed


def second_writer(
    page: LedgerPage, through_id: int, sent: Collection[str], now_ms: int
) -> Trip | None:
    """The breaker's trip for the first unclaimed fill of a page; None where there is none.

    Args:
        through_id: newest transaction that was judged before.
        sent: client order ids that this process sent itself. While the store is away a
            reduction can't be claimed, and is known by them.
    """
    for event in page.events:
        if not isinstance(event, Unclaimed) or event.transaction_id <= through_id:
            continue
        if event.client_order_id in sent:
            continue
        return trip_of_fault(
            BreakerCause.SECOND_WRITER,
            f"transaction {event.transaction_id} filled {event.client_order_id or 'an order'} in "
            f"{event.instrument}, which this stack did not send: a second writer",
            now_ms,
        )
    return None

"""Refused orders that the broker's ledger does not show."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from sep_guard.domain.risk import activity
from sep_guard.domain.risk.activity import ActivityState
from sep_guard.domain.risk.ledger_events import LedgerPage, Refused
from sep_guard.domain.risk.locks import LockCause
from sep_guard.domain.risk.refused_orders import RefusedOrder, count_orders

from .limits import LIMITS

NOW = int(datetime(2026, 3, 4, 17, 0, tzinfo=UTC).timestamp()) * 1000
EUR = "EUR_USD"


def order(number: int, transaction_id: int = 0, reason: str = "FIFO_VIOLATION") -> RefusedOrder:
    return RefusedOrder(
        client_order_id=f"sep-{number}",
        instrument=EUR,
        reason=reason,
        transaction_id=transaction_id,
        ts_ms=NOW + number,
    )


def in_ledger(*ids: int) -> LedgerPage:
    events = [
        Refused(transaction_id=i, ts_ms=NOW, instrument=EUR, reason="FIFO_VIOLATION") for i in ids
    ]
    return LedgerPage(events=events, through_id=max(ids))


def counted(state: ActivityState, *orders: RefusedOrder) -> ActivityState:
    return count_orders(state, orders, LIMITS)[0]


def test_the_third_equal_refusal_locks() -> None:
    state = activity.begin(10, (), NOW)
    state, triggers = count_orders(state, [order(1), order(2)], LIMITS)
    assert triggers == ()
    _, (trigger,) = count_orders(state, [order(3)], LIMITS)
    assert (trigger.instrument, trigger.cause) == (EUR, LockCause.REJECTS)


def test_one_that_the_ledger_covers_is_counted_there() -> None:
    state = activity.fold(activity.begin(10, (), NOW), in_ledger(12), LIMITS, NOW).activity
    assert counted(state, order(1, 12)).of(EUR).refusals == 1


def test_one_that_the_ledger_shows_later_counts_once() -> None:
    state = counted(activity.begin(10, (), NOW), order(1, 12), order(2, 14))
    state = activity.fold(state, in_ledger(12, 14), LIMITS, NOW).activity
    assert state.of(EUR).refusals == 2
    assert state.refused_orders == {}


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30))
def test_reports_that_come_again_count_nothing(reports: list[tuple[int, bool]]) -> None:
    state = activity.begin(0, (), NOW)
    for number, named in reports:
        state = counted(state, order(number, 900 + number if named else 0))
    assert state.of(EUR).refusals == len({number for number, _ in reports})

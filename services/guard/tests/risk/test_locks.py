"""Locks: how long they hold, and when they double."""

from hypothesis import given
from hypothesis import strategies as st
from sep_guard.domain.risk.locks import (
    DAY_MS,
    MINUTE_MS,
    LockCause,
    Locks,
    Trigger,
    active,
    forget_old,
    impose,
    impose_by_hand,
    lift,
)

EUR = "EUR_USD"
STOPS = Trigger(instrument=EUR, cause=LockCause.STOP_OUTS, reason="3 stop-outs")
REJECTS = Trigger(instrument=EUR, cause=LockCause.REJECTS, reason="refused")


def length(locks: Locks, now_ms: int) -> int:
    (lock,) = active(locks, now_ms)
    assert lock.until_ms is not None
    return (lock.until_ms - lock.since_ms) // MINUTE_MS


def test_a_lock_doubles_when_its_cause_returns_within_a_day() -> None:
    locks: Locks = impose({}, STOPS, 60, 0)
    assert length(locks, 0) == 60
    now = 61 * MINUTE_MS
    assert not active(locks, now)
    locks = impose(locks, STOPS, 60, now)
    assert length(locks, now) == 120
    later = now + 120 * MINUTE_MS + DAY_MS
    assert length(impose(locks, STOPS, 60, later), later) == 60


def test_another_cause_begins_at_its_own_first_length() -> None:
    locks = impose(impose({}, STOPS, 60, 0), REJECTS, 60, MINUTE_MS)

    assert [lock.minutes for lock in active(locks, MINUTE_MS)] == [60, 60]


def test_a_running_lock_is_not_lengthened_by_its_own_cause() -> None:
    locks = impose({}, STOPS, 60, 0)

    assert impose(locks, STOPS, 60, MINUTE_MS) == locks


def test_a_lock_by_hand_may_have_no_end_and_is_lifted_by_hand() -> None:
    locks = impose_by_hand({}, EUR, "payrolls", "alice", None, 0)
    assert active(locks, 10 * DAY_MS)
    assert not active(lift(locks, EUR, DAY_MS), DAY_MS)


def test_ended_locks_are_forgotten_after_a_day() -> None:
    locks = impose({}, STOPS, 60, 0)

    assert forget_old(locks, 60 * MINUTE_MS + DAY_MS - 1)
    assert not forget_old(locks, 60 * MINUTE_MS + DAY_MS)


@given(gaps=st.lists(st.integers(0, 2 * DAY_MS), min_size=1, max_size=30))
def test_no_lock_is_shorter_than_asked_or_longer_than_a_day(gaps: list[int]) -> None:
    locks: Locks = {}
    now = 0
    for gap in gaps:
        now += gap
        locks = impose(locks, STOPS, 60, now)
        (lock,) = active(locks, now)
        assert 60 <= lock.minutes <= 1440

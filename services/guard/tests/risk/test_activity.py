"""Turnover, entries, refusals in a row and stop-outs, as the ledger has them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from sep_guard.domain.risk import activity
from sep_guard.domain.risk.ledger_events import (
    Closed,
    CloseReason,
    LedgerEvent,
    LedgerPage,
    Opened,
    Refused,
    Transfer,
)
from sep_guard.domain.risk.locks import LockCause

from .limits import LIMITS

NOW = int(datetime(2026, 3, 4, 17, 0, tzinfo=UTC).timestamp()) * 1000
EUR = "EUR_USD"


def opened(at: int, units: str = "100", value: str | None = "110") -> Opened:
    return Opened(
        transaction_id=at,
        ts_ms=NOW + at * 1000,
        instrument=EUR,
        trade_id=str(at),
        units=Decimal(units),
        value=None if value is None else Decimal(value),
    )


def closed(
    at: int, trade: int, units: str = "100", reason: CloseReason = CloseReason.OWN_ORDER
) -> Closed:
    return Closed(
        transaction_id=at,
        ts_ms=NOW + at * 1000,
        trade_id=str(trade),
        units=Decimal(units),
        reason=reason,
    )


def refused(at: int, reason: str) -> Refused:
    return Refused(transaction_id=at, ts_ms=NOW + at * 1000, instrument=EUR, reason=reason)


def folded(events: Sequence[LedgerEvent]) -> activity.Folded:
    state = activity.begin(0, (), NOW)
    return activity.fold(state, LedgerPage(events=events, through_id=1000), LIMITS, NOW + 100_000)


def test_steps_of_one_position_are_one_entry() -> None:
    steps = [opened(1), opened(2), opened(3)]
    exits = [closed(4, 1), closed(5, 2), closed(6, 3)]
    found = folded([*steps, *exits, opened(7, "-100")])

    assert activity.entries_last_hour(found.activity, EUR, NOW + 100_000) == 2
    assert found.activity.of(EUR).units == -100


def test_entries_of_the_hour_before_are_forgotten() -> None:
    found = folded([opened(1)])

    assert activity.entries_last_hour(found.activity, EUR, NOW + 3_599_000) == 1
    assert activity.entries_last_hour(found.activity, EUR, NOW + 3_601_000) == 0


def test_turnover_counts_what_was_opened_since_17_00_new_york() -> None:
    found = folded([opened(1), closed(2, 1), opened(3)])
    assert activity.turnover(found.activity, Decimal(110)) == 2
    assert activity.turnover(found.activity, Decimal(110), Decimal(55)) == Decimal("2.5")

    evening = NOW + 6 * 3_600_000
    tomorrow = activity.fold(
        found.activity, LedgerPage(events=[], through_id=1000), LIMITS, evening
    )
    assert activity.turnover(tomorrow.activity, Decimal(110)) == 0


def test_a_fill_without_a_value_makes_turnover_unreadable() -> None:
    found = folded([opened(1, value=None)])

    assert activity.turnover(found.activity, Decimal(110)) is None


def test_three_equal_refusals_in_a_row_lock_and_a_fill_ends_the_row() -> None:
    assert not folded([refused(1, "A"), refused(2, "B"), refused(3, "A")]).triggers
    assert not folded([refused(1, "A"), refused(2, "A"), opened(3), refused(4, "A")]).triggers
    (trigger,) = folded([refused(i, "FIFO_VIOLATION") for i in (1, 2, 3)]).triggers
    assert trigger.cause is LockCause.REJECTS
    assert "FIFO_VIOLATION" in trigger.reason


def test_the_third_stop_out_of_a_day_locks() -> None:
    def stop(at: int) -> list[LedgerEvent]:
        return [opened(at), closed(at + 1, at, reason=CloseReason.STOP_LOSS)]

    assert not folded([*stop(1), *stop(3)]).triggers
    (trigger,) = folded([*stop(1), *stop(3), *stop(5)]).triggers
    assert trigger.cause is LockCause.STOP_OUTS


def test_a_close_that_is_not_ours_locks() -> None:
    for reason in (CloseReason.BY_HAND, CloseReason.MARGIN_CLOSEOUT):
        (trigger,) = folded([opened(1), closed(2, 1, reason=reason)]).triggers
        assert trigger.cause is LockCause.FOREIGN_CLOSE
    target = closed(2, 1, reason=CloseReason.TAKE_PROFIT)
    assert not folded([opened(1), target]).triggers


def test_a_trade_of_another_owner_is_not_counted() -> None:
    found = folded([opened(1), closed(2, 99, reason=CloseReason.BY_HAND)])

    assert not found.triggers
    assert found.activity.of(EUR).units == 100


EVENTS = st.lists(
    st.one_of(
        st.builds(lambda units: ("open", units), st.integers(-500, 500).filter(bool)),
        st.builds(lambda trade: ("close", trade), st.integers(1, 30)),
        st.builds(lambda kind: ("refuse", kind), st.sampled_from("AB")),
        st.builds(lambda amount: ("transfer", amount), st.integers(-500, 500)),
    ),
    max_size=30,
)


def event_of(at: int, kind: str, value: int | str) -> LedgerEvent:
    if kind == "open":
        return opened(at, str(value), str(abs(int(value))))
    if kind == "close":
        return closed(at, int(value), "70")
    if kind == "refuse":
        return refused(at, str(value))
    return Transfer(transaction_id=at, ts_ms=NOW + at * 1000, amount=Decimal(value))


@given(events=EVENTS, cuts=st.lists(st.integers(0, 30), max_size=5))
def test_pages_cut_anywhere_and_read_twice_count_the_same(
    events: list[tuple[str, int | str]], cuts: list[int]
) -> None:
    """A restart between any two transactions changes no count, and no page counts twice."""
    ledger = [event_of(at, *event) for at, event in enumerate(events, start=1)]
    now = NOW + 100_000
    at_once = folded(ledger)
    state = activity.begin(0, (), NOW)
    transfers, triggers = Decimal(0), list[str]()
    for cut in [*sorted(cuts), 1000]:
        # Each page begins at the beginning: what was counted before is skipped.
        page = LedgerPage(events=ledger[:cut], through_id=min(cut, len(ledger)))
        found = activity.fold(state, page, LIMITS, now)
        state = found.activity
        transfers += found.transfers
        triggers += [t.reason for t in found.triggers]

    assert state.instruments == at_once.activity.instruments
    assert state.opened_value == at_once.activity.opened_value
    assert transfers == at_once.transfers
    assert triggers == [t.reason for t in at_once.triggers]


def test_one_fill_may_close_several_trades() -> None:
    events: list[LedgerEvent] = [opened(1), opened(2), closed(3, 1), closed(3, 2), opened(4)]
    counts = folded(events).activity.of(EUR)
    assert counts.trades == {"4": Decimal(100)}
    assert len(counts.entries_ms) == 2

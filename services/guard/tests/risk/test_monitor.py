"""What one observation does to the breaker and the locks."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_guard.domain.risk.breaker import BreakerCause
from sep_guard.domain.risk.ledger_events import LedgerPage, Transfer
from sep_guard.domain.risk.monitor import Observed, Reading, acknowledge, observe
from sep_guard.domain.risk.state import RiskState

from .limits import LIMITS

NOW = int(datetime(2026, 3, 4, 17, 0, tzinfo=UTC).timestamp()) * 1000


def reading(nav: str | None, through: int = 1, *transfers: str) -> Reading:
    events = [
        Transfer(transaction_id=through - i, ts_ms=NOW, amount=Decimal(amount))
        for i, amount in enumerate(transfers)
    ]
    return Reading(
        nav=None if nav is None else Decimal(nav),
        ledger=LedgerPage(events=events, through_id=through),
        trades=(),
    )


def after(*readings: Reading, state: RiskState | None = None) -> Observed:
    current = state or RiskState()
    observed = None
    for step, each in enumerate(readings):
        observed = observe(current, each, LIMITS, NOW + step * 30_000)
        current = observed.state
    assert observed is not None
    return observed


def test_a_loss_of_two_percent_trips_once_and_for_good() -> None:
    observed = after(reading("100000"), reading("98000"))
    assert observed.tripped is not None
    assert observed.tripped.cause is BreakerCause.DAILY_LOSS
    assert "2.00 %" in observed.tripped.reason

    recovered = observe(observed.state, reading("120000"), LIMITS, NOW + 10**6)
    assert recovered.tripped is None
    assert recovered.state.trip == observed.tripped


@pytest.mark.parametrize("nav", ["NaN", "sNaN", "Infinity", "-Infinity", "0", "-5"])
def test_equity_that_can_not_be_right_trips(nav: str) -> None:
    observed = after(reading("100000"), reading(nav))

    assert observed.tripped is not None
    assert observed.tripped.cause is BreakerCause.EQUITY


def test_equity_that_can_not_be_read_refuses_and_trips_nothing() -> None:
    observed = after(reading("100000"), reading(None), reading(None))

    assert not observed.readable
    assert observed.state.trip is None


def test_a_ledger_that_can_not_be_read_refuses_and_trips_nothing() -> None:
    observed = after(reading("100000"), Reading(nav=Decimal(50_000), ledger=None, trades=()))

    assert not observed.readable
    assert observed.state.trip is None


def test_a_damaged_baseline_trips() -> None:
    observed = after(reading("100000"), state=RiskState(damaged=("guard:risk:equity",)))

    assert observed.tripped is not None
    assert observed.tripped.cause is BreakerCause.BASELINE
    assert "guard:risk:equity" in observed.tripped.reason


def test_an_acknowledgement_begins_new_baselines() -> None:
    tripped = after(reading("100000"), reading("90000")).state
    observed = observe(acknowledge(tripped), reading("90000"), LIMITS, NOW + 60_000)

    assert observed.state.trip is None
    assert observed.state.equity is not None
    assert observed.state.equity.peak_nav == 90_000


def test_a_withdrawal_of_most_of_the_account_trips_nothing() -> None:
    observed = after(reading("100000"), reading("5000", 2, "-95000"))

    assert observed.state.trip is None


@given(
    path=st.lists(
        st.one_of(
            st.none(),
            st.tuples(st.decimals("0.97", "1.03", places=4), st.integers(-1000, 50_000)),
        ),
        max_size=20,
    ),
    restarts=st.sets(st.integers(0, 20)),
)
def test_a_restart_at_any_moment_changes_no_verdict(
    path: list[tuple[Decimal, int] | None], restarts: set[int]
) -> None:
    """A guard that starts anew reads the persisted state, and repeats its last observation."""
    nav = Decimal(100_000)
    once = twice = RiskState()
    for step, change in enumerate(path):
        transfer = 0
        if change is not None:
            growth, transfer = change
            nav = (nav * growth).quantize(Decimal("0.01")) + transfer
        if nav <= 0:
            return
        text = None if change is None else str(nav)
        each = reading(text, step + 2, *([str(transfer)] if transfer else []))
        # An unreadable account leaves the ledger for the next observation, as the guard does.
        each = each if text is not None else replace(each, ledger=None)
        now = NOW + step * 30_000
        once = observe(once, each, LIMITS, now).state
        twice = observe(twice, each, LIMITS, now).state
        if step in restarts:
            twice = observe(twice, each, LIMITS, now).state

    assert once.trip == twice.trip
    assert once.locks == twice.locks

"""Daily loss and drawdown follow what trading did, never what a transfer did."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_guard.domain.risk import equity
from sep_guard.domain.risk.equity import EquityFault
from sep_guard.domain.risk.trading_day import day_start_ms

NOON = int(datetime(2026, 3, 4, 17, 0, tzinfo=UTC).timestamp()) * 1000  # 12:00 New York
HOUR = 3_600_000
ZERO = Decimal(0)
NAVS = st.decimals("1000", "10000000", places=2)


def test_the_trading_day_begins_at_17_00_new_york_in_summer_and_winter() -> None:
    def start(year: int, month: int, day: int, hour: int, minute: int) -> datetime:
        now = int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1000
        return datetime.fromtimestamp(day_start_ms(now) / 1000, tz=UTC)

    assert start(2026, 1, 15, 21, 59) == datetime(2026, 1, 14, 22, tzinfo=UTC)
    assert start(2026, 1, 15, 22, 0) == datetime(2026, 1, 15, 22, tzinfo=UTC)
    assert start(2026, 7, 15, 20, 59) == datetime(2026, 7, 14, 21, tzinfo=UTC)
    assert start(2026, 7, 15, 21, 0) == datetime(2026, 7, 15, 21, tzinfo=UTC)


def test_daily_loss_is_measured_from_the_last_reading_before_17_00() -> None:
    state = equity.begin(Decimal(100_000), NOON)
    state = equity.read(state, Decimal(110_000), ZERO, NOON + HOUR)
    state = equity.read(state, Decimal(99_000), ZERO, NOON + 6 * HOUR)

    assert equity.daily_loss(state) == Decimal("0.1")
    assert state.day_nav == Decimal(110_000)


def test_a_reading_at_17_00_sharp_ends_the_day_and_is_the_next_ones_baseline() -> None:
    close = day_start_ms(NOON) + 24 * HOUR
    state = equity.begin(Decimal(100_000), NOON)
    state = equity.read(state, Decimal(110_000), ZERO, close - 1)
    state = equity.read(state, Decimal(98_000), ZERO, close)
    assert equity.daily_loss(state) == Decimal("0.02")

    state = equity.read(state, Decimal(97_020), ZERO, close + 1)
    assert state.day_nav == Decimal(98_000)
    assert equity.daily_loss(state) == Decimal("0.01")


def test_a_first_reading_at_17_00_sharp_is_the_baseline_of_the_day_that_begins() -> None:
    close = day_start_ms(NOON) + 24 * HOUR
    state = equity.begin(Decimal(100_000), close)
    state = equity.read(state, Decimal(99_000), ZERO, close + 1)

    assert state.day_start_ms == close
    assert state.day_nav == Decimal(100_000)
    assert equity.daily_loss(state) == Decimal("0.01")


def test_drawdown_is_measured_from_the_peak_across_days() -> None:
    state = equity.begin(Decimal(100_000), NOON)
    for days, nav in enumerate((120_000, 118_000, 114_000), start=1):
        state = equity.read(state, Decimal(nav), ZERO, NOON + days * 24 * HOUR)

    assert equity.drawdown(state) == Decimal("0.05")
    assert round(equity.daily_loss(state), 6) == round(1 - Decimal(114) / Decimal(118), 6)


def test_a_withdrawal_makes_a_later_loss_count_against_the_smaller_account() -> None:
    state = equity.begin(Decimal(100_000), NOON)
    state = equity.read(state, Decimal(10_000), Decimal(-90_000), NOON + HOUR)
    assert equity.daily_loss(state) == 0
    state = equity.read(state, Decimal(9_700), ZERO, NOON + 2 * HOUR)

    assert equity.daily_loss(state) == Decimal("0.03")


@pytest.mark.parametrize(
    ("nav", "fault"),
    [
        ("NaN", EquityFault.NOT_A_NUMBER),
        ("sNaN", EquityFault.NOT_A_NUMBER),
        ("Infinity", EquityFault.NOT_A_NUMBER),
        ("0", EquityFault.NOT_POSITIVE),
        ("-0.01", EquityFault.NOT_POSITIVE),
        ("0.01", None),
    ],
)
def test_equity_that_can_not_be_right_has_a_fault(nav: str, fault: EquityFault | None) -> None:
    assert equity.fault_of(Decimal(nav)) is fault


@given(nav=NAVS, transfers=st.lists(st.decimals("-900", "1000000", places=2), max_size=8))
def test_transfers_alone_never_move_loss_or_drawdown(
    nav: Decimal, transfers: list[Decimal]
) -> None:
    state = equity.begin(nav, NOON)
    for step, transfer in enumerate(transfers, start=1):
        if nav + transfer <= 0:
            continue
        nav += transfer
        state = equity.read(state, nav, transfer, NOON + step * HOUR)

    assert equity.daily_loss(state) == 0
    assert equity.drawdown(state) == 0


@given(
    nav=NAVS,
    steps=st.lists(
        st.tuples(st.decimals("0.9", "1.1", places=4), st.decimals("-500", "100000", places=2)),
        max_size=10,
    ),
)
def test_a_transfer_between_readings_hides_no_loss(
    nav: Decimal, steps: list[tuple[Decimal, Decimal]]
) -> None:
    """The unit value is the product of what trading did, with or without the transfers."""
    state = equity.begin(nav, NOON)
    expected = peak = Decimal(1)
    for step, (growth, transfer) in enumerate(steps, start=1):
        before = nav
        nav = (nav * growth).quantize(Decimal("0.01")) + transfer
        if nav <= 0:
            return
        state = equity.read(state, nav, transfer, NOON + step * HOUR)
        expected *= (nav - transfer) / before
        peak = max(peak, expected)

    assert abs(state.unit_value - expected) < Decimal("1e-9")
    assert equity.drawdown(state) > 1 - expected / peak - Decimal("1e-9")


def test_a_deposit_hides_no_loss_of_the_day() -> None:
    """2.5 % of NAV at 17:00 is more than 2 %, however large the account is by now."""
    state = equity.begin(Decimal(100_000), NOON)
    state = equity.read(state, Decimal(1_100_000), Decimal(1_000_000), NOON + 1)
    assert equity.daily_loss(state) == 0
    state = equity.read(state, Decimal(1_097_500), Decimal(0), NOON + 2)
    assert equity.daily_loss(state) == Decimal("0.025")

"""Performance figures against an independent library, and what transfers may not do."""

import math
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_journal.domain.costs import GroupBy, TradeCosts, group_costs
from sep_journal.domain.days import date_of, day_end_ms, day_ends
from sep_journal.domain.performance import (
    DayValue,
    days_of,
    ratios_of,
    returns_of,
    sum_results,
    trade_figures,
)
from sep_journal.domain.trades import CostParts

D = Decimal
DAY = 86_400_000
SUNDAY = day_end_ms(1_772_400_000_000)  # 2026-03-01 21:20 UTC, a Sunday
RETURNS = st.lists(st.floats(-0.2, 0.2).filter(lambda r: abs(r) > 1e-6), min_size=2, max_size=300)


@given(RETURNS)
def test_ratios_are_those_of_an_independent_library(returns: list[float]) -> None:
    import empyrical  # it imports scipy, two seconds in every process that collects this file

    ours, series = ratios_of(returns), np.array(returns)
    assert ours.time_weighted_return == pytest.approx(empyrical.cum_returns_final(series), abs=1e-9)
    assert ours.max_drawdown == pytest.approx(empyrical.max_drawdown(series), abs=1e-9)
    assert ours.annual_return == pytest.approx(empyrical.annual_return(series), rel=1e-6)
    if ours.sharpe is not None:
        assert ours.sharpe == pytest.approx(empyrical.sharpe_ratio(series), rel=1e-6, abs=1e-9)
    if ours.sortino is not None:
        assert ours.sortino == pytest.approx(empyrical.sortino_ratio(series), rel=1e-6, abs=1e-9)
    if ours.calmar is not None:
        assert ours.calmar == pytest.approx(empyrical.calmar_ratio(series), rel=1e-6)


def test_ratios_that_no_risk_defines_are_missing() -> None:
    assert ratios_of([]).time_weighted_return is None
    steady = ratios_of([0.01, 0.01, 0.01])
    assert (steady.sharpe, steady.sortino, steady.calmar) == (None, None, None)
    assert steady.max_drawdown == 0


@given(
    st.lists(st.tuples(st.integers(-500, 500), st.integers(-3000, 9000)), min_size=1, max_size=40)
)
def test_a_transfer_is_never_profit(steps: list[tuple[int, int]]) -> None:
    """Days with transfers have the profit that the same days have without."""
    nav, values, gains = D(100_000), [DayValue(end_ms=SUNDAY, nav=D(100_000))], D(0)
    for number, (gain, transfer) in enumerate(steps, 1):
        nav += gain + transfer
        gains += gain
        values.append(DayValue(end_ms=SUNDAY + number * DAY, nav=nav, transfers=D(transfer)))
    days = days_of(values)[1:]
    assert sum(day.pl for day in days) == gains
    for (before, after), day in zip(pairwise(values), days, strict=True):
        assert day.return_ == pytest.approx(float((after.nav - after.transfers) / before.nav) - 1)


def test_the_first_deposit_is_a_transfer_and_has_no_return() -> None:
    first, second = days_of(
        [
            DayValue(end_ms=SUNDAY, nav=D(1000), transfers=D(1000)),
            DayValue(end_ms=SUNDAY + DAY, nav=D(990)),
        ]
    )
    assert first.pl == 0
    assert first.return_ is None
    assert second.return_ == pytest.approx(-0.01)
    assert second.drawdown == pytest.approx(-0.01)


def test_weekend_days_without_a_change_do_not_dilute_the_ratios() -> None:
    navs = (1000, 1010, 1005, 1020, 1012, 1012, 1012, 1030)
    values = [DayValue(end_ms=SUNDAY + n * DAY, nav=D(nav)) for n, nav in enumerate(navs)]
    assert len(returns_of(days_of(values))) == 6


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        # 17:00 in New York is 22:00 UTC in winter and 21:00 in summer.
        (1_772_229_600_000, "2026-02-27"),
        (1_772_229_600_001, "2026-02-28"),
        (1_775_077_200_000, "2026-04-01"),
        (1_775_077_200_001, "2026-04-02"),
    ],
)
def test_a_day_ends_at_five_in_new_york(at: int, ends: str) -> None:
    assert date_of(day_end_ms(at)).isoformat() == ends


def test_a_day_is_an_hour_shorter_when_the_clocks_change() -> None:
    ends = list(day_ends(1_772_830_000_000, 1_773_090_000_000))
    assert {b - a for a, b in pairwise(ends)} == {DAY, DAY - 3_600_000}


def test_win_rate_and_profit_factor() -> None:
    figures = trade_figures(sum_results([D(10), D(-4), D(6), D(0)]))
    assert figures.win_rate == 0.5
    assert figures.profit_factor == 4
    assert trade_figures(sum_results([])).win_rate is None
    assert trade_figures(sum_results([D(1)])).profit_factor is None


def test_costs_of_groups_add_up_to_those_of_the_trades() -> None:
    trades = [
        TradeCosts(
            instrument=name,
            open_ms=1_772_461_800_000 + number * 10_800_000,
            parts=CostParts(signal=D(number), half_spread=D("-0.0001")),
        )
        for number, name in enumerate(("EUR_USD", "USD_JPY", "EUR_USD", "AUD_USD") * 6)
    ]
    for by in GroupBy:
        groups = group_costs(trades, by)
        assert sum(group.trades for group in groups) == len(trades)
        assert sum(group.net_pl for group in groups) == sum(t.parts.sum for t in trades)
    assert [g.group for g in group_costs(trades, GroupBy.INSTRUMENT)] == [
        "AUD_USD",
        "EUR_USD",
        "USD_JPY",
    ]
    assert [g.group for g in group_costs(trades, GroupBy.WEEKDAY)][:2] == ["Monday", "Tuesday"]
    assert "London+New York" in [g.group for g in group_costs(trades, GroupBy.SESSION)]
    assert math.isclose(len(group_costs(trades, GroupBy.HOUR)), 8)

"""The Calmar ratio, the summary of a slice and the consistency of slices."""

import pytest
from sep_evaluator.domain.spans import SpanSummary, calmar, nesting_faults


@pytest.mark.parametrize(
    ("trades", "pnl", "fall", "expected"),
    [
        (0, 0.0, 0.0, 0.0),
        (0, 0.0, 0.01, 0.0),  # the drawdown of an open position
        (3, 0.02, 0.01, 2.0),
        (3, -0.01, 0.02, -0.5),
        (3, 0.02, 0.0, 100.0),
        (3, 0.02, 1e-9, 100.0),
        (3, 0.0, 0.0, 0.0),
    ],
)
def test_calmar(trades: int, pnl: float, fall: float, expected: float) -> None:
    assert calmar(trades, pnl, fall) == pytest.approx(expected)


def test_summary_follows_from_counts() -> None:
    summary = SpanSummary.of(8, 2, 0.01, 0.004)
    assert summary.win_rate == 0.25
    assert summary.calmar == pytest.approx(2.5)
    assert SpanSummary.of(0, 0, 0.0, 0.0).win_rate == 0.0


def test_slices_of_one_run_nest() -> None:
    spans = {days: SpanSummary.of(days // 10, 1, 0.0, 0.01) for days in (90, 14, 60, 30)}
    assert nesting_faults(spans, SpanSummary.of(9, 1, 0.0, 0.01)) == []


def test_a_slice_with_more_trades_than_a_longer_one_is_named() -> None:
    spans = {14: SpanSummary.of(5, 1, 0.0, 0.01), 30: SpanSummary.of(4, 1, 0.0, 0.01)}
    faults = nesting_faults(spans, SpanSummary.of(4, 1, 0.0, 0.01))
    assert faults == ["14 days hold 5 trades (1 won), but 30 days 4 (1 won)"]


def test_a_slice_with_more_trades_than_its_run_is_named() -> None:
    faults = nesting_faults({90: SpanSummary.of(4, 3, 0.0, 0.1)}, SpanSummary.of(4, 2, 0.0, 0.1))
    assert faults == ["90 days hold 4 trades (3 won), but the whole run 4 (2 won)"]

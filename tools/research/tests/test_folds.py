"""Folds: training ends before the embargo, tests neither overlap nor leave a gap."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_research.errors import ResearchError
from sep_research.folds import DAY, WalkForward, folds_of, seconds_of

DAYS = st.integers(1, 60).map(lambda days: days * DAY)


@given(DAYS, DAYS, st.integers(0, 5 * DAY), st.booleans(), st.integers(0, 400 * DAY))
def test_windows_never_touch(
    train: int, test: int, embargo: int, anchored: bool, extra: int
) -> None:
    cut = WalkForward(train_s=train, test_s=test, embargo_s=embargo, anchored=anchored)
    end = 1000 + train + embargo + test + extra
    folds = folds_of(1000, end, cut)
    for fold in folds:
        assert 1000 <= fold.train_from < fold.train_to <= fold.test_from < fold.test_to <= end
        assert fold.test_from - fold.train_to == embargo
        assert fold.test_to - fold.test_from == test
        assert fold.train_from == 1000 if anchored else fold.train_to - fold.train_from == train
    assert all(a.test_to == b.test_from for a, b in pairwise(folds))
    assert end - folds[-1].test_to < test


def test_candles_shorter_than_a_fold_are_refused_with_both_lengths() -> None:
    cut = WalkForward(train_s=60 * DAY, test_s=30 * DAY, embargo_s=DAY)
    with pytest.raises(ResearchError, match=r"span 15\.0 days, and one fold needs 91\.0"):
        folds_of(0, 15 * DAY, cut)


def test_spans_are_read_in_hours_days_and_weeks() -> None:
    assert [seconds_of(t) for t in ("12h", "1d", "2w")] == [43_200, DAY, 14 * DAY]
    with pytest.raises(ValueError, match="is not a span like 60d"):
        seconds_of("1 day")

"""The one rule for ages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_fx.freshness import CLOCK_SKEW_S, Freshness, age_of, bar_age_limit, newest_stamp_ms
from sep_fx.instants import is_fresh

MS = st.integers(-(2**50), 2**50)


@pytest.mark.parametrize(
    ("made_ms", "verdict", "seconds"),
    [
        (None, Freshness.MISSING, None),
        (100_000, Freshness.FRESH, 0.0),
        (90_001, Freshness.FRESH, 9.999),
        (90_000, Freshness.STALE, 10.0),
        (0, Freshness.STALE, 100.0),
        (105_000, Freshness.FRESH, -5.0),
        (105_001, Freshness.FUTURE, -5.001),
    ],
)
def test_verdict_and_seconds(
    made_ms: int | None, verdict: Freshness, seconds: float | None
) -> None:
    age = age_of(made_ms, 100_000, 10)
    assert (age.verdict, age.seconds) == (verdict, seconds)
    assert age.fresh is (verdict is Freshness.FRESH)


@pytest.mark.parametrize(
    ("made_ms", "verdict"),
    [(90_000, Freshness.FRESH), (89_999, Freshness.STALE), (105_001, Freshness.FUTURE)],
)
def test_the_limit_can_be_included(made_ms: int, verdict: Freshness) -> None:
    assert age_of(made_ms, 100_000, 10, including_limit=True).verdict is verdict


@pytest.mark.parametrize(("ahead_s", "future"), [(0, True), (1.999, True), (2, False), (5, False)])
def test_a_rule_may_tolerate_another_clock_difference(ahead_s: float, future: bool) -> None:
    age = age_of(102_000, 100_000, 10, ahead_s=ahead_s)
    assert (age.verdict is Freshness.FUTURE) is future


@given(MS, MS, st.floats(0, 60))
def test_what_is_later_than_the_newest_stamp_is_in_the_future(
    made_ms: int, now_ms: int, ahead_s: float
) -> None:
    future = age_of(made_ms, now_ms, 1e15, ahead_s=ahead_s).verdict is Freshness.FUTURE
    assert future is (made_ms > newest_stamp_ms(now_ms, ahead_s))


@given(MS, MS, st.floats(0.001, 1e9))
def test_is_fresh_is_the_same_rule(made_ms: int, now_ms: int, limit_s: float) -> None:
    fresh = is_fresh(made_ms, limit_s, now_ms)
    assert fresh is age_of(made_ms, now_ms, limit_s).fresh
    assert fresh is (-CLOCK_SKEW_S <= (now_ms - made_ms) / 1000 < limit_s)


@pytest.mark.parametrize(
    ("limit_s", "granularity_s", "expected"),
    [(300, 60, 300), (300, 600, 660), (5, 10, 70), (300, 3600, 3660), (300, 240, 300)],
)
def test_what_comes_once_a_bar_may_be_a_bar_and_a_minute_old(
    limit_s: float, granularity_s: float, expected: float
) -> None:
    assert bar_age_limit(limit_s, granularity_s) == expected

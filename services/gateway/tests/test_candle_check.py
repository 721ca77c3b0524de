"""Which candles are stored, refused or asked for again. Pure."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_fx.candle_csv import check_prices
from sep_fx.instants import NS_PER_SECOND
from sep_gateway.domain.candle_check import (
    BrokerCandle,
    Judged,
    Unreadable,
    _plainly_possible,
    judge,
)
from sep_gateway.domain.coverage import (
    PAGE,
    BackwardPage,
    Coverage,
    ForwardPage,
    caught_up,
    extend_backward,
    extend_forward,
    next_backward,
    next_forward,
)

T0 = 1_772_600_000 // 60 * 60
GOOD = tuple(
    Decimal(p)
    for p in ("1.1000", "1.1003", "1.0998", "1.1001", "1.1001", "1.1004", "1.0999", "1.1002")
)


def bar(index: int, *, complete: bool = True, **price: str) -> BrokerCandle:
    names = ("bid_o", "bid_h", "bid_l", "bid_c", "ask_o", "ask_h", "ask_l", "ask_c")
    prices = tuple(Decimal(price.get(n, g)) for n, g in zip(names, GOOD, strict=True))
    return BrokerCandle((T0 + 60 * index) * NS_PER_SECOND, complete, prices, 5)


def judged(*page: BrokerCandle | Unreadable, now_index: float = 100) -> Judged:
    return judge(page, 60, 5, int((T0 + 60 * now_index) * NS_PER_SECOND))


def starts(result: Judged) -> list[int]:
    return [(c.time_ns // NS_PER_SECOND - T0) // 60 for c in result.candles]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (bar(1, bid_h="1.0990"), "impossible_prices"),
        (bar(1, bid_c="1.1900", bid_h="1.1900"), "impossible_prices"),
        (bar(1, ask_l="NaN"), "impossible_prices"),
        (bar(1, bid_o="-1.1"), "impossible_prices"),
        (bar(1, bid_o="0"), "impossible_prices"),
        (bar(1, ask_h="Infinity"), "impossible_prices"),
        (bar(1, bid_c="1.10010001"), "too_precise"),
        (bar(1, ask_h="3000"), "too_large"),
        (Unreadable((T0 + 60) * NS_PER_SECOND, "no bid"), "malformed"),
        (Unreadable(None, "no time"), "malformed"),
        (BrokerCandle((T0 + 61) * NS_PER_SECOND, True, GOOD, 1), "misaligned"),
        (bar(5000), "in_future"),
        (bar(0), "out_of_order"),
        (BrokerCandle((T0 + 60) * NS_PER_SECOND, True, GOOD, -1), "impossible_volume"),
    ],
)
def test_one_bad_candle_is_quarantined_with_its_reason_and_blocks_no_other(
    bad: BrokerCandle | Unreadable, reason: str
) -> None:
    result = judged(bar(0), bad, bar(2))
    assert starts(result) == [0, 2]
    assert [q.reason for q in result.quarantined] == [reason]
    assert result.settled == T0 + 120


def test_a_bar_that_is_not_complete_is_asked_for_again_and_never_skipped() -> None:
    result = judged(bar(97), bar(98, complete=False), bar(99))
    assert starts(result) == [97, 99]
    assert result.settled == T0 + 60 * 97
    assert result.waiting


def test_a_bar_that_never_completes_does_not_stop_history() -> None:
    result = judged(bar(1), bar(2, complete=False), bar(3))
    assert [q.reason for q in result.quarantined] == ["never_completed"]
    assert (result.settled, result.waiting) == (T0 + 180, False)


def full_page(settled: int, first: int) -> Judged:
    return Judged((), (), settled, False, PAGE, PAGE, first)


def test_history_goes_on_behind_the_last_settled_bar() -> None:
    first = next_forward(None, T0)
    assert first == ForwardPage(T0, include_first=True)
    known = extend_forward(None, first, full_page(T0 + 600, T0))
    assert known == Coverage(T0, T0 + 600)
    assert next_forward(known, T0) == ForwardPage(T0 + 600, include_first=False)
    assert not caught_up(None, known, full_page(T0 + 600, T0))


def test_an_empty_page_settles_nothing() -> None:
    empty = judged()
    known = extend_forward(None, ForwardPage(T0, True), empty)
    assert next_forward(known, T0) == ForwardPage(T0, include_first=True)
    assert caught_up(None, known, empty)


def test_a_page_that_moves_nothing_ends_the_round() -> None:
    known = Coverage(T0, T0 + 600)
    assert caught_up(known, known, full_page(T0 + 600, T0))


def test_more_days_are_fetched_backward_until_the_broker_has_no_more() -> None:
    known = Coverage(T0, T0 + 600)
    wanted = T0 - 60 * 20_000
    assert next_backward(known, T0) is None
    assert next_backward(known, wanted) == BackwardPage(T0)
    known = extend_backward(known, full_page(T0 - 60, T0 - 60 * PAGE), wanted)
    assert known.since == T0 - 60 * PAGE
    known = extend_backward(known, judged(), wanted)
    assert next_backward(known, wanted) is None


@given(
    st.lists(
        st.sampled_from([-1.0, 0.0, 1.0, 1.1, 1.2, math.inf, math.nan]), min_size=8, max_size=8
    )
)
def test_the_quick_yes_never_accepts_what_no_market_can_print(prices: list[float]) -> None:
    if _plainly_possible(tuple(prices)):
        check_prices(tuple(prices))

"""Which candles are stored, quarantined or fetched again. Pure."""

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_fx.candle_csv import check_prices
from sep_fx.instants import NS_PER_SECOND, format_rfc3339
from sep_gateway.adapters.oanda.parse_candles import candles
from sep_gateway.domain.candle_check import CheckedPage, check_page
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

Json = dict[str, Any]

T0 = 1_772_600_000 // 60 * 60
NAMES = ("bid_o", "bid_h", "bid_l", "bid_c", "ask_o", "ask_h", "ask_l", "ask_c")
GOOD = dict(
    zip(
        NAMES,
        ("1.10000", "1.10030", "1.09980", "1.10010", "1.10010", "1.10040", "1.09990", "1.10020"),
        strict=True,
    )
)


def bar(index: float, *, complete: bool = True, volume: object = 5, **price: object) -> Json:
    prices = GOOD | price
    sides = {s: {p: prices[f"{s}_{p}"] for p in "ohlc"} for s in ("bid", "ask")}
    time = format_rfc3339(int((T0 + 60 * index) * NS_PER_SECOND))
    return {"complete": complete, "volume": volume, "time": time, **sides}


def checked(*page: Any, now_index: float = 100) -> CheckedPage:
    now_ns = int((T0 + 60 * now_index) * NS_PER_SECOND)
    return check_page(candles({"candles": list(page)}), 60, 5, now_ns)


def starts(result: CheckedPage) -> list[int]:
    return [(int(t) - T0) // 60 for t in result.time]


def prices(result: CheckedPage) -> list[tuple[Decimal, ...]]:
    return [tuple(Decimal(int(p)).scaleb(-result.digits) for p in row) for row in result.points]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (bar(1, bid_h="1.09900", bid_l="1.09950"), "high_below_low"),
        (bar(1, ask_h="1.09900"), "high_below_low"),
        (bar(1, bid_c="1.09900"), "outside_its_range"),
        (bar(1, ask_o="1.20000"), "outside_its_range"),
        (bar(1, bid_c="1.19000", bid_h="1.19000"), "crossed"),
        (bar(1, bid_o="1.10011"), "crossed"),
        (bar(1, ask_l="NaN"), "not_finite"),
        (bar(1, ask_h="Infinity"), "not_finite"),
        (bar(1, bid_o="-1.10000"), "not_positive"),
        (bar(1, bid_o="0.00000"), "not_positive"),
        (bar(1, bid_o="0"), "not_positive"),
        (bar(1, bid_c="1.10010001"), "too_precise"),
        (bar(1, bid_c="1.10010000000001"), "too_precise"),
        (bar(1, ask_h="3000.00000"), "too_large"),
        (bar(1, ask_h="1e400"), "too_large"),
        (bar(1, bid_o="1,1"), "malformed"),
        (bar(1, bid_o="1_0.00000"), "malformed"),
        (bar(1, bid_o=" 1.10000"), "malformed"),
        (bar(1, bid_o="\u0661.10000"), "malformed"),
        (bar(1, bid_o=""), "malformed"),
        (bar(1, bid_o=None), "malformed"),
        (bar(1, bid_o=1.1), "malformed"),
        (bar(1, volume="5"), "malformed"),
        (bar(1, volume=2**70), "malformed"),
        (bar(1, volume=True), "malformed"),
        (bar(1) | {"complete": "true"}, "malformed"),
        (bar(1) | {"bid": None}, "malformed"),
        (bar(1) | {"ask": {"o": "1.10000"}}, "malformed"),
        (bar(1) | {"time": "2026-02-30T00:00:00.000000000Z"}, "malformed"),
        (bar(1) | {"time": 5}, "malformed"),
        ({}, "malformed"),
        (None, "malformed"),
        ("a candle", "malformed"),
        (bar(1 + 1 / 60), "misaligned"),
        (bar(5000), "in_future"),
        (bar(0), "out_of_order"),
        (bar(1, volume=-1), "impossible_volume"),
    ],
)
def test_bad_candle_is_quarantined_with_its_reason_and_blocks_no_other(
    bad: Any, reason: str
) -> None:
    result = checked(bar(0), bad, bar(2))
    assert starts(result) == [0, 2]
    assert [q.reason for q in result.quarantined] == [reason]
    assert result.quarantined[0].text
    assert result.settled == T0 + 120
    assert prices(result) == [tuple(map(Decimal, GOOD.values()))] * 2


def test_candles_in_the_future_do_not_settle_history() -> None:
    """Otherwise the candles until then would never be fetched."""
    result = checked(bar(1), bar(5000, bid_o="broken"))
    assert result.settled == T0 + 60


def test_prices_with_fewer_decimals_are_the_same_prices() -> None:
    short = bar(1, bid_o="1.1", bid_h="1.1003", ask_o="1.100100000")
    result = checked(bar(0), short, bar(2))
    assert starts(result) == [0, 1, 2]
    assert prices(result) == [tuple(map(Decimal, GOOD.values()))] * 3


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                ["1.1", "1.10000", "1.2", "1.20000", "1.3", "-1", "0.00000", "NaN", "x"]
            ),
            min_size=8,
            max_size=8,
        ),
        max_size=4,
    )
)
def test_exactly_the_possible_candles_are_stored(
    rows: list[list[str]],
) -> None:
    def possible(row: list[str]) -> bool:
        try:
            check_prices(tuple(map(float, row)))
        except ValueError:
            return False
        return True

    page = [bar(i, **dict[str, Any](zip(NAMES, row, strict=True))) for i, row in enumerate(rows)]
    result = checked(*page)
    wanted = [i for i, row in enumerate(rows) if possible(row)]
    assert starts(result) == wanted
    assert prices(result) == [tuple(map(Decimal, rows[i])) for i in wanted]
    assert len(result.quarantined) == len(rows) - len(wanted)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["time", "bid", "ask", "o", "complete", "volume"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=6,
    )
)
def test_any_json_in_place_of_a_candle_leaves_the_others(entry: Any) -> None:
    entry = json.loads(json.dumps(entry))
    result = checked(bar(0), entry, bar(2))
    assert starts(result) == [0, 2]
    assert len(result.quarantined) == 1


def test_incomplete_bar_is_fetched_again_and_never_skipped() -> None:
    result = checked(bar(97), bar(98, complete=False), bar(99))
    assert starts(result) == [97, 99]
    assert result.settled == T0 + 60 * 97
    assert result.waiting


@pytest.mark.parametrize("value", ["NaN", "0.00000", "broken", None])
def test_prices_of_an_incomplete_bar_are_not_checked(value: object) -> None:
    """Otherwise it would be settled, and its complete candle never fetched."""
    result = checked(bar(97), bar(98, complete=False, bid_o=value))
    assert (result.settled, result.waiting, result.quarantined) == (T0 + 60 * 97, True, ())


def test_bar_that_never_completes_does_not_block_history() -> None:
    result = checked(bar(1), bar(2, complete=False), bar(3))
    assert [q.reason for q in result.quarantined] == ["never_completed"]
    assert (result.settled, result.waiting) == (T0 + 180, False)


def full_page(settled: int, first: int) -> CheckedPage:
    none = np.empty(0, np.int64)
    return CheckedPage(
        time=none,
        points=none,
        volume=none,
        digits=5,
        quarantined=(),
        settled=settled,
        waiting=False,
        complete=PAGE,
        sent=PAGE,
        first=first,
    )


def test_history_continues_after_the_last_settled_bar() -> None:
    first = next_forward(None, T0)
    assert first == ForwardPage(T0, include_first=True)
    known = extend_forward(None, first, full_page(T0 + 600, T0))
    assert known == Coverage(since=T0, last=T0 + 600)
    assert next_forward(known, T0) == ForwardPage(T0 + 600, include_first=False)
    assert not caught_up(None, known, full_page(T0 + 600, T0))


def test_empty_page_settles_nothing() -> None:
    empty = checked()
    known = extend_forward(None, ForwardPage(T0, True), empty)
    assert next_forward(known, T0) == ForwardPage(T0, include_first=True)
    assert caught_up(None, known, empty)


def test_page_without_progress_ends_the_tick() -> None:
    known = Coverage(since=T0, last=T0 + 600)
    assert caught_up(known, known, full_page(T0 + 600, T0))


def test_more_days_are_fetched_backward_until_the_broker_has_none() -> None:
    known = Coverage(since=T0, last=T0 + 600)
    wanted = T0 - 60 * 20_000
    assert next_backward(known, T0) is None
    assert next_backward(known, wanted) == BackwardPage(T0)
    known = extend_backward(known, full_page(T0 - 60, T0 - 60 * PAGE), wanted)
    assert known.since == T0 - 60 * PAGE
    known = extend_backward(known, checked(), wanted)
    assert next_backward(known, wanted) is None

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sep_fx.bars import Bars


def bars(times: list[int]) -> Bars:
    time = np.array(times, np.int64)
    prices = np.arange(8 * len(times), dtype=np.float64).reshape(8, len(times)) + 1
    return Bars.from_rows(time, prices, time * 2)


TIMES = st.lists(st.integers(0, 1000), unique=True, max_size=20).map(sorted)


def test_rows_become_columns_in_the_order_bid_then_ask() -> None:
    one = bars([60])
    columns = (one.bid_o, one.bid_h, one.bid_l, one.bid_c, one.ask_o, one.ask_h, one.ask_l)
    assert [column[0] for column in columns] == [1, 2, 3, 4, 5, 6, 7]
    assert (one.ask_c[0], one.volume[0], one.mid[0]) == (8, 120, 6)


def test_empty_bars() -> None:
    empty = Bars.empty()
    assert (len(empty), len(empty.mid), len(empty.between(0))) == (0, 0, 0)
    assert len(Bars.concatenate([])) == 0
    assert empty.time.dtype == np.int64
    assert empty.bid_o.dtype == np.float64


@given(TIMES, st.integers(0, 20))
def test_concatenated_slices_are_the_whole(times: list[int], cut: int) -> None:
    whole = bars(times)
    again = Bars.concatenate([whole.slice(0, cut), whole.slice(cut, len(whole))])
    for name in ("time", "bid_o", "ask_c", "volume"):
        assert_array_equal(getattr(again, name), getattr(whole, name))


@given(TIMES, st.integers(-1, 1001))
def test_between_includes_the_bar_that_starts_at_since(times: list[int], at: int) -> None:
    assert list(bars(times).between(at).time) == [t for t in times if t >= at]


def test_a_slice_shares_memory_with_its_bars() -> None:
    whole = bars([0, 60, 120])
    assert np.shares_memory(whole.slice(1, 2).bid_c, whole.bid_c)

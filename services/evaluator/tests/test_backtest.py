"""The strict-span backtest against golden figures and the plain reference, and its properties."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.backtest_state import REASONS
from sep_evaluator.domain.drawdown import DrawdownTree
from sep_evaluator.domain.kernel import momentum, window_metrics
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.spans import SPAN_DAYS
from sep_fx.bars import Bars
from sep_fx.instants import format_seconds
from sep_fx.sessions import MarketCalendar, SessionCalendar

from . import reference
from .candles import golden, random_walk, real_bars, shifted, walks

DAY = 86_400
ALWAYS = SessionCalendar(MarketCalendar.ALWAYS)
FX = SessionCalendar(MarketCalendar.FX)
# Trades often and exits for every reason.
EAGER = StrategyParams(
    c_min=0.0,
    max_entropy=1.0,
    max_rupture=0.2,
    direction_lookback=5,
    dir_threshold_bps=0.5,
    bracket_horizon_bars=20,
    min_stop_spreads=0.5,
    max_spread_bps=20.0,
)


def run_of(
    bars: Bars,
    params: StrategyParams = EAGER,
    granularity: int = 60,
    calendar: SessionCalendar = ALWAYS,
    **options: Any,
) -> StrictSpanRun:
    run = StrictSpanRun(params, granularity, "EUR_USD", calendar, 5, **options)
    run.extend(bars)
    return run


def as_dicts(run: StrictSpanRun) -> list[dict[str, Any]]:
    names = ("entry_time", "exit_time", "side", "entry", "exit", "ret")
    return [
        {name: trade[name].item() for name in names} | {"reason": REASONS[trade["reason"]]}
        for trade in run.trades
    ]


def plain_figures(bars: Bars) -> list[dict[str, float] | None]:
    metrics = window_metrics(bars.mid)
    names = ("coherence", "stability", "rupture", "entropy", "sigma_eff")
    return [
        None
        if np.isnan(metrics.coherence[t])
        else {n: float(getattr(metrics, n)[t]) for n in names}
        for t in range(len(bars))
    ]


def near(calendar: SessionCalendar) -> Any:
    def closing(at: int) -> bool:
        state = calendar.state("EUR_USD", at)
        return not state.open or state.near_close(at, 5)

    return closing


def assert_as_reference(
    bars: Bars, params: StrategyParams, granularity: int, calendar: SessionCalendar
) -> StrictSpanRun:
    run = run_of(bars, params, granularity, calendar)
    expected = reference.run(bars, plain_figures(bars), params, granularity, near(calendar))
    assert as_dicts(run) == [
        {k: pytest.approx(v, abs=1e-12) if isinstance(v, float) else v for k, v in trade.items()}
        for trade in expected.trades
    ]
    assert run.equity == pytest.approx(expected.equity, abs=1e-12)
    assert run.position == (expected.position.side if expected.position else 0)
    for days, summary in run.spans().items():
        plain = reference.slice_summary(bars, expected, granularity, days)
        calmar = plain.pop("calmar")
        for name, value in plain.items():
            assert getattr(summary, name) == pytest.approx(value, abs=1e-12), (days, name)
        # Below this the ratio is one of rounding errors.
        if plain["max_drawdown"] > 1e-9:
            assert summary.calmar == pytest.approx(calmar, rel=1e-6)
    assert run.integrity() == []
    return run


@pytest.mark.parametrize("instrument", ["EUR_USD", "NZD_USD"])
def test_runs_match_the_golden_files(instrument: str) -> None:
    expected = golden(f"backtest_{instrument}")
    bars = real_bars(expected["source"])
    for case in expected["runs"]:
        run = run_of(bars, StrategyParams.from_mapping(case["params"]))
        summary = run.summary()
        assert (summary.trades, summary.wins) == (case["trades"], case["wins"])
        assert summary.pnl_total == pytest.approx(case["pnl_total"], abs=1e-12)
        assert summary.max_drawdown == pytest.approx(case["max_drawdown"], abs=1e-12)
        trades = [
            trade
            | {k: format_seconds(trade[k]) for k in ("entry_time", "exit_time")}
            | {k: pytest.approx(trade[k], abs=1e-12) for k in ("entry", "exit", "ret")}
            for trade in as_dicts(run)
        ]
        assert case["first"] == trades[: len(case["first"])]
        assert case["last"] == trades[-len(case["last"]) :]


@pytest.mark.parametrize("calendar", [ALWAYS, FX], ids=["24x7", "fx"])
@pytest.mark.parametrize("params", [EAGER, StrategyParams(max_entropy=0.9)], ids=["eager", "calm"])
def test_runs_match_the_plain_reference_on_real_candles(
    calendar: SessionCalendar, params: StrategyParams
) -> None:
    bars = real_bars("NZD_USD_M1_2014-05.csv.gz").slice(0, 6000)
    run = assert_as_reference(bars, params, 60, calendar)
    assert run.summary().trades > 5


PARAMS = st.builds(
    StrategyParams,
    c_min=st.sampled_from([0.0, 0.5]),
    min_stability=st.sampled_from([0.0, 0.85]),
    max_rupture=st.sampled_from([0.15, 1.0]),
    max_entropy=st.sampled_from([0.85, 1.0]),
    direction_lookback=st.sampled_from([1, 5, 40]),
    dir_threshold_bps=st.sampled_from([0.0, 0.5, 3.0]),
    entry_cooldown_sec=st.sampled_from([0, 60, 3600]),
    exit_cooldown_sec=st.sampled_from([0, 60, 600]),
    bracket_sigma_k=st.sampled_from([0.3, 1.5]),
    bracket_horizon_bars=st.sampled_from([4, 60]),
    reward_risk=st.sampled_from([0.5, 2.0]),
    min_stop_spreads=st.sampled_from([0.0, 2.0]),
    max_spread_bps=st.sampled_from([1.0, 50.0]),
)


@settings(max_examples=120)
@given(st.data(), PARAMS, st.sampled_from([60, 3600, 14_400]), st.sampled_from([ALWAYS, FX]))
def test_runs_match_the_plain_reference_on_random_candles(
    data: st.DataObject, params: StrategyParams, granularity: int, calendar: SessionCalendar
) -> None:
    bars = data.draw(walks(granularity))
    assert_as_reference(bars, params, granularity, calendar)


def test_every_exit_reason_occurs() -> None:
    """The candles of the comparisons above reach every branch."""
    reasons = set()
    for seed in range(6):
        reasons |= {
            trade["reason"] for trade in as_dicts(run_of(random_walk(seed, 3000), calendar=FX))
        }
    assert reasons == set(REASONS)


@settings(max_examples=60)
@given(
    walks(3600, most=1500),
    st.lists(st.integers(1, 300), min_size=1, max_size=8),
    st.sampled_from([None, 5, 30]),
)
def test_any_division_of_the_bars_gives_an_identical_run(
    bars: Bars, sizes: list[int], long_run_days: int | None
) -> None:
    whole = run_of(bars, granularity=3600, calendar=FX, long_run_days=long_run_days)
    parts = StrictSpanRun(EAGER, 3600, "EUR_USD", FX, 5, long_run_days=long_run_days)
    at = 0
    while at < len(bars):
        for size in sizes:
            parts.extend(bars.slice(at, at + size))
            at += size
    assert_same(parts, whole)


def assert_same(a: StrictSpanRun, b: StrictSpanRun) -> None:
    assert np.array_equal(a.times, b.times)
    assert np.array_equal(a.trades, b.trades)
    assert np.array_equal(a.equity, b.equity)
    assert np.array_equal(a.metrics.sigma_eff, b.metrics.sigma_eff, equal_nan=True)
    assert np.array_equal(a.metrics.coherence, b.metrics.coherence, equal_nan=True)
    assert (a.summary(), a.spans(), a.position) == (b.summary(), b.spans(), b.position)
    assert np.array_equal(a.momentum, b.momentum, equal_nan=True)


def test_an_anchored_run_keeps_one_to_eleven_tenths_of_its_days() -> None:
    bars = random_walk(3, 24 * 120, granularity=3600, gap=0.0)
    run = StrictSpanRun(EAGER, 3600, "EUR_USD", ALWAYS, 5, long_run_days=20)
    spans = []
    for at in range(0, len(bars), 7):
        run.extend(bars.slice(at, at + 7))
        spans.append(len(run) / 24)
    settled = spans[24 * 22 // 7 + 1 :]
    assert min(settled) >= 20
    assert max(settled) <= 22
    assert len(set(settled)) > 2


def test_an_anchored_run_equals_a_run_over_the_bars_it_holds() -> None:
    """A new replica that loads 1.1 long runs of history gets the results of an old one."""
    bars = random_walk(4, 24 * 70, granularity=3600)
    old = run_of(bars, granularity=3600, long_run_days=20)
    kept = bars.between(int(old.times[0]))
    assert 0 < len(kept) < len(bars)
    assert_same(run_of(kept, granularity=3600), old)
    late = bars.between(int(bars.time[-1]) + 3600 - 22 * DAY)
    assert_same(run_of(late, granularity=3600, long_run_days=20), old)


def test_a_gap_longer_than_the_long_run_leaves_only_the_new_bars() -> None:
    bars = random_walk(4, 300)
    run = run_of(bars, long_run_days=1)
    later = shifted(bars, 10 * DAY)
    run.extend(later)
    assert_same(run, run_of(later))


def test_a_long_run_shorter_than_its_slices_is_consistent() -> None:
    run = run_of(random_walk(9, 24 * 60, granularity=3600), granularity=3600, long_run_days=5)
    assert run.integrity() == []
    assert run.spans()[90].trades == run.summary().trades


def test_a_pending_entry_fills_up_to_five_granularities_later() -> None:
    """The bar after the first signal is moved away; the first trade fills or not."""
    bars = random_walk(2, 400, gap=0.0)
    first = int(run_of(bars).trades["entry_time"][0])
    at = int(np.searchsorted(bars.time, first))
    for away, fills in ((1, True), (5, True), (6, False)):
        moved = bars.time.copy()
        moved[at:] += (away - 1) * 60
        trades = run_of(replace(bars, time=moved)).trades
        assert (int(trades["entry_time"][0]) == first + (away - 1) * 60) is fills


def test_an_open_position_is_marked_to_market_but_is_not_a_trade() -> None:
    bars = random_walk(11, 2000)
    run = StrictSpanRun(EAGER, 60, "EUR_USD", ALWAYS, 5)
    seen = 0
    for at in range(0, len(bars), 5):
        run.extend(bars.slice(at, at + 5))
        realised = float(run.trades["ret"].sum())
        if run.position:
            seen += 1
            assert run.equity[-1] != pytest.approx(realised, abs=1e-15)
        else:
            assert run.equity[-1] == pytest.approx(realised, abs=1e-15)
        assert run.summary(14).trades == len(run.trades)
    assert seen > 10


def test_no_position_is_held_over_a_session_close() -> None:
    bars = random_walk(12, 4 * 24 * 60, start=1_398_816_000, gap=0.0, spread=1e-5)
    run = run_of(bars, calendar=FX)
    closing = FX.seconds_to_close("EUR_USD", bars.time + 60) <= 300
    assert "session" in {trade["reason"] for trade in as_dicts(run)}
    for trade in run.trades:
        inside = (bars.time >= trade["entry_time"]) & (bars.time + 60 < trade["exit_time"])
        assert not closing[inside].any()
    assert run_of(bars, calendar=SessionCalendar(gating=False)).summary() == run_of(bars).summary()


@settings(max_examples=40)
@given(walks(60))
def test_momentum_is_that_of_the_last_bar(bars: Bars) -> None:
    run = run_of(bars)
    slope, direction = momentum(run.mid, run.metrics.coherence, EAGER)
    assert np.array_equal(run.momentum, (slope[-1], direction[-1]), equal_nan=True)


def test_an_empty_run_has_no_results() -> None:
    run = run_of(Bars.empty())
    assert (len(run), run.watermark, run.last_index, len(run.trades)) == (0, None, -1, 0)
    assert (run.momentum[1], run.position, run.integrity()) == (0, 0, [])
    assert set(run.spans()) == set(SPAN_DAYS)
    assert {summary.trades for summary in run.spans().values()} == {0}


def test_a_bar_that_does_not_come_after_the_last_is_refused_and_changes_nothing() -> None:
    bars = random_walk(13, 200)
    run = run_of(bars.slice(0, 150))
    name = format_seconds(int(bars.time[149]))
    with pytest.raises(ValueError, match=f"EUR_USD bar 0 at {name} does not come after {name}"):
        run.extend(bars.slice(149, 200))
    time = bars.time[150:].copy()
    time[20] = time[19] - 60
    with pytest.raises(ValueError, match=r"EUR_USD bar 20 at .* does not come after"):
        run.extend(replace(bars.slice(150, 200), time=time))
    assert (len(run), run.watermark) == (150, int(bars.time[149]))
    run.extend(bars.slice(150, 200))
    assert_same(run, run_of(bars))


@pytest.mark.parametrize("price", [np.nan, np.inf, 0.0, -1.0])
def test_an_invalid_price_is_refused(price: float) -> None:
    bars = random_walk(13, 50)
    spoiled = bars.ask_l.copy()
    spoiled[7] = price
    with pytest.raises(ValueError, match=r"EUR_USD bar 7 at .* not finite and above 0"):
        run_of(replace(bars, ask_l=spoiled))


def test_integrity_notices_a_time_that_went_backwards() -> None:
    run = run_of(random_walk(14, 300))
    assert run.integrity() == []
    run.extend(shifted(random_walk(14, 300), DAY))
    run.times[450] = run.times[10]
    assert run.integrity() == ["the candles' times do not strictly increase"]


def test_columns_that_are_views_into_a_table_are_fine() -> None:
    bars = random_walk(15, 400)
    table = np.stack([bars.bid_o, bars.bid_h, bars.bid_l, bars.bid_c] * 2, axis=1)
    strided = replace(bars, bid_o=table[:, 0], bid_h=table[:, 1], bid_l=table[:, 2])
    assert_same(run_of(strided), run_of(bars))


@settings(max_examples=80)
@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=700),
    st.lists(st.integers(1, 200), min_size=1, max_size=6),
    st.data(),
)
def test_the_drawdown_tree_agrees_with_a_scan(
    steps: list[int], sizes: list[int], data: st.DataObject
) -> None:
    curve = np.tile(np.array(steps, np.float64), 12).cumsum()
    tree, at = DrawdownTree(), 0
    while at < len(curve):
        for size in sizes:
            at += size * 7
            tree.extend_to(curve[:at])
    for _ in range(5):
        start = data.draw(st.integers(0, len(curve) - 1))
        tail = curve[start:]
        assert tree.drawdown_from(curve, start) == (np.maximum.accumulate(tail) - tail).max()

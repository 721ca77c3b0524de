"""Hysteresis of eligibility, adaptive floors and the gate that follows from them."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_evaluator.domain.evaluation import GateLimits, Observation, evaluate
from sep_evaluator.domain.floors import (
    HOUR_MS,
    BaseFloors,
    Floors,
    FloorsInForce,
    Sample,
    adaptive_floors,
    percentile,
    quartiles_of,
)
from sep_evaluator.domain.gates import (
    COOLDOWN_MS,
    GateReason,
    GateState,
    Verdict,
    clamp_buffer,
    distances,
    judge,
    step,
    under,
)
from sep_evaluator.domain.spans import SpanSummary
from sep_fx.sessions import SessionState

BASE = BaseFloors(min_trades=10, calmar=0.15, pnl=0.0)
LIMITS = GateLimits(floors=BASE, exit_minutes=5, max_candle_age_s=300, granularity_s=60)
OPEN = SessionState(True, 10**10, None, ("London",))
NOW = 1_700_000_000_000
verdicts = st.lists(st.sampled_from(list(Verdict)), max_size=60)


def summary(trades: int = 20, calmar: float = 1.0, pnl: float = 0.01) -> SpanSummary:
    return SpanSummary(
        trades=trades,
        wins=trades // 2,
        win_rate=0.5,
        pnl_total=pnl,
        max_drawdown=0.01,
        calmar=calmar,
    )


def run(sequence: list[Verdict], state: GateState = GateState()) -> list[GateState]:  # noqa: B008
    states = []
    for i, verdict in enumerate(sequence):
        state = step(state, verdict, i, NOW + i * 60_000)
        states.append(state)
    return states


def test_two_passes_gain_eligibility_and_two_fails_lose_it() -> None:
    passed, failed = Verdict.PASS, Verdict.FAIL
    assert [s.eligible for s in run([passed, passed, failed, failed])] == [
        False,
        True,
        True,
        False,
    ]


def test_a_hold_resets_the_counters_and_keeps_eligibility() -> None:
    states = run([Verdict.PASS, Verdict.HOLD, Verdict.PASS, Verdict.PASS, Verdict.HOLD])
    assert [s.eligible for s in states] == [False, False, False, True, True]


def test_four_misses_cool_down_for_two_hours_and_need_fresh_passes_afterwards() -> None:
    cooled = run([Verdict.PASS, Verdict.PASS] + [Verdict.FAIL] * 4)[-1]
    at = NOW + 5 * 60_000
    assert cooled == GateState(watermark=5, cooldown_until=at + COOLDOWN_MS)
    during = step(cooled, Verdict.PASS, 6, at + COOLDOWN_MS - 1)
    assert (during.passes, during.eligible) == (0, False)
    first = step(during, Verdict.PASS, 7, at + COOLDOWN_MS)
    assert (first.passes, first.eligible) == (1, False)
    assert step(first, Verdict.PASS, 8, at + COOLDOWN_MS + 1).eligible


@given(verdicts)
def test_never_eligible_while_cooling_down(sequence: list[Verdict]) -> None:
    for i, state in enumerate(run(sequence)):
        assert not (state.eligible and state.cooling(NOW + i * 60_000))


@given(verdicts)
def test_eligibility_never_flips_on_one_sample(sequence: list[Verdict]) -> None:
    states = [GateState(), *run(sequence)]
    flips = [i for i in range(1, len(states)) if states[i].eligible != states[i - 1].eligible]
    for i in flips:
        assert i >= 2
        assert sequence[i - 1] == sequence[i - 2] != Verdict.HOLD


@given(verdicts, st.sampled_from(list(Verdict)), st.integers(1, 5))
def test_the_same_data_never_counts_twice(
    sequence: list[Verdict], again: Verdict, times: int
) -> None:
    state = run([*sequence, Verdict.HOLD])[-1]
    now = NOW + len(sequence) * 60_000
    for i in range(times):
        assert step(state, again, len(sequence), now + i) == state


@given(st.floats(allow_nan=False))
def test_the_buffer_is_clamped(buffer: float) -> None:
    assert 0.0 <= clamp_buffer(buffer) <= 0.30


def test_metrics_inside_the_hysteresis_band_hold() -> None:
    floors = adaptive_floors(BASE, None, 0.10)
    assert judge(distances(summary(11, 0.165), floors, 0.10)) is Verdict.PASS
    assert judge(distances(summary(10, 0.165), floors, 0.10)) is Verdict.HOLD
    assert judge(distances(summary(11, 0.14), floors, 0.10)) is Verdict.HOLD
    assert judge(distances(summary(8, 0.5), floors, 0.10)) is Verdict.FAIL


@pytest.mark.parametrize(
    ("pnl_range", "edge"),
    [(None, 0.1 * 0.01), (0.004, 0.1 * 0.004)],  # None: the drawdown of the slice, 0.01
)
def test_noise_around_a_profit_of_0_flips_nothing(pnl_range: float | None, edge: float) -> None:
    floors = Floors(min_trades=10, calmar=0.15, pnl=0.0, pnl_range=pnl_range)
    judged = {
        pnl: judge(distances(summary(20, 0.5, pnl), floors, 0.10))
        for pnl in (edge, edge * 0.99, 0.0, -edge, -edge * 1.01)
    }
    hold = Verdict.HOLD
    assert list(judged.values()) == [Verdict.PASS, hold, hold, hold, Verdict.FAIL]


def test_a_profit_floor_above_0_has_no_further_band() -> None:
    floor = distances(summary(), Floors(min_trades=10, calmar=0.15, pnl=0.01, pnl_range=0.5), 0.10)[
        2
    ]
    assert (floor.passes_at, floor.fails_below) == (0.01 * 1.1, 0.01 * 0.9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(0, 100))
def test_percentiles_equal_those_of_numpy(values: list[float], percent: int) -> None:
    expected = float(np.percentile(values, percent))
    assert percentile(sorted(values), percent) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def floors_of(history: list[Sample], buffer: float = 0.10) -> Floors:
    return adaptive_floors(BASE, quartiles_of(history), buffer)


def test_floors_adapt_after_24_samples_and_never_fall_below_the_base() -> None:
    history = [
        Sample(ts=NOW + i * HOUR_MS, trades=40 + i, calmar=0.2 + i / 100, pnl=i / 1000, params="0a")
        for i in range(24)
    ]
    assert floors_of(history[:23]) == Floors(min_trades=10, calmar=0.15, pnl=0.0)
    floors = floors_of(history)
    assert floors.min_trades == pytest.approx(45.75 / 1.1)
    assert floors.calmar == pytest.approx(0.2575 / 1.1)
    assert floors.pnl == pytest.approx(0.00575 / 1.1)
    assert floors.pnl_range == pytest.approx(0.0115)
    poor = [Sample(ts=s.ts, trades=1, calmar=-1.0, pnl=-0.1, params="0a") for s in history]
    assert floors_of(poor) == Floors(min_trades=10, calmar=0.15, pnl=0.0, pnl_range=0.0)


figures = st.lists(
    st.tuples(st.integers(0, 200), st.floats(-5, 100), st.floats(-1, 1)), min_size=24, max_size=60
)


@given(figures, st.floats(0, 0.30))
def test_an_instrument_fails_below_its_own_worst_quarter_and_passes_above_it(
    rows: list[tuple[int, float, float]], buffer: float
) -> None:
    history = [
        Sample(ts=NOW, trades=row[0], calmar=row[1], pnl=row[2], params="0a") for row in rows
    ]
    quartiles = quartiles_of(history)
    assert quartiles is not None
    band = distances(summary(), floors_of(history, buffer), buffer)
    for edge, worst, base in zip(
        band, (quartiles.trades, quartiles.calmar, quartiles.pnl), (10, 0.15, 0.0), strict=True
    ):
        if worst > base * (1 + buffer):
            assert edge.passes_at == pytest.approx(worst, rel=1e-12)
            assert edge.passes_at <= worst
            assert edge.fails_below == pytest.approx(worst * (1 - buffer) / (1 + buffer))


@given(st.integers(13, 500), st.floats(0.2, 100), st.floats(1e-6, 1), st.floats(0, 0.30))
def test_a_steady_instrument_above_the_base_floors_opens_after_any_cooldown(
    trades: int, calmar: float, pnl: float, buffer: float
) -> None:
    history = [Sample(ts=NOW, trades=trades, calmar=calmar, pnl=pnl, params="0a")] * 720
    floors = floors_of(history, buffer)
    assert judge(distances(summary(trades, calmar, pnl), floors, buffer)) is Verdict.PASS
    cooled = GateState(watermark=5, cooldown_until=NOW)
    assert step(step(cooled, Verdict.PASS, 6, NOW), Verdict.PASS, 7, NOW).eligible


def test_floors_follow_from_the_history_under_the_parameters_in_force() -> None:
    floors = FloorsInForce(BASE)
    for i in range(48):
        params, calmar = ("0a", 2.0) if i % 2 else ("0b", 5.0)
        floors.add(Sample(ts=NOW + i * HOUR_MS, trades=20, calmar=calmar, pnl=0.01, params=params))
    now = NOW + 48 * HOUR_MS
    assert floors.at(now, "0a", 0.10).calmar == pytest.approx(2.0 / 1.1)
    assert floors.at(now, "0b", 0.10).calmar == pytest.approx(5.0 / 1.1)
    for unknown in ("0c", None):
        assert floors.at(now, unknown, 0.10) == Floors(min_trades=10, calmar=0.15, pnl=0.0)


def observed(**changes: object) -> Observation:
    fields = {
        "instrument": "EUR_USD",
        "summary": summary(),
        "watermark": NOW // 1000 - 60,
        "integrity": (),
        "session": OPEN,
        "params": "0a",
    }
    return Observation(**{**fields, **changes})  # type: ignore[arg-type]


FLOORS = adaptive_floors(BASE, None, 0.1)
ELIGIBLE = GateState(eligible=True, passes=5, watermark=0, params="0a")


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ()),
        ({"watermark": NOW // 1000 - 361}, (GateReason.CANDLES_STALE,)),
        ({"integrity": ("broken",)}, (GateReason.SPAN_INTEGRITY,)),
        ({"session": SessionState(False, None, None, ())}, (GateReason.SESSION_CLOSED,)),
        ({"session": SessionState(True, NOW // 1000 + 300, None, ())}, (GateReason.NEAR_CLOSE,)),
        ({"summary": None, "watermark": None}, (GateReason.NO_DATA,)),
        ({"params": None}, (GateReason.BAD_PARAMETERS,)),
    ],
)
def test_the_gate_of_an_eligible_instrument_needs_fresh_candles_in_an_open_market(
    changes: dict[str, object], reasons: tuple[GateReason, ...]
) -> None:
    result = evaluate(ELIGIBLE, [], observed(**changes), LIMITS, 0.1, NOW, floors=FLOORS)
    assert (result.gate, result.reasons) == (not reasons, reasons)


def test_nothing_is_counted_while_the_market_is_closed() -> None:
    closed = observed(session=SessionState(False, None, None, ()), summary=summary(calmar=-1))
    state = ELIGIBLE
    for _ in range(10):
        state = evaluate(state, [], closed, LIMITS, 0.1, NOW, floors=FLOORS).state
    assert state == ELIGIBLE


def test_a_change_of_parameters_closes_the_gate_until_two_evaluations_under_them_pass() -> None:
    state, gates = ELIGIBLE, []
    for minute, calmar in enumerate([1.0, 1.0, -1.0, 1.0, 1.0]):
        now = NOW + minute * 60_000
        seen = observed(
            watermark=now // 1000 - 60,
            params="0a" if minute == 0 else "0b",
            summary=summary(calmar=calmar),
        )
        result = evaluate(state, [], seen, LIMITS, 0.1, now, floors=FLOORS)
        gates.append((result.gate, result.eligibility_flipped, result.reasons))
        state = result.state
    new = GateReason.PARAMETERS_NEW
    assert gates == [
        (True, False, ()),
        (False, True, (new,)),
        (False, False, (new, GateReason.CALMAR_LOW)),
        (False, False, (new,)),
        (True, True, ()),
    ]


def test_a_cooldown_outlasts_a_change_of_parameters() -> None:
    cooling = GateState(watermark=5, cooldown_until=NOW + COOLDOWN_MS, params="0a")
    result = evaluate(cooling, [], observed(params="0b"), LIMITS, 0.1, NOW, floors=FLOORS)
    assert result.state.cooldown_until == cooling.cooldown_until
    assert result.reasons == (GateReason.PARAMETERS_NEW, GateReason.COOLDOWN)
    assert under(result.state, "0b") == result.state


def test_nothing_is_counted_while_the_parameters_are_invalid() -> None:
    seen = observed(params=None, summary=summary(calmar=-1))
    result = evaluate(ELIGIBLE, [], seen, LIMITS, 0.1, NOW, floors=FLOORS)
    assert (result.state, result.sample, result.band) == (ELIGIBLE, None, ())
    assert result.summary is None


def test_the_history_takes_one_sample_an_hour() -> None:
    history: list[Sample] = []
    state = GateState()
    rng = random.Random(1)
    for minute in range(600):
        now = NOW + minute * 60_000
        seen = observed(watermark=now // 1000 - 60, summary=summary(rng.randint(5, 50)))
        result = evaluate(state, history, seen, LIMITS, 0.1, now, floors=FLOORS)
        state = result.state
        history += [result.sample] if result.sample else []
    assert len(history) == 10

"""Hysteresis of eligibility, adaptive floors and the gate that follows from them."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_evaluator.domain.evaluation import GateLimits, Observation, evaluate
from sep_evaluator.domain.floors import HOUR_MS, BaseFloors, Sample, adaptive_floors, percentile
from sep_evaluator.domain.gates import (
    COOLDOWN_MS,
    GateReason,
    GateState,
    Verdict,
    clamp_buffer,
    distances,
    judge,
    step,
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
    floors = adaptive_floors(BASE, [])
    assert judge(distances(summary(11, 0.165, 0.0), floors, 0.10)) is Verdict.PASS
    assert judge(distances(summary(10, 0.165, 0.0), floors, 0.10)) is Verdict.HOLD
    assert judge(distances(summary(11, 0.14, 0.0), floors, 0.10)) is Verdict.HOLD
    assert judge(distances(summary(8, 0.5, 0.0), floors, 0.10)) is Verdict.FAIL
    assert judge(distances(summary(20, 0.5, -1e-9), floors, 0.10)) is Verdict.FAIL


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(0, 100))
def test_percentiles_equal_those_of_numpy(values: list[float], percent: int) -> None:
    expected = float(np.percentile(values, percent))
    assert percentile(sorted(values), percent) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_floors_adapt_after_24_samples_and_never_fall_below_the_base() -> None:
    history = [
        Sample(ts=NOW + i * HOUR_MS, trades=40 + i, calmar=0.2 + i / 100, pnl=i / 1000)
        for i in range(24)
    ]
    assert adaptive_floors(BASE, history[:23]).min_trades == 10
    floors = adaptive_floors(BASE, history)
    assert floors.min_trades == pytest.approx(51.5)
    assert floors.calmar == pytest.approx(0.315 + 0.10 * 0.115)
    assert floors.pnl == pytest.approx(0.0092)
    poor = [Sample(ts=s.ts, trades=1, calmar=-1.0, pnl=-0.1) for s in history]
    assert adaptive_floors(BASE, poor) == adaptive_floors(BASE, [])


def observed(**changes: object) -> Observation:
    fields = {
        "instrument": "EUR_USD",
        "summary": summary(),
        "watermark": NOW // 1000 - 60,
        "integrity": (),
        "session": OPEN,
    }
    return Observation(**{**fields, **changes})  # type: ignore[arg-type]


FLOORS = adaptive_floors(BASE, [])
ELIGIBLE = GateState(eligible=True, passes=5, watermark=0)


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ()),
        ({"watermark": NOW // 1000 - 361}, (GateReason.CANDLES_STALE,)),
        ({"integrity": ("broken",)}, (GateReason.SPAN_INTEGRITY,)),
        ({"session": SessionState(False, None, None, ())}, (GateReason.SESSION_CLOSED,)),
        ({"session": SessionState(True, NOW // 1000 + 300, None, ())}, (GateReason.NEAR_CLOSE,)),
        ({"summary": None, "watermark": None}, (GateReason.NO_DATA,)),
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

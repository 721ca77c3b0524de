"""Allocation as a pure function: candidates, Top-K, caps and held weights."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_allocator.domain.allocation import (
    NOTHING,
    Allocation,
    AllocationLimits,
    Gates,
    HoldReason,
    ManagedUnits,
    allocate,
    weights_of,
)
from sep_allocator.domain.score import ScoreWeights, Window, score
from sep_fx.sessions import SessionState

NOW = 1_700_000_000_000
OPEN = SessionState(True, NOW // 1000 + 86_400, None, ())
LIMITS = AllocationLimits(
    top_k=3,
    target_pct=Decimal("0.30"),
    max_per_position_pct=Decimal("0.35"),
    max_blob_age_s=180,
    exit_minutes=5,
    score_weights=ScoreWeights(),
)
WINDOW = Window(coherence=0.6, stability=0.9, entropy=0.8, rupture=0.1, hazard=0.05)
PAIRS = ("AUD_USD", "EUR_USD", "GBP_USD", "USD_CHF", "USD_JPY")
ALL = dict.fromkeys(PAIRS, WINDOW)
SESSIONS = dict.fromkeys(PAIRS, OPEN)


def gates(*, ts: int = NOW, closed: tuple[str, ...] = (), cooling: tuple[str, ...] = ()) -> Gates:
    return Gates(ts, {p: p not in closed for p in PAIRS}, {p: p in cooling for p in PAIRS})


def test_the_score_weighs_coherence_most() -> None:
    assert score(
        Window(coherence=1, stability=1, entropy=0, rupture=0, hazard=0), ScoreWeights()
    ) == pytest.approx(1.0)
    assert score(
        Window(coherence=0, stability=0, entropy=1, rupture=1, hazard=1), ScoreWeights(hazard=0.5)
    ) == pytest.approx(-0.5)


def test_the_top_k_by_score_get_weights_and_ties_go_by_name() -> None:
    windows = {**ALL, "USD_JPY": replace(WINDOW, coherence=0.9)}
    result = allocate(gates(), windows, SESSIONS, NOTHING, LIMITS, NOW)
    assert list(result.weights) == ["USD_JPY", "AUD_USD", "EUR_USD"]
    assert sum(result.weights.values()) <= 0.30


@pytest.mark.parametrize(
    "blocked",
    [
        {"gates": gates(closed=("EUR_USD",))},
        {"gates": gates(cooling=("EUR_USD",))},
        {"windows": {p: w for p, w in ALL.items() if p != "EUR_USD"}},
        {"sessions": {**SESSIONS, "EUR_USD": SessionState(False, None, None, ())}},
        {"sessions": {**SESSIONS, "EUR_USD": replace(OPEN, closes_at=NOW // 1000 + 300)}},
        {"sessions": {p: OPEN for p in PAIRS if p != "EUR_USD"}},
    ],
)
def test_an_instrument_closed_cooling_near_its_close_or_unknown_is_no_candidate(
    blocked: dict[str, object],
) -> None:
    inputs = {"gates": gates(), "windows": ALL, "sessions": SESSIONS, **blocked}
    top = replace(LIMITS, top_k=5)
    result = allocate(**inputs, previous=NOTHING, limits=top, now_ms=NOW)  # type: ignore[arg-type]
    assert set(result.weights) == set(PAIRS) - {"EUR_USD"}


PREVIOUS = Allocation(
    ts=NOW - 999,
    gates_ts=NOW - 1000,
    weights={"EUR_USD": 0.1},
    scores={"EUR_USD": 0.7},
    held=False,
    held_reason=None,
)


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (HoldReason.BLOB_MISSING, HoldReason.BLOB_MISSING),
        (HoldReason.BLOB_MALFORMED, HoldReason.BLOB_MALFORMED),
        (gates(ts=NOW - 180_001), HoldReason.BLOB_STALE),
        (gates(ts=NOW + 5_001), HoldReason.BLOB_FROM_FUTURE),
    ],
)
def test_gates_that_can_not_be_trusted_hold_the_previous_weights_and_their_time(
    blob: Gates | HoldReason, reason: HoldReason
) -> None:
    held = allocate(blob, ALL, SESSIONS, PREVIOUS, LIMITS, NOW)
    assert (held.weights, held.ts) == (PREVIOUS.weights, PREVIOUS.ts)
    assert (held.held, held.held_reason) == (True, reason)


def test_a_fresh_blob_without_a_candidate_publishes_empty_weights() -> None:
    result = allocate(gates(closed=PAIRS), ALL, SESSIONS, PREVIOUS, LIMITS, NOW)
    assert (result.weights, result.held, result.ts) == ({}, False, NOW)


def test_while_the_market_is_closed_the_weights_stay_and_are_not_held() -> None:
    closed = allocate(gates(closed=PAIRS), ALL, SESSIONS, PREVIOUS, LIMITS, NOW, market_open=False)
    assert closed == PREVIOUS
    was_held = replace(PREVIOUS, held=True, held_reason=HoldReason.BLOB_STALE)
    again = allocate(gates(), ALL, SESSIONS, was_held, LIMITS, NOW, market_open=False)
    assert again == PREVIOUS
    stale = allocate(
        gates(ts=NOW - 999_999), ALL, SESSIONS, PREVIOUS, LIMITS, NOW, market_open=False
    )
    assert (stale.weights, stale.held) == (PREVIOUS.weights, True)
    # A first start on a Sunday publishes empty weights, rather than none.
    first = allocate(gates(closed=PAIRS), ALL, SESSIONS, NOTHING, LIMITS, NOW, market_open=False)
    assert (first.weights, first.held, first.ts) == ({}, False, NOW)


UNIT = st.floats(0, 1)
WINDOWS = st.builds(Window, coherence=UNIT, stability=UNIT, entropy=UNIT, rupture=UNIT, hazard=UNIT)


@given(
    st.dictionaries(st.sampled_from(PAIRS), WINDOWS),
    st.sets(st.sampled_from(PAIRS)),
    st.sets(st.sampled_from(PAIRS)),
    st.integers(1, 6),
    st.floats(0, 2),
)
def test_weights_are_score_shares_of_the_target_within_the_cap_for_the_top_k(
    windows: dict[str, Window], closed: set[str], cooling: set[str], top_k: int, hazard: float
) -> None:
    """The formulas of the contract, computed independently."""
    limits = replace(LIMITS, top_k=top_k, score_weights=ScoreWeights(hazard=hazard))
    blob = gates(closed=(*closed,), cooling=(*cooling,))
    result = allocate(blob, windows, SESSIONS, NOTHING, limits, NOW)
    scores = {
        i: 0.6 * w.coherence + 0.2 * w.stability + 0.15 * (1 - w.rupture)
        + 0.05 * (1 - w.entropy) - hazard * w.hazard
        for i, w in windows.items()
    }  # fmt: skip
    assert result.scores == pytest.approx(scores)
    candidates = [i for i in windows if i not in closed | cooling and result.scores[i] > 0]
    top = sorted(candidates, key=lambda i: (-result.scores[i], i))[:top_k]
    assert list(result.weights) == top
    total = sum(result.scores[i] for i in top)
    for i in top:
        wanted = min(0.30 * result.scores[i] / total, 0.30 * min(1 / top_k, 0.35))
        assert result.weights[i] == pytest.approx(wanted, abs=2e-9)


@given(
    st.dictionaries(st.text("ABC", min_size=1, max_size=4), st.floats(1e-6, 5), max_size=12),
    st.integers(1, 12),
    st.decimals("0.01", "0.30", places=4),
    st.decimals("0.01", "1", places=4),
)
def test_no_weights_ever_pass_the_cap_or_the_target(
    scores: dict[str, float], top_k: int, target: Decimal, per_position: Decimal
) -> None:
    limits = replace(LIMITS, top_k=top_k, target_pct=target, max_per_position_pct=per_position)
    weights = weights_of(dict(list(scores.items())[:top_k]), limits)
    exact = [Decimal(w) for w in weights.values()]
    assert all(0 <= w <= limits.cap + Decimal("1e-15") for w in exact)
    assert sum(exact) <= target + Decimal("1e-15")


def managed(*instruments: str, ts: int = NOW) -> ManagedUnits:
    return ManagedUnits(ts=ts, instruments=frozenset(instruments))


BETTER = {p: replace(WINDOW, coherence=0.9) for p in PAIRS if p != "USD_JPY"} | {"USD_JPY": WINDOW}


def test_a_held_instrument_stays_until_three_blobs_in_a_row_show_a_better_one() -> None:
    result, selections = NOTHING, []
    for blob in range(3):
        ts = NOW + blob * 60_000
        units = managed("USD_JPY", ts=ts)
        limits = replace(LIMITS, top_k=1)
        for _ in range(2):  # the same blob again counts once
            result = allocate(gates(ts=ts), BETTER, SESSIONS, result, limits, ts, managed=units)
        selections.append(tuple(result.weights))
    assert selections == [("USD_JPY",), ("USD_JPY",), ("AUD_USD",)]
    assert result.challenges == {}


@pytest.mark.parametrize(("has_units", "times"), [(True, 3), (False, 60)])
def test_a_challenger_closes_a_position_at_most_once_an_hour(has_units: bool, times: int) -> None:
    """Whose position it is does not matter. A slot without a position changes at any time."""
    limits, result, lost = replace(LIMITS, top_k=1), NOTHING, []
    for minute in range(180):
        ts = NOW + minute * 60_000
        if result.displaced or not minute:
            # The position is closed, and one in a weak instrument is opened again.
            result = replace(result, weights={"USD_JPY": 0.1}, displaced=())
        held = managed("USD_JPY", ts=ts) if has_units else None
        result = allocate(gates(ts=ts), BETTER, SESSIONS, result, limits, ts, managed=held)
        lost += [minute] if result.displaced else []
    assert len(lost) == times
    if has_units:
        assert all(then - at >= 60 for at, then in pairwise(lost))


@pytest.mark.parametrize("units", [None, managed("AUD_USD", ts=NOW - 180_000)])
def test_without_recent_units_the_previous_selection_holds_the_slots(
    units: ManagedUnits | None,
) -> None:
    previous = replace(PREVIOUS, weights={"USD_JPY": 0.1})
    limits = replace(LIMITS, top_k=1)
    result = allocate(gates(), BETTER, SESSIONS, previous, limits, NOW, managed=units)
    assert list(result.weights) == ["USD_JPY"]
    flat = allocate(gates(), BETTER, SESSIONS, previous, limits, NOW, managed=managed())
    assert list(flat.weights) == ["AUD_USD"]


def stale(*instruments: str, reasons: tuple[str, ...] = ("CANDLES_STALE",)) -> Gates:
    blob = gates(closed=instruments)
    return replace(blob, reasons=dict.fromkeys(instruments, reasons))


def test_old_candles_alone_leave_the_weight_and_its_slot_as_they_were() -> None:
    previous = replace(PREVIOUS, weights={"EUR_USD": 0.07})
    result = allocate(stale("EUR_USD"), ALL, SESSIONS, previous, LIMITS, NOW, managed=managed())
    assert (result.weights["EUR_USD"], result.retained) == (0.07, ("EUR_USD",))
    assert len(result.weights) == 3
    more = stale("EUR_USD", reasons=("CALMAR_LOW", "CANDLES_STALE"))
    assert "EUR_USD" not in allocate(more, ALL, SESSIONS, previous, LIMITS, NOW).weights
    unknown = gates(closed=("EUR_USD",))
    assert "EUR_USD" not in allocate(unknown, ALL, SESSIONS, previous, LIMITS, NOW).weights


@given(
    st.dictionaries(st.sampled_from(PAIRS), st.floats(0, 1)), st.sets(st.sampled_from(PAIRS)),
    st.sets(st.sampled_from(PAIRS)), st.integers(1, 5),
)  # fmt: skip
def test_retained_weights_never_lift_the_sum_over_the_target(
    weights: dict[str, float], old: set[str], held: set[str], top_k: int
) -> None:
    previous = replace(PREVIOUS, weights=weights)
    limits = replace(LIMITS, top_k=top_k)
    result = allocate(stale(*old), ALL, SESSIONS, previous, limits, NOW, managed=managed(*held))
    assert len(result.weights) <= top_k
    assert sum(Decimal(w) for w in result.weights.values()) <= limits.target_pct + Decimal("1e-8")

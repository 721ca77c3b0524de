"""The guard holds what the gate was judged by: stricter thresholds, and the cooldowns."""

from dataclasses import replace
from decimal import Decimal

import pytest
from sep_guard.domain.actions import Kind
from sep_guard.domain.checks import Refusal
from sep_guard.domain.market import Holding, Market, SignalParams
from sep_guard.domain.risk import activity
from sep_guard.domain.risk.context import RiskContext
from sep_guard.domain.risk.exposure import exposure_of
from sep_guard.domain.risk.ledger_events import LedgerPage
from sep_guard.domain.sizing import SizeReason
from sep_guard.domain.target_side import Cause
from sep_guard.domain.view import View

from .risk.limits import LIMITS as RISK
from .risk.test_activity import EUR, closed, opened
from .risk.test_activity import NOW as LEDGER_NOW
from .test_cycle import LIMITS, NOW, SIGNAL, WEIGHTS, market, only, view

D = Decimal
PARAMS = SignalParams(
    c_min=0.5,
    min_stability=0.3,
    max_rupture=0.7,
    max_entropy=0.8,
    max_spread_bps=D(5),
    entry_cooldown_s=180,
    exit_cooldown_s=120,
)
ENDED = SIGNAL.ended_ms
MINUTE = 60_000


def judged(**changes: object) -> Market:
    params = replace(PARAMS, **changes)  # type: ignore[arg-type]
    return market(signal=replace(SIGNAL, params=params))


def with_times(one: Market, **times: int) -> View:
    known = {name: {"EUR_USD": at} for name, at in times.items()}
    risk = RiskContext(readable=True, exposure=exposure_of([one]), **known)  # type: ignore[arg-type]
    return view(one, risk=risk)


@pytest.mark.parametrize(
    ("stricter", "reason"),
    [
        ({"c_min": 0.63}, Refusal.COHERENCE_LOW),
        ({"min_stability": 0.91}, Refusal.STABILITY_LOW),
        ({"max_rupture": 0.09}, Refusal.RUPTURE_HIGH),
        ({"max_entropy": 0.69}, Refusal.ENTROPY_HIGH),
        ({"max_spread_bps": D("0.5")}, Refusal.SPREAD_WIDE),
    ],
)
def test_an_entry_is_held_to_the_stricter_of_guard_and_parameters(
    stricter: dict[str, object], reason: Refusal
) -> None:
    assert only(view(judged())).kind is Kind.ENTRY
    assert only(view(judged(**stricter))).reasons == (reason,)


def test_looser_parameters_loosen_nothing() -> None:
    loose = judged(c_min=0.0, max_entropy=1.0, max_spread_bps=D(1000))
    strict = replace(LIMITS, entry=replace(LIMITS.entry, min_coherence=0.63))
    assert only(view(loose), strict).reasons == (Refusal.COHERENCE_LOW,)


@pytest.mark.parametrize(
    ("exited_ms", "passes"),
    [
        # In the bar that ended with the signal, two bars before, and three bars before.
        (ENDED - 1, False),
        (ENDED + 3_000, False),
        (ENDED - 2 * MINUTE - 1_000, True),
        (ENDED - 2 * MINUTE + 1_000, False),
    ],
)
def test_an_entry_waits_for_its_cooldown_counted_in_bars(exited_ms: int, passes: bool) -> None:
    action = only(with_times(judged(), last_exit_ms=exited_ms))
    assert action.kind is (Kind.ENTRY if passes else Kind.REFUSAL)
    if not passes:
        assert action.reasons == (Refusal.ENTRY_COOLDOWN,)


def test_without_a_cooldown_an_entry_still_needs_a_signal_after_the_exit() -> None:
    one = judged(entry_cooldown_s=0)
    assert only(with_times(one, last_exit_ms=ENDED + 1)).reasons == (Refusal.ENTRY_COOLDOWN,)
    assert only(with_times(one, last_exit_ms=ENDED - 1)).kind is Kind.ENTRY


def test_ramp_steps_of_a_held_position_need_no_cooldown() -> None:
    one = replace(judged(), holding=Holding(managed=D(1000)))
    assert only(with_times(one, last_exit_ms=ENDED - 1)).kind is Kind.ENTRY


def test_a_position_grows_by_the_steps_of_its_entry_alone() -> None:
    one = replace(judged(), holding=Holding(managed=D(1000)))
    ramping = replace(LIMITS, portfolio=replace(LIMITS.portfolio, ramp_s=90))
    assert only(with_times(one, last_entry_ms=NOW - 89_999), ramping).kind is Kind.ENTRY
    late = only(with_times(one, last_entry_ms=NOW - 90_000), ramping)
    assert (late.kind, late.reasons) == (Kind.HOLD, (SizeReason.RAMP_ENDED,))
    assert only(view(one), ramping).kind is Kind.ENTRY


@pytest.mark.parametrize("cause", [Cause.REVERSAL, Cause.RUPTURE])
def test_reversal_and_rupture_wait_for_the_exit_cooldown(cause: Cause) -> None:
    one = judged()
    assert one.signal is not None
    turned = {"direction": -1} if cause is Cause.REVERSAL else {"rupture": 0.65}
    one = replace(
        one,
        signal=replace(one.signal, **turned),
        holding=Holding(managed=D(1000)),
    )
    early, due = ENDED - MINUTE + 2_000, ENDED - 2 * MINUTE + 2_000
    assert only(with_times(one, last_entry_ms=early)).kind is not Kind.REDUCTION
    assert only(with_times(one, last_entry_ms=due)).reasons == (cause,)
    assert only(view(one)).reasons == (cause,)
    gone = replace(WEIGHTS, by_instrument={})
    closing = replace(with_times(one, last_entry_ms=early), weights=gone)
    assert only(closing).reasons == (Cause.WEIGHT_GONE,)


def test_a_position_leaves_by_rupture_at_the_stricter_threshold() -> None:
    held = replace(judged(max_rupture=0.05), holding=Holding(managed=D(1000)))
    assert only(view(held)).reasons == (Cause.RUPTURE,)


def test_a_held_weight_neither_enters_nor_exits() -> None:
    weights = replace(WEIGHTS, held_instruments=frozenset({"EUR_USD"}))
    assert only(view(weights=weights)).reasons == (Refusal.WEIGHTS_STALE,)
    held = market(holding=Holding(managed=D(454_000)))
    assert only(view(held, weights=weights)).kind is Kind.HOLD
    assert only(view(market(), now_ms=NOW)).kind is Kind.ENTRY


def test_times_of_entry_and_exit_come_from_the_ledger() -> None:
    """Steps belong to their position, and a position is closed when its last trade is."""
    events = (opened(1), opened(2), closed(3, 1), closed(4, 2), opened(9), closed(10, 9, "40"))
    page = LedgerPage(events=events, through_id=10)
    counts = activity.fold(activity.begin(0, (), LEDGER_NOW), page, RISK, LEDGER_NOW).activity
    found = counts.of(EUR)
    assert (found.last_entry_ms, found.last_exit_ms) == (LEDGER_NOW + 9_000, LEDGER_NOW + 4_000)

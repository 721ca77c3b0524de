"""Limiters of an entry's size: order, cuts, holds, refusals, rounding."""

from decimal import Decimal

import pytest
from sep_guard.domain import entry_decision
from sep_guard.domain.actions import Kind
from sep_guard.domain.budget import Capacity
from sep_guard.domain.case import Case
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.entry_limiters import (
    LIMITERS,
    budget_left,
    limit_entry,
    margin_mismatch,
    outside_band,
    ramp_ended,
    ramp_step,
)
from sep_guard.domain.entry_request import PASSED, EntryRequest, Limited, cut, hold, refuse
from sep_guard.domain.market import Holding
from sep_guard.domain.risk.limiters import currency, leverage, loss_at_stop, turnover
from sep_guard.domain.sizing import Size, SizeReason

from .test_cycle import LIMITS, market, view

D = Decimal
PER_UNIT = D("0.02")


def request(target: int = 100_000, current: int = 0, headroom: str = "30000") -> EntryRequest:
    one = market(holding=Holding(managed=D(current)))
    capacity = Capacity(headroom=D(headroom), base=D(100_000))
    case = Case.of(view(one), one, LIMITS, capacity)
    return EntryRequest.of(case, D(target), PER_UNIT)


def test_a_request_is_the_growth_of_the_position_in_units_and_margin() -> None:
    asked = request(target=-100_000, current=-40_000)
    assert (asked.units, asked.margin) == (D(60_000), D(1_200))


def test_without_limiters_the_whole_request_is_ordered() -> None:
    size = limit_entry(request(target=-100_000, current=-40_000), ())
    assert (size.order, size.margin, size.reasons) == (D(-60_000), D(1_200), ())


def test_each_limiter_gets_what_the_ones_before_it_left() -> None:
    seen: list[Decimal] = []

    def halve(_: EntryRequest, margin: Decimal) -> Limited:
        seen.append(margin)
        return cut(margin / 2, f"HALF_{len(seen)}")

    size = limit_entry(request(), (halve, lambda *_: PASSED, halve))
    assert seen == [D(2_000), D(1_000)]
    assert (size.order, size.margin) == (D(25_000), D(500))
    assert size.reasons == ("HALF_1", "HALF_2")


def test_a_hold_ends_the_sequence_and_keeps_earlier_reasons() -> None:
    limiters = (
        lambda _, margin: cut(margin / 2, "FIRST"), lambda *_: hold("SECOND"),
        lambda *_: refuse("NEVER_REACHED"),
    )  # fmt: skip
    size = limit_entry(request(), limiters)
    assert (size.order, size.reasons, size.refused) == (D(0), ("FIRST", "SECOND"), False)


def test_a_refusal_has_only_its_own_reason() -> None:
    limiters = (lambda _, margin: cut(margin / 2, "FIRST"), lambda *_: refuse("TOO_RISKY"))
    size = limit_entry(request(), limiters)
    assert (size.order, size.reasons, size.refused) == (D(0), ("TOO_RISKY",), True)


def test_a_cut_below_the_minimum_trade_size_orders_nothing() -> None:
    size = limit_entry(request(), (lambda *_: cut(D("0.019"), "SMALL"),))
    assert (size.order, size.reasons) == (D(0), ("SMALL", SizeReason.UNITS_BELOW_MINIMUM))


def test_the_limiters_in_force_are_band_ramp_and_budget_then_the_risk_limits() -> None:
    risk = (loss_at_stop, leverage, currency, turnover)
    expected = (outside_band, margin_mismatch, ramp_ended, ramp_step, budget_left, *risk)
    assert expected == LIMITERS
    assert outside_band(request(105_000, 100_000), D(100)) == hold(SizeReason.WITHIN_BAND)
    # A quarter of the budget of 30,000.
    assert ramp_step(request(), D(7_501)) == cut(D("7500.0000"), SizeReason.RAMP_LIMITED)
    assert ramp_step(request(), D(7_500)) == PASSED
    assert budget_left(request(headroom="700"), D(701)) == cut(D(700), SizeReason.BUDGET_LIMITED)
    assert budget_left(request(headroom="0"), D(1)) == hold(SizeReason.BUDGET_EXHAUSTED)
    # Less than the band of a tenth of the target is not worth an order.
    assert budget_left(request(headroom="199"), D(200)) == hold(SizeReason.BUDGET_EXHAUSTED)


def test_a_limiter_that_refuses_leads_to_a_recorded_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reasons of failed checks come first, then those of the limiters."""

    def limited(asked: EntryRequest) -> Size:
        return limit_entry(asked, (*LIMITERS, lambda *_: refuse("TOO_RISKY")))

    monkeypatch.setattr(entry_decision, "limit_entry", limited)
    (flat,) = plan_cycle(view(), LIMITS).actions
    (growing,) = plan_cycle(view(market(holding=Holding(managed=D(100)))), LIMITS).actions
    (stale,) = plan_cycle(view(market(manifold_ms=None)), LIMITS).actions
    for action in (flat, growing):
        assert (action.kind, action.order) == (Kind.REFUSAL, D(0))
        assert action.reasons == ("TOO_RISKY",)
    assert stale.reasons == ("MANIFOLD_STALE", "TOO_RISKY")

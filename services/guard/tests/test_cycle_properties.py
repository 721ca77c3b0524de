"""Properties of every plan, over random accounts, weights, prices, positions and limits."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sep_guard.adapters.decision_records import DecisionRecord, DrainRecord
from sep_guard.adapters.remade_decisions import decide_again, plan_again
from sep_guard.domain.actions import Action, Kind, Plan
from sep_guard.domain.budget import budget_of, drain_budget_of
from sep_guard.domain.checks import Refusal, failed
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.drain import DrainLimits, plan_drain
from sep_guard.domain.entry_checks import check_entry
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.margin_gate import utilisation
from sep_guard.domain.market import Holding, Quote, Signal, Weights
from sep_guard.domain.target_side import Cause
from sep_guard.domain.view import View

from .view_strategies import NOW, applied, limits, margin_of, true_views, views

D = Decimal
many = settings(max_examples=100)


def orders(plan: Plan, kind: Kind) -> dict[str, Action]:
    return {a.instrument: a for a in plan.actions if a.kind is kind}


@many
@given(views(), limits())
def test_no_plan_ever_exceeds_a_cap_a_ramp_step_or_the_budget(view: View, lim: GuardLimits) -> None:
    plan = plan_cycle(view, lim)
    account, budget = view.account, budget_of(view.account, lim.portfolio)
    added = D(0)
    for name, a in orders(plan, Kind.ENTRY).items():
        market = view.markets[name]
        grown = margin_of(market, a.order)
        assert 0 < grown <= budget.ramp_step
        assert margin_of(market, a.current + a.order) <= budget.per_instrument
        assert abs(a.order) <= market.instrument.maximum_order_units
        assert abs(a.order) >= market.instrument.minimum_trade_size
        assert a.order == market.instrument.round_units(a.order)
        assert a.margin == grown
        added += grown
    if added:
        used = account.margin_used + added
        assert used <= lim.portfolio.target_pct * min(account.balance, account.margin_available)
        # The margin that the entries take is no longer available.
        assert used <= lim.portfolio.target_pct * (account.margin_available - added) + D("1e-9")


@many
@given(views(), limits())
def test_an_entry_fulfils_every_condition(view: View, lim: GuardLimits) -> None:
    """Each condition is checked here on its own, not by ``check_entry``."""
    for name, a in orders(plan_cycle(view, lim), Kind.ENTRY).items():
        market, entry = view.markets[name], lim.entry
        assert not view.controls.kill_switch
        assert not view.controls.read_only
        assert view.controls.live_allowed
        assert view.link_sound
        signal, quote, weights = market.signal, market.quote, view.weights
        assert isinstance(signal, Signal)
        assert isinstance(quote, Quote)
        assert isinstance(weights, Weights)
        assert signal.coherence >= entry.min_coherence >= 0.55
        assert signal.rupture <= entry.max_rupture
        assert signal.entropy <= entry.max_entropy
        assert signal.stability >= entry.min_stability
        assert signal.direction == (1 if a.order > 0 else -1)
        for made_ms, limit_s in (
            (signal.ended_ms, entry.max_signal_age_s),
            (market.manifold_ms, entry.max_manifold_age_s),
            (quote.ts_ms, entry.max_manifold_age_s),
            (weights.ts, entry.max_weights_age_s),
            (weights.gates_ts, entry.max_weights_age_s),
        ):
            assert made_ms is not None
            assert -5_000 <= NOW - made_ms < limit_s * 1000
        assert not weights.held
        assert weights.by_instrument[name] > 0
        assert quote.tradeable
        assert 0 <= (quote.ask - quote.bid) * 10_000 <= entry.max_spread_bps * quote.mid
        assert market.session.open
        assert market.session.closes_at is not None
        assert market.session.closes_at * 1000 - NOW > entry.exit_minutes * 60_000
        used = utilisation(view.account)
        assert used < lim.portfolio.margin_high
        assert used < lim.portfolio.margin_low or view.margin_was_open
        assert not market.order_unknown
        assert lim.portfolio.adopt_manual or not market.holding.manual
        # It increases the position; it never reverses it in one order.
        assert a.current * a.order >= 0
        assert a.brackets is not None


@many
@given(views(), limits())
def test_only_read_only_refuses_a_reduction(view: View, lim: GuardLimits) -> None:
    """The same reductions are planned whatever checks and controls are; READ_ONLY stops all."""
    shut = replace(
        view,
        controls=replace(view.controls, kill_switch=True, read_only=False, live_allowed=False),
        link_sound=False,
        margin_was_open=False,
        markets={
            i: replace(m, manifold_ms=None, order_unknown=True) for i, m in view.markets.items()
        },
    )
    free = replace(view, controls=replace(view.controls, kill_switch=False, read_only=False))
    reductions = orders(plan_cycle(free, lim), Kind.REDUCTION)
    under_halt = orders(plan_cycle(shut, lim), Kind.REDUCTION)
    assert {i: a.order for i, a in reductions.items()} == {
        i: a.order for i, a in under_halt.items()
    }
    for a in reductions.values():
        assert a.order
        assert abs(a.current + a.order) < abs(a.current)
        assert (a.current + a.order) * a.current >= 0
    nothing = replace(view, controls=replace(view.controls, read_only=True))
    actions = {a.instrument: a for a in plan_cycle(nothing, lim).actions}
    assert not any(a.order for a in actions.values())
    for name in reductions:
        assert actions[name].kind is Kind.REFUSAL
        assert actions[name].reasons[0] == Refusal.READ_ONLY


@many
@given(limits().flatmap(lambda lim: st.tuples(st.just(lim), true_views(lim))))
def test_plans_that_are_filled_converge(
    given_pair: tuple[GuardLimits, View],
) -> None:
    """Plan and fill in turn until a plan has no order; the next plan then has none either.

    In a market that stands still no entry is followed by a reduction, and no cut back to a
    weight by an entry: every order is one that was needed.
    """
    lim, view = given_pair
    targets: dict[str, Decimal] = {}
    history: list[Plan] = []
    for _ in range(300):
        plan = plan_cycle(view, lim)
        history.append(plan)
        if not any(a.order for a in plan.actions):
            break
        view = applied(view, plan)
    else:
        raise AssertionError(f"no rest after {len(history)} cycles: {history[-1].actions}")
    assert not any(a.order for a in plan_cycle(view, lim).actions)
    grown: set[str] = set()
    cut: set[str] = set()
    for plan in history:
        grown |= orders(plan, Kind.ENTRY).keys()
        for name, a in orders(plan, Kind.REDUCTION).items():
            assert name not in grown, f"{name} was opened to be closed"
            if a.reasons == (Cause.REBALANCE,):
                cut.add(name)
        assert not cut & grown
    # A target is the final size of a position: it does not move while it is filled.
    for before, after in pairwise(history):
        targets = {a.instrument: a.target for a in before.actions if a.kind is Kind.ENTRY}
        for a in after.actions:
            if a.instrument in targets:
                step = D(1).scaleb(-view.markets[a.instrument].instrument.trade_units_precision)
                assert abs(a.target - targets[a.instrument]) <= step


@many
@given(limits().flatmap(lambda lim: st.tuples(st.just(lim), true_views(lim))))
def test_at_rest_positions_are_their_weights_times_the_margin_available(
    given_pair: tuple[GuardLimits, View],
) -> None:
    lim, view = given_pair
    lim = replace(lim, portfolio=replace(lim.portfolio, rebalance_band=D(0), ramp_step_pct=D(1)))
    flat = {i: replace(m, holding=Holding()) for i, m in view.markets.items()}
    nav = view.account.nav
    account = replace(view.account, balance=nav, margin_used=D(0), margin_available=nav)
    view = replace(view, markets=flat, account=account)
    for _ in range(50):
        plan = plan_cycle(view, lim)
        if not any(a.order for a in plan.actions):
            break
        view = applied(view, plan)
    available = view.account.margin_available
    assert view.weights is not None
    slack = {}
    for name, market in view.markets.items():
        step = D(1).scaleb(-market.instrument.trade_units_precision)
        slack[name] = margin_of(market, step + market.instrument.minimum_trade_size)
    for name, weight in view.weights.by_instrument.items():
        rules = lim.portfolio
        cap = rules.target_pct * min(D(1) / rules.top_k, rules.max_per_position_pct)
        wanted, held = min(weight, cap) * available, margin_of(view.markets[name])
        assert held <= wanted + slack[name]
        # Positions below their minimum size leave slightly more margin available.
        assert held >= wanted - sum(slack.values()) - D("0.01") or not held


@many
@given(views(), limits())
def test_manual_exposure_counts_against_cap_and_budget_and_is_never_traded(
    view: View, lim: GuardLimits
) -> None:
    plan = plan_cycle(view, lim)
    for a in plan.actions:
        held = view.markets[a.instrument].holding
        if lim.portfolio.adopt_manual:
            continue
        assert abs(a.order) <= abs(held.managed) or not held.manual
        if not held.managed and held.manual:
            assert not a.order
            assert a.kind in (Kind.MANUAL, Kind.REFUSAL)
        if a.kind is Kind.ENTRY:
            assert not held.manual


@many
@given(views(), limits())
def test_every_decision_can_be_reproduced_from_its_record(view: View, lim: GuardLimits) -> None:
    for a in plan_cycle(view, lim).actions:
        text = DecisionRecord.of("an-id", a, view, lim).model_dump_json()
        record = DecisionRecord.model_validate_json(text)
        assert record.to_action() == a
        assert decide_again(record) == a


@many
@given(views(), limits(), st.decimals("0", "1", places=2), st.sampled_from([D(0), D(500)]))
def test_every_close_of_a_drain_can_be_reproduced_from_its_record(
    view: View, lim: GuardLimits, buffer: Decimal, least: Decimal
) -> None:
    drain = DrainLimits(buffer=buffer, min_units=least)
    budget = drain_budget_of(view.account, lim.portfolio)
    for close in plan_drain(view.account, view.markets.values(), budget, drain).closes:
        record = DrainRecord.of("an-id", close, view, lim.portfolio, drain)
        read = DrainRecord.model_validate_json(record.model_dump_json())
        assert plan_again(read) == close


@many
@given(views(), limits())
def test_reductions_come_before_increases(view: View, lim: GuardLimits) -> None:
    kinds = [a.kind is Kind.REDUCTION for a in plan_cycle(view, lim).actions]
    assert kinds == sorted(kinds, reverse=True)


@many
@given(views(), limits())
def test_every_action_has_a_reason(view: View, lim: GuardLimits) -> None:
    for a in plan_cycle(view, lim).actions:
        assert a.reasons, a
        if a.kind is Kind.REFUSAL and a.checks:
            # A limiter's refusal of the size comes after them.
            found = failed(check_entry(view, view.markets[a.instrument], lim))
            assert a.reasons[: len(found)] == found


@many
@given(views(), limits(), st.data())
def test_a_plan_does_not_depend_on_the_order_of_the_markets(
    view: View, lim: GuardLimits, data: Any
) -> None:
    assume(len(view.markets) > 1)
    shuffled = data.draw(st.permutations(list(view.markets.items())))
    again = plan_cycle(replace(view, markets=dict(shuffled)), lim)
    assert again == plan_cycle(view, lim)

"""Entries that look sound one by one, as whole plans under the default limits."""

from dataclasses import replace
from decimal import Decimal

import pytest
from sep_guard.domain.actions import Action, Kind
from sep_guard.domain.checks import Refusal
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.market import Bracket, Holding, Market, Quote, Weights
from sep_guard.domain.risk.limits import LimitName

from .risk.limits import LIMITS as RISK_LIMITS
from .test_cycle import LIMITS as CYCLE_LIMITS
from .test_cycle import NOW, SIGNAL, WEIGHTS, market, only, view

D = Decimal
LIMITS = replace(CYCLE_LIMITS, risk=RISK_LIMITS)


def at_mid(mid: str) -> Quote:
    return Quote(bid=D(mid), ask=D(mid) + D("0.00012"), ts_ms=NOW - 500, tradeable=True)


def decided(one: Market, weight: str = "0.10") -> Action:
    weights = replace(WEIGHTS, by_instrument={one.instrument.name: D(weight)})
    return only(view(one, weights=weights), LIMITS)


@pytest.mark.parametrize("mid", ["1.21", "0.99"])
@pytest.mark.parametrize("wrong", ["both", "candle", "manifold"])
def test_a_quote_ten_percent_off_a_reference_takes_no_entry(mid: str, wrong: str) -> None:
    """Off its last candle, its live manifold, or both."""
    quote = at_mid(mid)
    near = quote.mid
    one = market(
        quote=quote,
        signal=replace(SIGNAL, close=near if wrong == "manifold" else SIGNAL.close),
        manifold_price=near if wrong == "candle" else D("1.1"),
    )
    action = decided(one)
    assert (action.kind, action.order) == (Kind.REFUSAL, D(0))
    assert action.reasons == (Refusal.RISK_REFERENCE_PRICE,)


@pytest.mark.parametrize(
    ("sigma", "mid", "passes"),
    [
        # The collar of 30 basis points; then six sigma of 10, which is wider.
        ("0.0001", "1.1031", True),
        ("0.0001", "1.1034", False),
        ("0.0010", "1.1064", True),
        ("0.0010", "1.1068", False),
    ],
)
def test_the_collar_is_thirty_basis_points_or_six_sigma(
    sigma: str, mid: str, *, passes: bool
) -> None:
    one = market(quote=at_mid(mid), signal=replace(SIGNAL, sigma_eff=D(sigma)))
    action = decided(one)
    assert (Refusal.RISK_REFERENCE_PRICE not in action.reasons) is passes


@pytest.mark.parametrize("missing", ["candle", "manifold"])
def test_without_a_reference_nothing_is_entered(missing: str) -> None:
    one = (
        market(signal=replace(SIGNAL, close=None))
        if missing == "candle"
        else market(manifold_price=None)
    )
    assert decided(one).reasons == (Refusal.RISK_REFERENCE_PRICE,)


def test_on_a_quote_off_its_reference_nothing_is_rebalanced_and_exits_go_on() -> None:
    held = market(quote=at_mid("1.21"), holding=Holding(managed=D(60_000)))
    rebalancing = decided(held, "0.01")
    assert (rebalancing.kind, rebalancing.reasons) == (
        Kind.HOLD,
        (Refusal.RISK_REFERENCE_PRICE,),
    )
    gone = only(view(held, weights=replace(WEIGHTS, by_instrument={})), LIMITS)
    assert (gone.kind, gone.order) == (Kind.REDUCTION, D(-60_000))
    turned = replace(held, signal=replace(SIGNAL, direction=-1))
    assert decided(turned).order == -60_000


def test_a_stop_eighteen_percent_away_costs_half_a_percent_of_nav_at_most() -> None:
    far = Bracket(stop=D("0.198"), take_profit=D("0.3"), max_spread=D("0.0004"))
    action = decided(market(signal=replace(SIGNAL, bracket=far)))
    assert action.kind is Kind.ENTRY
    assert [b.limit for b in action.bounds] == [LimitName.LOSS_AT_STOP]
    assert Refusal.RISK_LOSS_AT_STOP in action.reasons
    brackets = action.brackets
    assert brackets is not None
    loss = action.order * (brackets.price_bound - brackets.stop_loss)
    assert D(490) < loss <= D(500)


def test_three_correlated_pairs_stay_within_ten_navs_of_one_currency() -> None:
    """Each may have a cap of its own; the third is cut to what the currency has left."""
    names = ("EUR_USD", "GBP_USD", "AUD_USD")
    near = Bracket(stop=D("0.0003"), take_profit=D("0.0009"), max_spread=D("0.0004"))
    markets = {n: market(n, signal=replace(SIGNAL, bracket=near)) for n in names}
    # A margin rate of 0.5 %: twenty times the leverage of the usual budget.
    markets = {
        n: replace(m, instrument=replace(m.instrument, margin_rate=D("0.005")))
        for n, m in markets.items()
    }
    portfolio = replace(LIMITS.portfolio, ramp_step_pct=D(1))
    risk = replace(RISK_LIMITS, max_loss_per_trade=D("0.01"))
    weights = Weights(
        ts=NOW - 1000,
        gates_ts=NOW - 2000,
        by_instrument=dict.fromkeys(names, D("0.10")),
        held=False,
    )
    plan = plan_cycle(
        replace(view(markets["EUR_USD"]), markets=markets, weights=weights),
        replace(LIMITS, portfolio=portfolio, risk=risk),
    )
    entered = {a.instrument: a.order * D("1.10006") for a in plan.actions}
    net = sum(entered.values())
    assert D(999_900) < net <= D(1_000_000)
    cut = [a.instrument for a in plan.actions if Refusal.RISK_CURRENCY in a.reasons]
    assert cut

"""Plans of a cycle, case by case."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sep_fx.instrument import Instrument
from sep_fx.sessions import SessionState
from sep_guard.domain.actions import Action, Kind
from sep_guard.domain.checks import Refusal
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.entry_checks import check_entry
from sep_guard.domain.limits import Controls, EntryLimits, GuardLimits, PortfolioLimits
from sep_guard.domain.margin_gate import margin_gate
from sep_guard.domain.market import Account, Bracket, Holding, Market, Quote, Signal, Weights
from sep_guard.domain.risk.context import RiskContext
from sep_guard.domain.risk.exposure import exposure_of
from sep_guard.domain.sizing import SizeReason
from sep_guard.domain.target_side import Cause
from sep_guard.domain.view import View

from .risk.limits import WIDE

D = Decimal
NOW = 1_700_000_000_000
LIMITS = GuardLimits(
    entry=EntryLimits(
        min_coherence=0.55,
        max_rupture=0.60,
        max_entropy=0.75,
        min_stability=0.40,
        max_signal_age_s=300,
        max_manifold_age_s=30,
        max_weights_age_s=180,
        max_spread_bps=D("3.0"),
        exit_minutes=5,
    ),
    portfolio=PortfolioLimits(
        top_k=3,
        target_pct=D("0.30"),
        max_per_position_pct=D("0.35"),
        ramp_step_pct=D("0.25"),
        rebalance_band=D("0.10"),
        margin_low=D("0.25"),
        margin_high=D("0.30"),
        adopt_manual=False,
    ),
    risk=WIDE,
)
ON = Controls(kill_switch=False, read_only=False, live_allowed=True)
OPEN = SessionState(True, NOW // 1000 + 86_400, None, ("London",))
SIGNAL = Signal(
    ended_ms=NOW - 5_000,
    coherence=0.62,
    stability=0.90,
    entropy=0.70,
    rupture=0.10,
    direction=1,
    bracket=Bracket(stop=D("0.0010"), take_profit=D("0.0015"), max_spread=D("0.0004")),
    close=D("1.1"),
    sigma_eff=D("0.0001"),
)
ACCOUNT = Account(
    balance=D(100_000),
    nav=D(100_000),
    margin_used=D(0),
    margin_available=D(100_000),
    last_transaction_id="7",
)
WEIGHTS = Weights(
    ts=NOW - 1000, gates_ts=NOW - 2000, by_instrument={"EUR_USD": D("0.10")}, held=False
)


CLOSE_STOP = Bracket(stop=D("0.0003"), take_profit=D(1), max_spread=D("0.0001"))


def quote(ask: str, *, ts_ms: int = NOW, tradeable: bool = True) -> Quote:
    return Quote(bid=D("1.1"), ask=D(ask), ts_ms=ts_ms, tradeable=tradeable)


def market(name: str = "EUR_USD", **changes: object) -> Market:
    digits = 3 if name.endswith("JPY") else 5
    base = Market(
        instrument=Instrument(
            name=name,
            display_precision=digits,
            trade_units_precision=0,
            minimum_trade_size=D(1),
            margin_rate=D("0.02"),
        ),
        session=OPEN,
        signal=SIGNAL,
        manifold_ms=NOW - 1000,
        quote=Quote(bid=D("1.10000"), ask=D("1.10012"), ts_ms=NOW - 500, tradeable=True),
        home_per_quote=D(1),
        holding=Holding(),
        order_unknown=False,
        manifold_price=D("1.1"),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def view(one: Market | None = None, **changes: object) -> View:
    one = one or market()
    base = View(
        account=ACCOUNT,
        markets={one.instrument.name: one},
        weights=WEIGHTS,
        margin_was_open=True,
        controls=ON,
        now_ms=NOW,
        link_sound=True,
        risk=RiskContext(readable=True, exposure=exposure_of([one])),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def only(given_view: View, limits: GuardLimits = LIMITS) -> Action:
    (action,) = plan_cycle(given_view, limits).actions
    return action


@pytest.mark.parametrize(
    ("changes", "observed"),
    [
        ({"quote": None}, "no price"),
        ({"quote": quote("1.10012", tradeable=False)}, "halted or closed at the broker"),
        ({"home_per_quote": None}, "no conversion rate from USD to the home currency"),
        ({}, "tradeable"),
    ],
)
def test_what_can_not_be_traded_names_what_is_missing(
    changes: dict[str, Any], observed: str
) -> None:
    one = market(**changes)
    (check,) = (c for c in check_entry(view(one), one, LIMITS) if c.reason == "NOT_TRADEABLE")
    assert (check.observed, check.passed) == (observed, observed == "tradeable")


def test_a_weight_leads_to_an_entry_limited_by_the_ramp() -> None:
    action = only(view())
    assert action.kind is Kind.ENTRY
    assert action.reasons == (Cause.DIRECTION, "RAMP_LIMITED")
    margin = action.order * D("1.10006") * D("0.02")
    assert D(7_499) < margin <= D(7_500)  # a quarter of the budget of 30,000
    assert action.brackets is not None
    assert action.brackets.stop_loss == D("1.09912")
    assert action.brackets.take_profit == D("1.10162")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"controls": replace(ON, kill_switch=True)}, Refusal.KILL_SWITCH),
        ({"controls": replace(ON, read_only=True)}, Refusal.READ_ONLY),
        ({"controls": replace(ON, live_allowed=False)}, Refusal.LIVE_TRADING_DISABLED),
        ({"one": market(signal=replace(SIGNAL, coherence=0.5499))}, Refusal.COHERENCE_LOW),
        ({"one": market(signal=replace(SIGNAL, rupture=0.61))}, Refusal.RUPTURE_HIGH),
        ({"one": market(signal=replace(SIGNAL, entropy=0.76))}, Refusal.ENTROPY_HIGH),
        ({"one": market(signal=replace(SIGNAL, stability=0.39))}, Refusal.STABILITY_LOW),
        ({"one": market(signal=replace(SIGNAL, ended_ms=NOW - 300_000))}, Refusal.SIGNAL_STALE),
        ({"one": market(signal=replace(SIGNAL, ended_ms=NOW + 5_001))}, Refusal.SIGNAL_STALE),
        ({"one": market(manifold_ms=NOW - 30_000)}, Refusal.MANIFOLD_STALE),
        ({"one": market(manifold_ms=None)}, Refusal.MANIFOLD_STALE),
        ({"weights": replace(WEIGHTS, gates_ts=NOW - 180_000)}, Refusal.WEIGHTS_STALE),
        ({"weights": replace(WEIGHTS, ts=NOW - 180_000)}, Refusal.WEIGHTS_STALE),
        ({"weights": replace(WEIGHTS, held=True)}, Refusal.WEIGHTS_STALE),
        ({"weights": replace(WEIGHTS, ts=NOW + 5_001)}, Refusal.WEIGHTS_STALE),
        ({"weights": replace(WEIGHTS, gates_ts=NOW + 5_001)}, Refusal.WEIGHTS_STALE),
        ({"weights": replace(WEIGHTS, gates_ts=None)}, Refusal.WEIGHTS_STALE),
        ({"one": market(manifold_ms=NOW + 5_001)}, Refusal.MANIFOLD_STALE),
        ({"one": market(quote=quote("1.1001", ts_ms=NOW + 5_001))},
         Refusal.PRICE_STALE),
        ({"one": market(quote=quote("1.1004"))}, Refusal.SPREAD_WIDE),
        ({"one": market(quote=quote("1.1001", ts_ms=NOW - 30_000))},
         Refusal.PRICE_STALE),
        ({"one": market(quote=quote("1.1001", tradeable=False))}, Refusal.NOT_TRADEABLE),
        ({"one": market(session=SessionState(False, None, None, ()))}, Refusal.SESSION_CLOSED),
        ({"one": market(session=replace(OPEN, closes_at=NOW // 1000 + 300))}, Refusal.NEAR_CLOSE),
        ({"margin_was_open": False,
          "account": replace(ACCOUNT, margin_used=D(27_000), margin_available=D(73_000))},
         Refusal.MARGIN_GATE),
        ({"one": market(signal=replace(SIGNAL, direction=0))}, Refusal.NO_DIRECTION),
        ({"one": market(signal=replace(SIGNAL, bracket=CLOSE_STOP))},
         Refusal.STOP_TOO_CLOSE),
        ({"one": market(order_unknown=True)}, Refusal.ORDER_UNKNOWN),
        ({"one": market(holding=Holding(manual=D(5)))}, Refusal.MANUAL_POSITION),
        ({"link_sound": False}, Refusal.BROKER_LINK),
    ],
)  # fmt: skip
def test_each_failed_check_refuses_the_entry_with_its_reason(
    changes: dict[str, object], reason: Refusal
) -> None:
    one = changes.pop("one", None)
    action = only(view(one, **changes))  # type: ignore[arg-type]
    assert action.kind is Kind.REFUSAL
    assert action.reasons == (reason,)
    assert action.order == 0


def test_all_failed_checks_are_listed() -> None:
    nothing = market(signal=None, manifold_ms=None)
    closed = replace(ON, kill_switch=True)
    reasons = set(only(view(nothing, controls=closed)).reasons)
    assert reasons >= {
        Refusal.KILL_SWITCH,
        Refusal.COHERENCE_LOW,
        Refusal.STABILITY_LOW,
        Refusal.RUPTURE_HIGH,
        Refusal.ENTROPY_HIGH,
        Refusal.SIGNAL_STALE,
        Refusal.MANIFOLD_STALE,
        Refusal.NO_DIRECTION,
        Refusal.STOP_TOO_CLOSE,
    }


HELD = Holding(managed=D(100_000))
SHORT = replace(SIGNAL, direction=-1)


@pytest.mark.parametrize(
    ("one", "weights", "cause"),
    [
        (market(holding=HELD, signal=SHORT), WEIGHTS, Cause.REVERSAL),
        (market(holding=HELD, signal=replace(SIGNAL, rupture=0.7)), WEIGHTS, Cause.RUPTURE),
        (market(holding=HELD), replace(WEIGHTS, by_instrument={}), Cause.WEIGHT_GONE),
        (
            market(holding=HELD, session=replace(OPEN, closes_at=NOW // 1000 + 300)),
            WEIGHTS,
            Cause.EXIT_BEFORE_CLOSE,
        ),
    ],
)
def test_a_position_is_closed_whatever_the_entry_checks_are(
    one: Market, weights: Weights, cause: Cause
) -> None:
    halted = replace(ON, kill_switch=True)
    action = only(view(one, weights=weights, controls=halted))
    assert (action.kind, action.order, action.reasons) == (Kind.REDUCTION, D(-100_000), (cause,))


@pytest.mark.parametrize("weights", [None, replace(WEIGHTS, by_instrument={}, held=True)])
def test_weights_that_are_missing_or_held_close_nothing(weights: Weights | None) -> None:
    assert only(view(market(holding=HELD), weights=weights)).kind is Kind.HOLD


def test_a_manual_position_is_reported_and_not_traded() -> None:
    nothing = replace(WEIGHTS, by_instrument={})
    action = only(view(market(holding=Holding(manual=D(-5_000))), weights=nothing))
    assert (action.kind, action.current, action.order) == (Kind.MANUAL, D(-5_000), D(0))
    assert action.reasons == (Refusal.MANUAL_POSITION,)


def test_a_manual_position_over_the_cap_is_reported_as_such_and_not_traded() -> None:
    nothing = replace(WEIGHTS, by_instrument={})
    action = only(view(market(holding=Holding(manual=D(-500_000))), weights=nothing))
    assert (action.kind, action.order) == (Kind.MANUAL, D(0))
    assert action.reasons == (Refusal.MANUAL_POSITION, SizeReason.OVER_CAP)


def test_a_signal_from_the_future_closes_nothing() -> None:
    ahead = replace(SIGNAL, direction=-1, rupture=0.9, ended_ms=NOW + 6_000)
    action = only(view(market(holding=Holding(managed=D(1_000)), signal=ahead)))
    assert action.kind is not Kind.REDUCTION


def test_the_margin_gate_has_hysteresis() -> None:
    low, high = D("0.25"), D("0.30")
    assert margin_gate(True, D("0.2999"), low=low, high=high)
    assert not margin_gate(True, D("0.30"), low=low, high=high)
    assert not margin_gate(False, D("0.25"), low=low, high=high)
    assert margin_gate(False, D("0.2499"), low=low, high=high)


AFTER_HOURS = SessionState(False, None, NOW // 1000 + 3600, ())


def test_a_position_left_over_after_its_session_is_closed_when_the_broker_trades() -> None:
    """For example, the guard was down during the last minutes of the session."""
    held = market(holding=HELD, session=AFTER_HOURS)
    action = only(view(held))
    assert (action.kind, action.order) == (Kind.REDUCTION, D(-100_000))
    assert action.reasons == (Cause.EXIT_BEFORE_CLOSE,)
    shut = quote("1.1001", tradeable=False)
    assert only(view(replace(held, quote=shut))).order == 0
    assert only(view(replace(held, quote=None))).order == 0


def test_an_exit_larger_than_one_order_takes_several_cycles() -> None:
    rules = replace(market().instrument, maximum_order_units=D(60_000))
    nothing = replace(WEIGHTS, by_instrument={})
    action = only(view(market(holding=HELD, instrument=rules), weights=nothing))
    assert (action.kind, action.order) == (Kind.REDUCTION, D(-60_000))


def test_a_remaining_budget_smaller_than_the_band_leads_to_no_order() -> None:
    """Otherwise every price change would send an order of a few units."""
    used = replace(ACCOUNT, margin_used=D(22_900), margin_available=D(77_100))
    action = only(view(account=used))
    assert (action.kind, action.order) == (Kind.HOLD, D(0))
    assert action.reasons == (SizeReason.RAMP_LIMITED, SizeReason.BUDGET_EXHAUSTED)

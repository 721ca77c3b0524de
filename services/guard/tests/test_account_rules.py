"""Pure rules of the account: margin by the broker's count, exits by trade, stops, week's end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sep_fx.instrument import Instrument
from sep_fx.sessions import SessionState, fx_week_closes_at
from sep_guard.domain.actions import Kind
from sep_guard.domain.budget import budget_at_ceiling
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.flatten import plan_flatten
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.margin_ceiling import near_closeout, share_to_keep
from sep_guard.domain.margin_model import margin_factor, margin_ratio
from sep_guard.domain.market import Account, Holding, LeftOut, Market, Quote, Trade
from sep_guard.domain.orders import TRADE_GONE, Outcome, Result, combined, intents_of_action
from sep_guard.domain.risk.drop_copy import second_writer
from sep_guard.domain.risk.ledger_events import LedgerPage, Unclaimed
from sep_guard.domain.stop_guard import (
    ATTEMPTS,
    DecidedStop,
    StopFault,
    StopStep,
    obsolete,
    plan_repairs,
)
from sep_guard.domain.target_side import near_week_end
from sep_guard.domain.trade_exits import legs
from sep_guard.domain.trades import EVERY_INSTRUMENT, OpenTrades, holding_of, holdings_of
from sep_guard.domain.view import View

from .view_strategies import ENTRY, NOW, limits, margin_of, true_views

D = Decimal
EUR = "EUR_USD"
many = settings(max_examples=100)


def trade(trade_id: int, units: int, *, own: bool = True, stop: str | None = "1.0") -> Trade:
    return Trade(
        id=str(trade_id),
        instrument=EUR,
        units=D(units),
        own=own,
        client_id=f"sep-{trade_id}" if own else "",
        stop_loss=None if stop is None else D(stop),
    )


@st.composite
def held_trades(draw: st.DrawFn) -> list[Trade]:
    sizes = st.integers(-500, 500).filter(bool)
    found = draw(st.lists(st.tuples(sizes, st.booleans()), max_size=8))
    return [trade(i, units, own=own) for i, (units, own) in enumerate(found, start=1)]


@many
@given(held_trades(), st.integers(-2_000, 2_000).filter(bool), st.booleans())
def test_legs_close_only_what_was_asked_for_and_no_trade_by_hand(
    held: Sequence[Trade], order: int, include_manual: bool
) -> None:
    parts = legs(held, D(order), include_manual=include_manual)
    by_id = {t.id: t for t in held}
    closed = sum((abs(p.units) for p in parts), D(0))
    closable = sum(
        (abs(t.units) for t in held if t.units * order < 0 and (t.own or include_manual)), D(0)
    )
    assert closed == min(D(abs(order)), closable)
    for part in parts:
        assert by_id[part.trade_id].own or include_manual
        assert part.units * by_id[part.trade_id].units < 0
        assert abs(part.units) <= abs(by_id[part.trade_id].units)
        assert part.whole == (abs(part.units) == abs(by_id[part.trade_id].units))
    # Own trades first, oldest first; only the last one is closed in part.
    order_of = [(not by_id[p.trade_id].own, int(p.trade_id)) for p in parts]
    assert order_of == sorted(order_of)
    assert all(p.whole for p in parts[:-1])


def result(outcome: Outcome, reason: str = "", filled: int = 0) -> Result:
    return Result(outcome=outcome, reason=reason, filled_units=D(filled), fill_price=None)


def test_a_trade_that_a_stop_has_taken_does_not_spoil_the_exit_of_the_others() -> None:
    gone, closed = result(Outcome.REJECTED, TRADE_GONE), result(Outcome.FILLED, filled=-300)
    both = combined([gone, closed])
    assert (both.outcome, both.filled_units, both.reason) == (Outcome.FILLED, D(-300), TRADE_GONE)
    assert combined([closed, result(Outcome.UNKNOWN)]).outcome is Outcome.UNKNOWN
    assert combined([gone, gone]).outcome is Outcome.REJECTED
    assert combined([closed, closed]).filled_units == -600


@many
@given(limits().flatmap(lambda lim: st.tuples(st.just(lim), true_views(lim))))
def test_margin_over_the_ceiling_is_gone_after_one_cycle(pair: tuple[GuardLimits, View]) -> None:
    """By the broker's own figures, as far as the stack's positions can free it."""
    lim, view = pair
    # Without prices that move, without orders too small, and with all of it the stack's own.
    markets = {
        name: replace(
            market,
            instrument=replace(market.instrument, minimum_trade_size=D("0.1")),
            holding=Holding(managed=market.holding.total),
        )
        for name, market in view.markets.items()
    }
    view = replace(view, markets=markets)
    plan = plan_cycle(view, lim)
    freed = sum(
        (margin_of(markets[a.instrument], a.order) for a in plan.actions
         if a.kind is Kind.REDUCTION), D(0),
    )  # fmt: skip
    ceiling = budget_at_ceiling(view.account, lim.portfolio).ceiling
    band = 1 + lim.portfolio.rebalance_band + D("0.00001")
    assert view.account.margin_used - freed <= max(ceiling * band, D("0.001"))
    if view.account.margin_used - freed > ceiling:
        assert not any(a.kind is Kind.ENTRY for a in plan.actions)


def account(used: str, **changed: object) -> Account:
    nav, in_use = D(100_000), D(used)
    base = Account(balance=nav, nav=nav, margin_used=in_use, margin_available=nav - in_use)
    return replace(base, **changed)  # type: ignore[arg-type]


@given(limits().flatmap(lambda lim: st.tuples(st.just(lim), true_views(lim))))
def test_near_the_closeout_nothing_stays(pair: tuple[GuardLimits, View]) -> None:
    lim, view = pair
    view = replace(view, account=replace(view.account, closeout_percent=D("0.85")))
    assert near_closeout(view.account)
    assert share_to_keep(view.account, view.markets.values(), lim.portfolio) == 0
    for action in plan_cycle(view, lim).actions:
        held = view.markets[action.instrument].holding
        units = held.total if lim.portfolio.adopt_manual else held.managed
        assert action.kind is (Kind.REDUCTION if units else action.kind)
        assert action.kind is not Kind.ENTRY
        if units:
            assert action.current + action.order == 0


def market(*held: Trade, bid: str = "1.10", rate: str = "0.02", **changed: object) -> Market:
    base = Market(
        instrument=Instrument(
            name=EUR,
            display_precision=5,
            trade_units_precision=0,
            minimum_trade_size=D(1),
            margin_rate=D(rate),
        ),
        session=SessionState(True, NOW // 1000 + 90_000, None, ()),
        signal=None,
        manifold_ms=NOW,
        quote=Quote(bid=D(bid), ask=D(bid), ts_ms=NOW, tradeable=True),
        home_per_quote=D(1),
        holding=holding_of(EUR, OpenTrades(trades=held)),
        order_unknown=False,
    )
    return replace(base, **changed)  # type: ignore[arg-type]


def test_the_brokers_count_of_margin_is_used_beyond_two_percent() -> None:
    held = market(trade(1, 10_000))
    assert held.margin_per_unit == D("0.0220")
    for used, factor in (("220", 1), ("224", 1), ("216", 1), ("440", 2), ("110", D("0.5"))):
        assert margin_factor(margin_ratio(account(used), [held])) == factor
    # The larger count is what a size is made with.
    assert replace(held, margin_factor=D(2)).margin_per_unit == D("0.0440")
    assert replace(held, margin_factor=D("0.5")).margin_per_unit == D("0.0220")
    # What has no price is taken out by its trades' own margin, where that is known.
    unpriced = market(replace(trade(2, 5_000), margin_used=D(77)), quote=None)
    assert margin_ratio(account("297"), [held, unpriced]) == 1
    assert margin_ratio(account("297"), [held, market(trade(2, 5_000), quote=None)]) is None
    assert margin_ratio(account("0"), [market()]) is None


@pytest.mark.parametrize(
    ("units", "stop", "decided", "bid", "failed", "expected"),
    [
        (100, None, "1.05", "1.10", 0, (StopFault.MISSING, StopStep.SET, "1.05")),
        (-100, None, "1.15", "1.10", 0, (StopFault.MISSING, StopStep.SET, "1.15")),
        (100, None, "1.05", "1.04", 0, (StopFault.MISSING, StopStep.CLOSE, "1.05")),
        (100, None, "1.05", "1.10", ATTEMPTS, (StopFault.MISSING, StopStep.CLOSE, "1.05")),
        (100, None, None, "1.10", 0, (StopFault.MISSING, StopStep.WAIT, None)),
        (100, None, None, "1.10", ATTEMPTS, (StopFault.MISSING, StopStep.CLOSE, None)),
        (100, "1.01", "1.05", "1.10", 0, (StopFault.MOVED, StopStep.SET, "1.05")),
        (-100, "1.19", "1.15", "1.10", 0, (StopFault.MOVED, StopStep.SET, "1.15")),
        (100, "1.07", "1.05", "1.10", 0, None),
        (100, "1.01", None, "1.10", 0, None),
    ],
)  # fmt: skip
def test_a_stop_is_given_back_set_back_or_its_trade_closed(
    units: int, stop: str | None, decided: str | None, bid: str, failed: int,
    expected: tuple[StopFault, StopStep, str | None] | None,
) -> None:  # fmt: skip
    held = replace(trade(1, units, stop=stop), decided_stop=D(decided) if decided else None)
    found = plan_repairs(market(held, bid=bid), {"1": failed})
    if expected is None:
        assert not found
        return
    fault, step, price = expected
    (repair,) = found
    assert (repair.fault, repair.step) == (fault, step)
    assert repair.price == (None if price is None else D(price))


def test_a_halted_market_and_a_trade_by_hand_are_left() -> None:
    halted = Quote(bid=D("1.1"), ask=D("1.1"), ts_ms=NOW, tradeable=False)
    (repair,) = plan_repairs(market(trade(1, 100, stop=None), quote=halted), {"1": ATTEMPTS})
    assert repair.step is StopStep.WAIT
    assert not plan_repairs(market(trade(1, 100, own=False, stop=None)), {})


def test_stops_are_remembered_while_a_trade_may_still_come_of_their_entry() -> None:
    hour = 3_600_000
    decided = {
        "open": DecidedStop(price=D(1), sent_ms=0),
        "new": DecidedStop(price=D(1), sent_ms=2 * hour),
        "gone": DecidedStop(price=D(1), sent_ms=0),
    }
    assert obsolete(decided, frozenset({"open"}), 2 * hour + 1) == ("gone",)


def test_hedged_trades_by_hand_do_not_cancel_out() -> None:
    held = holding_of(EUR, OpenTrades(trades=(trade(1, 500, own=False), trade(2, -500, own=False))))
    assert (held.manual, held.manual_units, held.manual_hedged) == (D(0), D(1000), True)
    both = market(trade(1, 500, own=False), trade(2, -500, own=False))
    assert [c.current for c in plan_flatten([both], include_manual=True)] == [500, -500]
    assert not plan_flatten([both], include_manual=False)


def test_a_trade_that_cant_be_read_belongs_to_its_instrument_or_to_all() -> None:
    fault = LeftOut(instrument=EUR, name="7", fault="price x")
    seen = OpenTrades(trades=(), left_out=(fault,))
    assert holdings_of(seen)[EUR].left_out == (fault,)
    assert not holding_of("USD_JPY", seen).left_out
    anything = OpenTrades(trades=(), left_out=(replace(fault, instrument=EVERY_INSTRUMENT),))
    assert holding_of("USD_JPY", anything).left_out


def test_a_fill_that_nothing_claimed_is_a_second_writers() -> None:
    fill = Unclaimed(transaction_id=9, ts_ms=NOW, instrument=EUR, client_order_id="sep-x")
    page = LedgerPage(events=(fill,), through_id=9)
    found = second_writer(page, 8, (), NOW)
    assert found is not None
    assert "sep-x" in found.reason
    assert second_writer(page, 9, (), NOW) is None
    assert second_writer(page, 8, ("sep-x",), NOW) is None


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        # A Wednesday, in summer: the week ends on Friday at 16:58 New York.
        ("2026-06-10T12:00", "2026-06-12T20:58"),
        # In the daily break.
        ("2026-06-10T21:00", "2026-06-12T20:58"),
        ("2026-06-12T20:57", "2026-06-12T20:58"),
        ("2026-06-13T12:00", None),
        ("2026-06-14T21:10", "2026-06-19T20:58"),
        # Christmas Day 2026 is a Friday.
        ("2026-12-23T12:00", "2026-12-25T05:00"),
    ],
)
def test_the_fx_week_ends_before_weekends_and_holidays(now: str, ends: str | None) -> None:
    assert fx_week_closes_at(at(now)) == (None if ends is None else at(ends))


def test_positions_are_closed_before_the_week_ends_with_an_open_session() -> None:
    now_s = NOW // 1000
    window = int(ENTRY.exit_minutes * 60)
    for left, near in ((window + 1, False), (window, True), (1, True)):
        assert near_week_end(market(week_closes_s=now_s + left), NOW, ENTRY) is near
    assert near_week_end(market(week_closes_s=now_s), NOW, ENTRY)
    assert not near_week_end(market(week_closes_s=now_s, quote=None), NOW, ENTRY)
    assert not near_week_end(market(week_closes_s=None), NOW, ENTRY)
    no_exit_minutes = replace(ENTRY, exit_minutes=0)
    assert near_week_end(market(week_closes_s=now_s + 299), NOW, no_exit_minutes)


@many
@given(limits().flatmap(lambda lim: st.tuples(st.just(lim), true_views(lim))))
def test_a_view_that_is_behind_opens_and_resizes_nothing(pair: tuple[GuardLimits, View]) -> None:
    lim, view = pair
    for action in plan_cycle(replace(view, behind=True), lim).actions:
        assert action.kind is not Kind.ENTRY
        assert not action.order or not action.target


@many
@given(limits().flatmap(lambda lim: st.tuples(st.just(lim), true_views(lim))))
def test_every_reduction_is_sent_by_trade_where_the_trades_are_known(
    pair: tuple[GuardLimits, View],
) -> None:
    lim, view = pair
    markets = {}
    for name, held in view.markets.items():
        units = (held.holding.managed, held.holding.manual)
        found = [
            Trade(id=str(i), instrument=name, units=u, own=i == 1, stop_loss=D(1))
            for i, u in enumerate(units, start=1) if u
        ]  # fmt: skip
        markets[name] = replace(held, holding=replace(held.holding, trades=tuple(found)))
    view = replace(view, markets=markets)
    adopt = lim.portfolio.adopt_manual
    for action in plan_cycle(view, lim).actions:
        if action.kind is not Kind.REDUCTION:
            continue
        sent = intents_of_action(action, "an-id", view, include_manual=adopt)
        assert sum((i.units for i in sent), D(0)) == action.order
        assert all(i.reduce_only and i.trade_id for i in sent)
        assert len({i.client_order_id for i in sent}) == len(sent)
        assert adopt or {i.trade_id for i in sent} == {"1"}

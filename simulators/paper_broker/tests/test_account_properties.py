"""Invariants of an account under random operations."""

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sep_fx.instants import NS_PER_SECOND
from sep_paper_broker.account.account import Account
from sep_paper_broker.account.book import AccountProfile
from sep_paper_broker.account.snapshot import (
    AccountSnapshot,
    assemble,
    final_records_since,
    restore,
    take_live,
    take_snapshot,
)
from sep_paper_broker.account.trades import Trade
from sep_paper_broker.codec import decode, encode
from sep_paper_broker.market.instruments import INSTRUMENTS
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.orders.fill_plan import FillPlan, plan_fill
from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    CloseAmount,
    MarketOrderRequest,
    PositionFill,
    SideClose,
    StopLossDetails,
    TakeProfitDetails,
    TimeInForce,
    TradeOrdersRequest,
)

from .conftest import body_of

D = Decimal
LEVELS = {"EUR_USD": D("1.10000"), "USD_JPY": D("150.000"), "EUR_JPY": D("165.000")}
START = 1_750_000_000 * NS_PER_SECOND

instruments = st.sampled_from(sorted(LEVELS))
steps = st.integers(-2000, 2000)
units = st.one_of(st.integers(-50_000, 50_000), st.integers(-5_000_000, 5_000_000))


class AccountMachine(RuleBasedStateMachine):
    """Random quotes, orders, closes, stop changes, rollovers and restarts."""

    @initialize()
    def open(self) -> None:
        self.now = START
        profile = AccountProfile("101-001-0000001-001", "USD", START)
        self.account = Account.open(profile, INSTRUMENTS, D(100_000))
        self.account.observe([self.quote_of(name, 0) for name in LEVELS])

    def quote_of(self, name: str, step: int) -> Quote:
        point = D(1).scaleb(-INSTRUMENTS[name].display_precision)
        bid = LEVELS[name] + step * point
        return Quote(instrument=name, time_ns=self.now, bid=bid, ask=bid + 10 * point)

    def tick(self) -> int:
        self.now += NS_PER_SECOND
        return self.now

    @rule(name=instruments, step=steps)
    def price_moves(self, name: str, step: int) -> None:
        self.tick()
        self.account.observe([self.quote_of(name, step)])

    @rule(
        name=instruments,
        units=units,
        fill=st.sampled_from(PositionFill),
        tif=st.sampled_from([TimeInForce.FOK, TimeInForce.IOC]),
        stop=st.none() | st.integers(1, 900),
        gain=st.none() | st.integers(1, 900),
        mark=st.none() | st.integers(0, 5),
    )
    def order_is_sent(
        self,
        name: str,
        units: int,
        fill: PositionFill,
        tif: TimeInForce,
        stop: int | None,
        gain: int | None,
        mark: int | None,
    ) -> None:
        point = D(1).scaleb(-INSTRUMENTS[name].display_precision)
        side = 1 if units > 0 else -1
        book = self.account.book
        before = book.position_units(name)
        price = book.quotes[name].dealing_price(D(units))
        request = MarketOrderRequest(
            instrument=name,
            units=D(units),
            position_fill=fill,
            time_in_force=tif,
            stop_loss_on_fill=StopLossDetails(price - side * stop * point) if stop else None,
            take_profit_on_fill=TakeProfitDetails(price + side * gain * point) if gain else None,
            client_extensions=ClientExtensions(f"m-{mark}") if mark is not None else None,
        )
        taken = mark is not None and book.order_client_id_taken(f"m-{mark}")
        outcome = self.account.submit(request, self.tick())
        after = book.position_units(name)
        assert not (taken and outcome.create)
        assert (outcome.reject is None) == (outcome.create is not None)
        if outcome.fill is None:
            assert after == before
            return
        filled = body_of(outcome.fill, OrderFill)
        assert after - before == filled.units
        if fill is PositionFill.REDUCE_ONLY:
            assert abs(after) < abs(before)
            assert after * before >= 0
        if filled.trade_opened is not None:
            assert self.account.valuation().margin_used <= self.account.valuation().nav

    @rule(name=instruments, number=st.none() | st.integers(1, 40_000))
    def position_is_closed(self, name: str, number: int | None) -> None:
        side = SideClose(CloseAmount.ALL if number is None else D(number))
        before = self.account.book.position_units(name)
        long = before > 0
        none = SideClose()
        outcome = self.account.close_position(
            name, self.tick(), long=side if long else none, short=none if long else side
        )
        after = self.account.book.position_units(name)
        assert outcome.rejected == (before == 0 or (number or 0) > abs(before))
        assert after == (
            before
            if outcome.rejected
            else before - (1 if long else -1) * (abs(before) if number is None else number)
        )

    @rule(data=st.data(), step=st.none() | st.integers(-900, 900))
    def stop_is_moved(self, data: st.DataObject, step: int | None) -> None:
        trades = self.account.book.open_trades()
        if not trades:
            return
        trade = data.draw(st.sampled_from(trades))
        point = D(1).scaleb(-INSTRUMENTS[trade.instrument].display_precision)
        stop = None if step is None else StopLossDetails(trade.price + step * point)
        request = TradeOrdersRequest(frozenset({"stop_loss"}), None, stop)
        self.account.set_trade_orders(trade.id, request, self.tick())

    @rule()
    def day_ends(self) -> None:
        self.account.accrue_financing(self.tick())

    @rule()
    def broker_restarts(self) -> None:
        snapshot = take_snapshot(self.account)
        read = decode(AccountSnapshot, json.loads(json.dumps(encode(snapshot))))
        assert read == snapshot
        restored = restore(read, INSTRUMENTS)
        assert take_snapshot(restored) == snapshot
        assert assemble(take_live(restored), final_records_since(restored, 0)) == snapshot
        assert restored.valuation() == self.account.valuation()
        assert restored.book.open_trades() == self.account.book.open_trades()
        assert restored.book.pending_orders() == self.account.book.pending_orders()
        self.account = restored

    @invariant()
    def figures_agree(self) -> None:
        account, now = self.account, self.account.valuation()
        book = account.book
        assert now.nav == now.balance + now.unrealized_pl
        values = [book.trade_value(trade) for trade in book.open_trades()]
        assert now.margin_used == sum(v.margin_used for v in values)
        assert now.unrealized_pl == sum(v.unrealized_pl for v in values)
        assert now.margin_available == max(D(0), now.nav - now.margin_used)
        assert 0 <= now.withdrawal_limit <= max(D(0), now.margin_available)
        assert now.balance == D(100_000) + book.pl + book.financing

    @invariant()
    def position_is_the_sum_of_trades_of_one_side(self) -> None:
        for name in LEVELS:
            held = [trade.current_units for trade in self.account.book.open_trades(name)]
            assert self.account.book.position_units(name) == sum(held)
            assert all(u > 0 for u in held) or all(u < 0 for u in held)

    @invariant()
    def ledger_accounts_for_every_position_and_profit(self) -> None:
        ledger = self.account.book.ledger.transactions
        assert [t.id for t in ledger] == [str(i + 1) for i in range(len(ledger))]
        fills = [t.body for t in ledger if isinstance(t.body, OrderFill)]
        assert sum((f.pl for f in fills), D(0)) == self.account.book.pl
        for name in LEVELS:
            dealt = sum((f.units for f in fills if f.instrument == name), D(0))
            assert dealt == self.account.book.position_units(name)

    @invariant()
    def pending_orders_belong_to_open_trades(self) -> None:
        trades = {trade.id: trade for trade in self.account.book.open_trades()}
        for order in self.account.book.pending_orders():
            trade = trades[order.trade_id]
            assert order.id in (trade.stop_loss_order_id, trade.take_profit_order_id)


AccountMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, derandomize=True
)
TestAccount = AccountMachine.TestCase


def trade_of(index: int, held: int) -> Trade:
    return Trade(
        id=str(index),
        instrument="EUR_USD",
        price=D(1),
        open_time=index,
        initial_units=D(held),
        current_units=D(held),
        initial_margin_required=D(0),
    )


@given(
    sizes=st.lists(st.integers(1, 1000), max_size=5),
    long=st.booleans(),
    units=st.integers(-6000, 6000).filter(bool),
    fill=st.sampled_from(PositionFill),
    tif=st.sampled_from([TimeInForce.FOK, TimeInForce.IOC]),
)
def test_plan_reduces_oldest_trades_first_and_never_more_than_they_hold(
    sizes: list[int], long: bool, units: int, fill: PositionFill, tif: TimeInForce
) -> None:
    trades = [trade_of(i, size if long else -size) for i, size in enumerate(sizes)]
    plan = plan_fill(trades, D(units), fill, tif)
    if not isinstance(plan, FillPlan):
        assert fill in (PositionFill.REDUCE_ONLY, PositionFill.OPEN_ONLY)
        return
    touched = [reduction.trade.id for reduction in plan.reductions]
    assert touched == [trade.id for trade in trades[: len(touched)]]
    for reduction in plan.reductions[:-1]:
        assert reduction.units == -reduction.trade.current_units
    assert all(abs(r.units) <= abs(r.trade.current_units) for r in plan.reductions)
    if fill is PositionFill.REDUCE_ONLY:
        assert plan.opened == 0
        assert plan.reductions
    else:
        assert plan.units == units


@given(
    sizes=st.lists(st.integers(1, 1000), max_size=5),
    units=st.integers(-6000, 6000).filter(bool),
    limit=st.integers(1, 6000),
)
def test_limited_plan_is_the_first_part_of_the_plan(
    sizes: list[int], units: int, limit: int
) -> None:
    trades = [trade_of(i, -size if units > 0 else size) for i, size in enumerate(sizes)]
    plan = plan_fill(trades, D(units), PositionFill.DEFAULT, TimeInForce.IOC)
    assert isinstance(plan, FillPlan)
    part = plan.limited_to(D(limit))
    assert abs(part.units) == min(limit, abs(units))
    assert part.units * units > 0
    assert [r.trade for r in part.reductions] == [
        r.trade for r in plan.reductions[: len(part.reductions)]
    ]
    assert not part.opened or part.reductions == plan.reductions
    assert part.limited_to(D(limit)) == part

"""The broker's own books against the journal's: balance and NAV at every moment, to the last digit.

Each entry takes the way that it takes in the stack: the broker's JSON, the gateway's parsing and
message, the journal's booking. The account is the paper broker's, with its own balance and NAV.
``NAV_HISTORIES`` plays more histories than the suite does.
"""

import json
import os
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sep_fx.instants import NS_PER_SECOND
from sep_gateway.adapters.oanda.parse_transactions import transactions
from sep_gateway.application.ledger_reader import LedgerEntry
from sep_gateway.convert import transaction_message
from sep_journal.adapters.gateway_ledger import transaction_of
from sep_journal.domain.booking import Balance, Execution, book
from sep_journal.domain.ledger import Order
from sep_journal.domain.trades import Trade, by_trade, trade_of
from sep_paper_broker.account.account import Account
from sep_paper_broker.account.book import AccountProfile
from sep_paper_broker.account.snapshot import AccountSnapshot, restore, take_snapshot
from sep_paper_broker.account.transactions import TransferFunds
from sep_paper_broker.codec import decode, encode
from sep_paper_broker.market.instruments import INSTRUMENTS
from sep_paper_broker.market.quote import Quote
from sep_paper_broker.orders.conditions import OrderConditions
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    CloseAmount,
    MarketOrderRequest,
    PositionFill,
    StopLossDetails,
    TakeProfitDetails,
    TimeInForce,
    TradeOrdersRequest,
)

D = Decimal
HISTORIES = int(os.environ.get("NAV_HISTORIES", "20"))
# Each of the three currencies is a home currency, and converts into each of the others.
LEVELS = {"EUR_USD": D("1.10000"), "USD_JPY": D("150.000"), "EUR_JPY": D("165.000")}
DEPOSITS = {"USD": D(100_000), "EUR": D(90_000), "JPY": D(15_000_000)}
START = 1_750_000_000 * NS_PER_SECOND

instruments = st.sampled_from(sorted(LEVELS))
steps = st.integers(-900, 900)
units = st.one_of(st.integers(-50_000, 50_000), st.integers(-3_000_000, 3_000_000)).filter(bool)


@dataclass
class Journal:
    """What the journal has booked so far of an account's ledger."""

    last_id: int = 0
    balance: Balance = field(default_factory=Balance)
    transfers: Decimal = Decimal()
    orders: dict[int, Order] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)

    def catch_up(self, account: Account) -> None:
        entries = [encode(t) for t in account.book.ledger.since(self.last_id)]
        found, left_out = transactions(json.loads(json.dumps(entries)))
        assert not left_out
        for each in found:
            entry = transaction_of(transaction_message(LedgerEntry(transaction=each, own=False)))
            assert entry.id == self.last_id + 1
            if entry.creates_order:
                self.orders[entry.id] = Order.of(entry)
            booking = book(entry, self.orders, self.balance)
            self.last_id, self.balance = entry.id, booking.balance
            self.transfers += booking.transfer
            self.executions += booking.executions

    def trades(self) -> list[Trade]:
        return [trade_of(own, ()) for _, own in by_trade(self.executions)]


class JournalMachine(RuleBasedStateMachine):
    """An account that stack, broker and hand trade, and a journal that reads its ledger."""

    @initialize(home=st.sampled_from(sorted(DEPOSITS)))
    def open(self, home: str) -> None:
        self.now = START
        profile = AccountProfile("101-001-0000001-001", home, START)
        self.account = Account.open(profile, INSTRUMENTS, DEPOSITS[home])
        self.account.observe([self.quote_of(name, 0) for name in LEVELS])
        self.journal = Journal()

    def quote_of(self, name: str, step: int) -> Quote:
        point = D(1).scaleb(-INSTRUMENTS[name].display_precision)
        bid = LEVELS[name] + step * point
        return Quote(instrument=name, time_ns=self.now, bid=bid, ask=bid + 11 * point)

    def tick(self) -> int:
        self.now += NS_PER_SECOND
        return self.now

    @rule(name=instruments, step=steps)
    def price_moves(self, name: str, step: int) -> None:
        """Stops and take profits fill on the way, and a margin closeout where it is due."""
        self.tick()
        self.account.observe([self.quote_of(name, step)])

    @rule(
        name=instruments, units=units, fill=st.sampled_from(PositionFill), own=st.booleans(),
        stop=st.none() | st.integers(1, 900), gain=st.none() | st.integers(1, 900),
        liquidity=st.none() | st.integers(1, 40_000), slips=st.integers(0, 30),
    )  # fmt: skip
    def order_is_sent(
        self,
        name: str,
        units: int,
        fill: PositionFill,
        own: bool,
        stop: int | None,
        gain: int | None,
        liquidity: int | None,
        slips: int,
    ) -> None:
        """By the stack or by hand; filled in part where there is not enough of it."""
        point = D(1).scaleb(-INSTRUMENTS[name].display_precision)
        side = 1 if units > 0 else -1
        price = self.account.book.quotes[name].dealing_price(D(units))
        request = MarketOrderRequest(
            instrument=name,
            units=D(units),
            position_fill=fill,
            time_in_force=TimeInForce.IOC,
            stop_loss_on_fill=StopLossDetails(price - side * stop * point) if stop else None,
            take_profit_on_fill=TakeProfitDetails(price + side * gain * point) if gain else None,
            trade_client_extensions=ClientExtensions(tag="sep") if own else None,
        )
        conditions = OrderConditions(
            liquidity=None if liquidity is None else D(liquidity), slippage=slips * point
        )
        self.account.submit(request, self.tick(), conditions=conditions)

    @rule(data=st.data(), share=st.integers(1, 100))
    def trade_is_closed_in_part(self, data: st.DataObject, share: int) -> None:
        if trades := self.account.book.open_trades():
            trade = data.draw(st.sampled_from(trades))
            part = max(D(1), abs(trade.current_units) * share // 100)
            closes = CloseAmount.ALL if share == 100 else part
            self.account.close_trade(trade.id, closes, self.tick())

    @rule(data=st.data(), step=st.none() | steps)
    def stop_is_moved(self, data: st.DataObject, step: int | None) -> None:
        if trades := self.account.book.open_trades():
            trade = data.draw(st.sampled_from(trades))
            point = D(1).scaleb(-INSTRUMENTS[trade.instrument].display_precision)
            stop = None if step is None else StopLossDetails(trade.price + step * point)
            request = TradeOrdersRequest(frozenset({"stop_loss"}), None, stop)
            self.account.set_trade_orders(trade.id, request, self.tick())

    @rule()
    def day_ends(self) -> None:
        self.account.accrue_financing(self.tick())

    @rule()
    def broker_closes_all_for_margin(self) -> None:
        self.account.close_out(self.tick())

    @rule(amount=st.decimals(-1_000, 1_000, places=4).filter(bool))
    def money_is_transferred(self, amount: Decimal) -> None:
        ledger = self.account.book
        ledger.balance += amount
        change = ledger.ledger.begin(self.tick())
        ledger.ledger.record(change, TransferFunds(amount=amount, account_balance=ledger.balance))

    @rule()
    def broker_restarts(self) -> None:
        snapshot = encode(take_snapshot(self.account))
        read = decode(AccountSnapshot, json.loads(json.dumps(snapshot)))
        self.account = restore(read, INSTRUMENTS)

    @rule()
    def journal_is_made_again_from_nothing(self) -> None:
        before = self.journal
        self.journal = Journal()
        self.journal.catch_up(self.account)
        assert self.journal == before

    @invariant()
    def results_and_transfers_are_the_balance_and_with_what_is_open_the_nav(self) -> None:
        self.journal.catch_up(self.account)
        broker, quotes = self.account.valuation(), self.account.book.quotes
        trades = self.journal.trades()
        balance = sum((t.net_pl for t in trades), self.journal.transfers)
        assert balance == self.journal.balance.amount == broker.balance
        nav = balance
        for trade in trades:
            assert trade.parts.sum == trade.net_pl
            if trade.open_units:
                assert trade.close_ms is None
                assert trade.open_price is not None
                quote = quotes[trade.instrument]
                result = (
                    quote.closing_price(trade.open_units) - trade.open_price
                ) * trade.open_units
                factors = self.account.book.conversion.factors(trade.instrument[-3:])
                nav += factors.of_result(result)
        assert nav == broker.nav
        theirs = [(t.id, t.current_units, t.price) for t in self.account.book.open_trades()]
        assert [(str(t.id), t.open_units, t.open_price) for t in trades if t.open_units] == theirs


JournalMachine.TestCase.settings = settings(
    max_examples=HISTORIES, stateful_step_count=30, derandomize=True
)
TestJournal = JournalMachine.TestCase

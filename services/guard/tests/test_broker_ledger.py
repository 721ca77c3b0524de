"""The ledger as the risk limits read it, through the real gateway from the paper broker."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sep_gateway.adapters.oanda.parse_account import account_summary
from sep_gateway.convert import account_message
from sep_guard.adapters.gateway import GatewayBroker
from sep_guard.domain.orders import Intent, Outcome, client_order_id
from sep_guard.domain.risk import activity
from sep_guard.domain.risk.ledger_events import (
    Closed,
    CloseReason,
    LedgerPage,
    Opened,
    Refused,
    Transfer,
    Unreadable,
)
from sep_guard.domain.risk.locks import LockCause
from sep_kit.grpc.client import open_channel
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_paper_broker.app import RunningBroker
from sep_paper_broker.orders.requests import MarketOrderRequest
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .risk.limits import LIMITS
from .test_broker_contract import EUR, TOKEN, is_ready, serve_gateway, serve_paper


class Ledger:
    """A guard's broker with a paper broker behind it, and a mark in its ledger."""

    def __init__(self, broker: GatewayBroker, paper: RunningBroker) -> None:
        self.broker, self.paper = broker, paper
        self.mark = 0

    async def begin(self) -> None:
        self.mark = int((await self.broker.account()).last_transaction_id)

    async def page(self) -> LedgerPage:
        """What was added since the mark."""
        through = int((await self.broker.account()).last_transaction_id)
        page = await self.broker.ledger(self.mark, through)
        assert page.whole
        assert page.through_id == through
        return page

    async def place(
        self, name: str, units: int, *, stop: Decimal | None = None, reduce_only: bool = False
    ) -> Outcome:
        account = await self.broker.account()
        order = Intent(
            client_order_id=client_order_id(name, "leg"),
            decision_id=name,
            instrument=EUR,
            units=Decimal(units),
            reduce_only=reduce_only,
            stop_loss=stop,
            take_profit=None,
            price_bound=None,
            since_transaction_id=account.last_transaction_id,
            sent_ms=time.time_ns() // 10**6,
        )
        return (await self.broker.place(order)).outcome

    def fault(self, **fault: Any) -> None:
        self.paper.faults.add(fault)


@pytest.fixture
async def ledger(store: Valkey, shared_valkey: ValkeyServer) -> AsyncIterator[Ledger]:
    await store.set(keys.KILL_SWITCH, "0")
    async with AsyncExitStack() as stack:
        paper = await stack.enter_async_context(serve_paper(TOKEN))
        address = await stack.enter_async_context(serve_gateway(shared_valkey, paper))
        channel = open_channel(address)
        stack.push_async_callback(channel.close, None)
        made = Ledger(GatewayBroker(channel), paper)
        await eventually(lambda: is_ready(made.broker))
        await made.begin()
        yield made


async def test_the_first_deposit_is_a_transfer(ledger: Ledger) -> None:
    ledger.mark = 0
    events = (await ledger.page()).events
    assert [e.amount for e in events if isinstance(e, Transfer)] == [100_000]


async def test_an_entry_and_its_own_exit(ledger: Ledger) -> None:
    assert await ledger.place("entry", 1000) is Outcome.FILLED
    assert await ledger.place("exit", -1000, reduce_only=True) is Outcome.FILLED
    opened, closed = (await ledger.page()).events
    assert isinstance(opened, Opened)
    assert isinstance(closed, Closed)
    assert opened.instrument == EUR
    assert opened.units == 1000
    assert opened.value is not None
    assert abs(opened.value / 1000 - 1) < Decimal("0.5")
    assert (closed.trade_id, closed.reason) == (opened.trade_id, CloseReason.OWN_ORDER)
    assert abs(opened.ts_ms - time.time_ns() // 10**6) < 60_000


async def test_a_stop_out_and_a_close_by_hand_and_a_closeout(ledger: Ledger) -> None:
    account = ledger.paper.broker.account
    await ledger.place("by-hand", 500)
    (trade,) = await ledger.broker.own_trades()
    ledger.paper.broker.advance()
    account.close_trade(trade.trade_id, Decimal(500), time.time_ns())
    await ledger.place("closeout", 400)
    ledger.fault(kind="margin_closeout", times=1)

    async def closed_out() -> bool:
        return not await ledger.broker.own_trades()

    await eventually(closed_out)
    quote = ledger.paper.broker.quote(EUR)
    assert quote is not None
    stop = (quote.bid - Decimal("0.02")).quantize(Decimal("0.00001"))
    assert await ledger.place("stopped", 300, stop=stop) is Outcome.FILLED
    # Towards the market, and past it.
    ledger.fault(kind="moved_stop", distance="-0.04", times=1)
    await eventually(closed_out)
    reasons = [e.reason for e in (await ledger.page()).events if isinstance(e, Closed)]
    assert reasons == [CloseReason.BY_HAND, CloseReason.MARGIN_CLOSEOUT, CloseReason.STOP_LOSS]


async def test_three_cancels_lock_with_the_brokers_words(ledger: Ledger) -> None:
    counted = activity.begin(ledger.mark, (), time.time_ns() // 10**6)
    ledger.fault(kind="insufficient_margin")
    for number in range(3):
        assert await ledger.place(f"cancelled-{number}", 1000) is Outcome.CANCELLED
    page = await ledger.page()
    assert {e.reason for e in page.events if isinstance(e, Refused)} == {"INSUFFICIENT_MARGIN"}
    folded = activity.fold(counted, page, LIMITS, time.time_ns() // 10**6)
    (trigger,) = folded.triggers
    assert trigger.cause is LockCause.REJECTS
    assert "INSUFFICIENT_MARGIN" in trigger.reason


async def test_a_reject_is_a_refusal(ledger: Ledger) -> None:
    # Of one instrument: an account that requires guaranteed stops is refused by the gateway.
    ledger.fault(kind="guaranteed_stop_required", instrument=EUR)
    assert await ledger.place("rejected", 1000) is Outcome.REJECTED
    (event,) = (await ledger.page()).events
    assert isinstance(event, Refused)
    assert event.reason


async def test_a_refused_exit_is_no_refusal_of_an_entry(ledger: Ledger) -> None:
    await ledger.place("entry", 1000)
    await ledger.begin()
    ledger.fault(kind="halted", instrument=EUR, times=1)
    await ledger.place("exit", -1000, reduce_only=True)
    assert not [e for e in (await ledger.page()).events if isinstance(e, Refused)]


async def test_trades_of_others_are_not_ours(ledger: Ledger) -> None:
    ledger.paper.broker.advance()
    order = MarketOrderRequest(instrument=EUR, units=Decimal(700))
    assert ledger.paper.broker.account.submit(order, time.time_ns()).fill
    assert [e for e in (await ledger.page()).events if isinstance(e, Opened)] == []
    assert await ledger.broker.own_trades() == []


@pytest.mark.parametrize("text", ["NaN", "Infinity", "so much"])
async def test_a_nav_that_is_no_number_comes_through(ledger: Ledger, text: str) -> None:
    """The guard trips on it. A NAV that is missing is an account that can't be read."""
    settings = ledger.paper.settings
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) as http:
        path = f"{ledger.paper.url}/v3/accounts/{settings.account}/summary"
        body = (await http.get(path)).json()
    body["account"]["NAV"] = text
    assert account_message(account_summary(body), (), 0).nav == "NaN"
    del body["account"]["NAV"]
    with pytest.raises(ValueError, match="NAV"):
        account_summary(body)


async def test_an_odd_fill_costs_itself_alone(ledger: Ledger) -> None:
    await ledger.place("entry", 1000)
    ledger.fault(
        kind="odd_member", path="sinceid", members="transactions", field="tradeOpened", text="?",
        count=50,
    )  # fmt: skip
    (event,) = (await ledger.page()).events
    assert isinstance(event, Unreadable)

"""Accepted, and then no answer: a thousand times, and not one order twice or lost."""

import asyncio
import time
from collections import Counter
from decimal import Decimal

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sep_gateway.adapters.oanda.broker import OandaBroker
from sep_gateway.adapters.oanda.http import OandaHttp
from sep_gateway.adapters.oanda.pace import Pace, Paces
from sep_gateway.adapters.order_claims import ValkeyOrderClaims
from sep_gateway.domain.orders import MarketOrder, OrderState
from sep_gateway.domain.rate_limit import RateLimit
from sep_gateway.instrument_book import InstrumentBook
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.order_desk import OrderDesk
from sep_kit.clock import SystemClock
from sep_kit.settings.shared.safety import SafetyKnobs
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_kit.store.kill_switch import KillSwitch
from sep_paper_broker.app import RunningBroker

ORDERS = 1000
AT_ONCE = 8


async def test_a_thousand_orders_without_an_answer_are_a_thousand_fills(
    broker: RunningBroker, store: Valkey
) -> None:
    """What the guard does: place; UNKNOWN is looked up, and some are placed once more.

    Every fault costs a connection. At the two a second that OANDA allows this would take
    eight minutes, so only here the pace is another.
    """
    broker.faults.add({"kind": "reset_after", "method": "POST", "path": "orders"})
    metrics = GatewayMetrics(CollectorRegistry())
    fast = Pace("fast", RateLimit(per_second=10_000, burst=100), metrics)
    http = OandaHttp(broker.url, SecretStr(broker.settings.token), 5.0, Paces(fast, fast), metrics)
    oanda = OandaBroker(http, broker.settings.account)
    clock = SystemClock()
    await store.set(keys.KILL_SWITCH, "0")
    desk = OrderDesk(
        oanda,
        ValkeyOrderClaims(store),
        InstrumentBook(oanda, clock),
        oanda.last_transaction_id,
        SafetyKnobs(),
        KillSwitch(store),
        5.0,
        clock,
        metrics,
    )
    slots = asyncio.Semaphore(AT_ONCE)
    placed: Counter[OrderState] = Counter()

    async def trade(number: int) -> None:
        units = Decimal(10 if number % 2 else -10)
        order = MarketOrder(f"thousand-{number:04}", "EUR_USD", units, False, None, None, None)
        async with slots:
            placed[(await desk.place(order)).state] += 1
            found = await desk.fate(order.client_order_id, None)
            assert (found.state, found.filled_units) == (OrderState.FILLED, units)
            if number % 10 == 0:
                assert await desk.place(order) == found

    started = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(ORDERS):
            tasks.create_task(trade(number))
    print(f"{ORDERS} orders in {time.monotonic() - started:.1f} s")
    await http.close()
    assert placed == {OrderState.UNKNOWN: ORDERS}
    fills = [
        getattr(t.body, "client_order_id", "")
        for t in broker.broker.account.book.ledger.transactions
        if t.body.type == "ORDER_FILL"
    ]
    assert len(fills) == len(set(fills)) == ORDERS

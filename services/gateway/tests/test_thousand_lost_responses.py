"""A thousand orders are executed but their responses lost: none trades twice or is lost."""

import asyncio
import time
import uuid
from collections import Counter
from decimal import Decimal

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sep_fx.granularity import Granularity
from sep_gateway.adapters.oanda.broker import OandaBroker
from sep_gateway.adapters.oanda.http import OandaHttp
from sep_gateway.adapters.oanda.throttle import Throttle, Throttles
from sep_gateway.adapters.order_claim_store import ValkeyOrderClaimStore
from sep_gateway.adapters.order_fence_store import ValkeyFenceStore
from sep_gateway.application.account_kinds import AccountKinds
from sep_gateway.application.close_outcomes import CloseOutcomes
from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.application.newest_transaction import NewestTransaction
from sep_gateway.application.order_checks import OrderChecks
from sep_gateway.application.order_claims import OrderClaims
from sep_gateway.application.order_fence import OrderFence
from sep_gateway.application.order_lookup import OrderLookup
from sep_gateway.application.order_service import OrderService
from sep_gateway.application.order_submission import OrderSubmitter
from sep_gateway.application.unclaimed_orders import UnclaimedOrders
from sep_gateway.domain.orders import Decided, MarketOrder, OrderState
from sep_gateway.domain.rate_limit import RateLimit
from sep_gateway.domain.universe import Universe
from sep_gateway.metrics import GatewayMetrics
from sep_kit.clock import SystemClock
from sep_kit.settings.shared.safety import SafetyKnobs
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_kit.store.kill_switch import KillSwitch
from sep_paper_broker.app import RunningBroker

ORDERS = 1000
AT_ONCE = 8


async def test_thousand_orders_with_lost_responses_fill_exactly_once(
    broker: RunningBroker, store: Valkey
) -> None:
    """Does what the guard does: places, looks UNKNOWN up, and places some again.

    Every fault breaks a connection. At OANDA's two new connections a second this would take
    eight minutes, so this test uses a faster throttle.
    """
    broker.faults.add({"kind": "reset_after", "method": "POST", "path": "orders"})
    metrics = GatewayMetrics(CollectorRegistry())
    fast = Throttle("fast", RateLimit(per_second=10_000, burst=100), metrics)
    http = OandaHttp(
        broker.url, SecretStr(broker.settings.token), 5.0, Throttles(fast, fast), metrics
    )
    oanda = OandaBroker(http, broker.settings.account)
    clock = SystemClock()
    await store.set(keys.KILL_SWITCH, "0")
    universe = Universe(instruments=("EUR_USD",), granularity=Granularity.M1, history_days=1)
    instruments = InstrumentCache(universe, oanda, clock, LeftOutMembers(metrics))
    claim_store = ValkeyOrderClaimStore(store)
    unclaimed = UnclaimedOrders(claim_store)
    lookup = OrderLookup(
        oanda, claim_store, unclaimed, CloseOutcomes(claim_store), clock, timeout_s=5.0
    )
    newest = NewestTransaction(oanda, metrics)
    kinds = AccountKinds(oanda, clock, metrics)
    kinds.observe(await oanda.account())
    await kinds.refresh_if_due()
    checks = OrderChecks(SafetyKnobs(), KillSwitch(store), kinds)
    submitter = OrderSubmitter(
        checks,
        OrderFence(ValkeyFenceStore(store), clock, 10),
        OrderClaims(claim_store, unclaimed, lookup, newest.known, clock, lambda: uuid.uuid4().hex),
        lookup,
        metrics,
        newest.note,
    )
    orders = OrderService(oanda, instruments, checks, submitter)
    slots = asyncio.Semaphore(AT_ONCE)
    placed: Counter[OrderState] = Counter()

    async def trade(number: int) -> None:
        units = Decimal(10)
        order = MarketOrder(
            client_order_id=f"thousand-{number:04}", instrument="EUR_USD", units=units
        )
        async with slots:
            placed[(await orders.place(order, Decided())).state] += 1
            found = await lookup.find(order.client_order_id)
            assert (found.state, found.filled_units) == (OrderState.FILLED, units)
            if number % 10 == 0:
                again = await orders.place(order, Decided())
                assert again.transaction_id == found.transaction_id

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

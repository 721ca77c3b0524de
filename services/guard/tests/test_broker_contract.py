"""Contract of the ``Broker`` port: the in-memory twin, and the gateway with a paper broker."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from sep_fx.sessions import MarketCalendar
from sep_gateway import settings
from sep_gateway.app import build as build_gateway
from sep_gateway.settings import GatewaySettings
from sep_guard.adapters import gateway
from sep_guard.adapters.gateway import GatewayBroker
from sep_guard.domain.market import Holding
from sep_guard.domain.orders import Intent, Outcome, client_order_id
from sep_guard.domain.trades import holdings_of
from sep_guard.ports import Broker
from sep_kit.clock import SystemClock
from sep_kit.errors import UnavailableError
from sep_kit.grpc.client import open_channel
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_paper_broker.app import RunningBroker, serve_paper_broker
from sep_paper_broker.orders.requests import MarketOrderRequest
from sep_paper_broker.settings import Settings as PaperSettings
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

from .memory_broker import MemoryBroker

EUR, JPY = "EUR_USD", "USD_JPY"
TOKEN = "a-secret-token"


@dataclass
class BrokerUnderTest:
    """A ``Broker``, and the paper broker behind it unless it is the in-memory twin."""

    broker: Broker
    paper: RunningBroker | None

    def trade_manually(self, units: int) -> None:
        if self.paper is None:
            assert isinstance(self.broker, MemoryBroker)
            self.broker.trade_manually(EUR, units)
            return
        self.paper.broker.advance()
        order = MarketOrderRequest(instrument=EUR, units=Decimal(units))
        assert self.paper.broker.account.submit(order, time.time_ns()).fill

    def lose_next_response(self) -> None:
        if self.paper is None:
            assert isinstance(self.broker, MemoryBroker)
            self.broker.faults = ["lost_response"]
        else:
            self.paper.faults.add({"kind": "reset_after", "method": "POST", "times": 1})


@pytest.fixture(params=["memory", "gateway"])
async def tested(
    request: Any, store: Valkey, shared_valkey: ValkeyServer
) -> AsyncIterator[BrokerUnderTest]:
    if request.param == "memory":
        yield BrokerUnderTest(MemoryBroker(SystemClock(), EUR, JPY), None)
        return
    await store.set(keys.KILL_SWITCH, "0")
    async with AsyncExitStack() as stack:
        paper = await stack.enter_async_context(serve_paper(TOKEN))
        address = await stack.enter_async_context(serve_gateway(shared_valkey, paper))
        channel = open_channel(address)
        stack.push_async_callback(channel.close, None)
        broker = GatewayBroker(channel)
        await eventually(lambda: is_ready(broker))
        yield BrokerUnderTest(broker, paper)


def serve_paper(token: str) -> Any:
    settings = PaperSettings(token=token, calendar=MarketCalendar.ALWAYS, poll_seconds=0.05)
    return serve_paper_broker(settings, clock=time.time_ns)


def serve_gateway(valkey: ValkeyServer, paper: RunningBroker, **changed: str) -> Any:
    environment = {
        "GRPC_LISTEN": "127.0.0.1:0",
        "VALKEY_URL": valkey.url,
        "OANDA_API_URL": paper.url,
        "OANDA_STREAM_URL": paper.url,
        "OANDA_API_TOKEN": paper.settings.token,
        "OANDA_TIMEOUT_SEC": "5",
        "HOTBAND_PAIRS": "EUR_USD,USD_JPY",
        "CANDLE_BACKFILL_DAYS": "0.02",
        **changed,
    }
    settings = load_settings(GatewaySettings, environment)
    return running_service("gateway", settings, build_gateway)


async def is_ready(broker: Broker) -> bool:
    try:
        await broker.account()
        return bool((await broker.prices([EUR])).quotes)
    except UnavailableError:
        return False


async def holdings(tested: BrokerUnderTest) -> Mapping[str, Holding]:
    return holdings_of(await tested.broker.trades())


async def intent(
    tested: BrokerUnderTest, name: str, units: int, reduce_only: bool = False
) -> Intent:
    account = await tested.broker.account()
    return Intent(
        client_order_id=client_order_id(name, "leg"),
        decision_id=name,
        instrument=EUR,
        units=Decimal(units),
        reduce_only=reduce_only,
        stop_loss=None,
        take_profit=None,
        price_bound=None,
        since_transaction_id=account.last_transaction_id,
        sent_ms=time.time_ns() // 10**6,
    )


async def test_account_rules_and_prices_can_be_read(tested: BrokerUnderTest) -> None:
    account = await tested.broker.account()
    assert account.balance == account.nav == account.margin_available == 100_000
    assert account.margin_used == 0
    rules = await tested.broker.instruments()
    assert rules[EUR].trade_units_precision == 0
    assert 0 < rules[EUR].margin_rate < 1
    prices = await tested.broker.prices([EUR])
    quote = prices.quotes[EUR]
    assert 0 < quote.bid < quote.ask
    assert quote.tradeable
    assert abs(time.time_ns() // 10**6 - quote.ts_ms) < 10_000
    assert prices.home_per_unit["USD"] == 1
    assert await holdings(tested) == {}


async def test_an_entry_is_filled_managed_and_found_by_a_look_up(tested: BrokerUnderTest) -> None:
    order = await intent(tested, "entry", 1000)
    result = await tested.broker.place(order)
    assert (result.outcome, result.filled_units) == (Outcome.FILLED, Decimal(1000))
    assert result.fill_price is not None
    held = (await holdings(tested))[EUR]
    assert (held.managed, held.manual) == (Decimal(1000), Decimal(0))
    assert (await tested.broker.account()).margin_used > 0
    found = await tested.broker.look_up(order)
    assert found is not None
    assert (found.outcome, found.filled_units, found.fill_price) == (
        Outcome.FILLED, Decimal(1000), result.fill_price,
    )  # fmt: skip


async def test_the_same_client_order_id_never_trades_twice(tested: BrokerUnderTest) -> None:
    order = await intent(tested, "entry", 1000)
    first = await tested.broker.place(order)
    again = await tested.broker.place(order)
    assert (again.outcome, again.fill_price) == (first.outcome, first.fill_price)
    assert (await holdings(tested))[EUR].managed == 1000


async def test_a_reduction_never_opens_a_position(tested: BrokerUnderTest) -> None:
    nothing = await tested.broker.place(await intent(tested, "exit-1", -500, reduce_only=True))
    assert nothing.outcome in (Outcome.CANCELLED, Outcome.REJECTED)
    assert await holdings(tested) == {}
    await tested.broker.place(await intent(tested, "entry", 1000))
    part = await tested.broker.place(await intent(tested, "exit-2", -400, reduce_only=True))
    assert (part.outcome, part.filled_units) == (Outcome.FILLED, Decimal(-400))
    await tested.broker.place(await intent(tested, "exit-3", -600, reduce_only=True))
    assert await holdings(tested) == {}


async def test_an_order_that_was_never_sent_is_not_known(tested: BrokerUnderTest) -> None:
    assert await tested.broker.look_up(await intent(tested, "never", 1000)) is None


async def test_a_lost_response_is_unknown_and_found_by_a_look_up(
    tested: BrokerUnderTest,
) -> None:
    tested.lose_next_response()
    order = await intent(tested, "entry", 1000)
    assert (await tested.broker.place(order)).outcome is Outcome.UNKNOWN

    async def found() -> bool:
        result = await tested.broker.look_up(order)
        return result is not None and result.outcome is Outcome.FILLED

    await eventually(found)
    assert (await holdings(tested))[EUR].managed == 1000


async def test_manual_trades_are_separate_from_managed_ones(tested: BrokerUnderTest) -> None:
    tested.trade_manually(300)
    held = (await holdings(tested))[EUR]
    assert (held.managed, held.manual) == (Decimal(0), Decimal(300))
    await tested.broker.place(await intent(tested, "entry", 1000))
    held = (await holdings(tested))[EUR]
    assert (held.managed, held.manual) == (Decimal(1000), Decimal(300))


async def test_an_order_that_the_gateway_refuses_is_rejected(
    tested: BrokerUnderTest,
) -> None:
    if tested.paper is None:
        pytest.skip("the in-memory broker has no order rules")
    order = replace(await intent(tested, "entry", 1), units=Decimal("0.5"))
    result = await tested.broker.place(order)
    assert (result.outcome, result.reason) == (Outcome.REJECTED, "UNITS_BELOW_MINIMUM")


def test_the_gateways_timeout_is_held_against_the_deadline_that_the_guard_has() -> None:
    """The gateway refuses a timeout beyond it, and can't import the guard."""
    assert settings._GUARD_WAITS_S == gateway._ORDER_DEADLINE_S

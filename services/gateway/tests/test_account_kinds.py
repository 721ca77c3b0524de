"""Accounts that the stack can't trade, and clocks that differ from the broker's."""

import json
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sep.gateway.v1 import gateway_pb2 as pb
from sep_fx.sessions import MarketCalendar
from sep_gateway.domain.account import AccountSummary
from sep_gateway.domain.account_kind import AccountKind, unsupported_kinds
from sep_gateway.domain.clock_skew import ClockSkew
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_paper_broker.app import serve_paper_broker
from sep_paper_broker.settings import Settings as PaperSettings
from sep_testing.calls import call
from sep_testing.eventually import eventually

from .orders import FILLED, by_hand, close_trade, open_trades, place, reason_of

TOKEN = "a-secret-broker-token"
ONE = Decimal(1)
SUMMARY = AccountSummary(
    id="101-001-0000001-001",
    currency="USD",
    balance=ONE,
    nav=ONE,
    unrealized_pl=ONE,
    pl=ONE,
    margin_used=ONE,
    margin_available=ONE,
    position_value=ONE,
    margin_closeout_percent=ONE,
    open_trade_count=0,
    open_position_count=0,
    last_transaction_id=1,
)


@pytest.mark.parametrize(
    ("changed", "seen", "kinds"),
    [
        ({}, {}, ()),
        ({"guaranteed_stop_mode": "ALLOWED"}, {}, ()),
        ({"hedging": True}, {}, (AccountKind.HEDGING,)),
        ({"hedging": None}, {}, (AccountKind.UNKNOWN_KIND,)),
        (
            {"guaranteed_stop_mode": "REQUIRED"},
            {"mt4": True},
            (AccountKind.GUARANTEED_STOPS_REQUIRED, AccountKind.MT4),
        ),
        ({"guaranteed_stop_mode": "MAYBE"}, {}, (AccountKind.UNKNOWN_KIND,)),
        ({}, {"fifo": True}, (AccountKind.FIFO,)),
    ],
)
def test_kinds(changed: Any, seen: Any, kinds: Any) -> None:
    summary = replace(SUMMARY, **changed)
    assert unsupported_kinds(summary, **{"mt4": False, "fifo": False, **seen}) == kinds


def paper(**changed: Any) -> PaperSettings:
    return PaperSettings(
        token=TOKEN,
        calendar=MarketCalendar.ALWAYS,
        heartbeat_seconds=0.3,
        poll_seconds=0.05,
        **changed,
    )


@pytest.mark.parametrize(
    ("changed", "kind"), [({"hedging": True}, "HEDGING"), ({"mt4_account": 7}, "MT4")]
)
async def test_unsupported_account_is_named_at_start_reads_work_and_entries_are_refused(
    start_gateway: Any,
    store: Valkey,
    capfd: pytest.CaptureFixture[str],
    changed: dict[str, Any],
    kind: str,
) -> None:
    async with (
        serve_paper_broker(paper(**changed), clock=time.time_ns) as broker,
        start_gateway(OANDA_API_URL=broker.url, OANDA_STREAM_URL=broker.url) as gateway,
    ):
        await eventually(gateway.serves)
        account = await call(gateway.stub.GetAccount, pb.GetAccountRequest(), peer="gateway")
        assert list(account.unsupported_kinds) == [kind]
        assert account.hedging_enabled is (kind == "HEDGING")
        assert await reason_of(place(gateway, "an-order-1")) == "ACCOUNT_KIND"
        hand = await by_hand(broker, "100")
        assert (await close_trade(gateway, hand, "a-close-1")).state == FILLED
        assert not (await open_trades(gateway)).trades

        async def published() -> bool:
            link = json.loads(await reply(store.get(keys.BROKER_LINK)) or "{}")
            return bool(link.get("unsupported_kinds") == [kind])

        await eventually(published)
        label = f'sep_account_unsupported{{kind="{kind}"}}'
        assert (await gateway.metrics("sep_account_unsupported"))[label] == 1
    assert kind in capfd.readouterr().out


async def test_entries_wait_until_the_broker_has_described_the_account(start_gateway: Any) -> None:
    async with serve_paper_broker(paper(), clock=time.time_ns) as broker:
        fault = broker.faults.add({"kind": "status", "status": 500, "path": "summary"})
        settings = {"OANDA_API_URL": broker.url, "OANDA_STREAM_URL": broker.url}
        async with start_gateway(ready=False, **settings) as gateway:

            async def refused() -> bool:
                return await reason_of(place(gateway, "an-order-1")) == "ACCOUNT_KIND"

            await eventually(refused)
            hand = await by_hand(broker, "100")
            assert (await close_trade(gateway, hand, "a-close-1")).state == FILLED
            broker.faults.remove(fault.id)
            await eventually(gateway.serves)
            assert (await place(gateway, "an-order-2")).state == FILLED


async def test_fifo_is_named_once_it_cancels_the_close_of_a_trade(
    gateway: Any, broker: Any
) -> None:
    await eventually(gateway.serves)
    for number in (1, 2):
        await place(gateway, f"an-order-{number}")
    newer = max((t.id for t in (await open_trades(gateway)).trades), key=int)
    fault = broker.faults.add({"kind": "fifo_violation"})
    await close_trade(gateway, newer, "a-close-1")
    account = await call(gateway.stub.GetAccount, pb.GetAccountRequest(), peer="gateway")
    assert list(account.unsupported_kinds) == ["FIFO"]
    broker.faults.remove(fault.id)
    await close_trade(gateway, newer, "a-close-2")
    account = await call(gateway.stub.GetAccount, pb.GetAccountRequest(), peer="gateway")
    assert not account.unsupported_kinds


SECOND = 1_000_000_000


def test_heartbeats_count_before_dates() -> None:
    skew = ClockSkew()
    now = 1_000 * SECOND
    assert skew.seconds(now) is None
    skew.date(1_003, now)
    assert skew.seconds(now) == pytest.approx(3.5)
    skew.heartbeat(now - SECOND, now)
    assert skew.seconds(now) == pytest.approx(-1)
    # A single late heartbeat does not count.
    for late in (0, 0, 5, 0):
        skew.heartbeat(now - late * SECOND, now)
    assert skew.seconds(now) == 0
    assert skew.seconds(now + 120 * SECOND) == pytest.approx(3.5)


async def test_clock_skew_is_measured_and_published(start_gateway: Any, store: Valkey) -> None:
    async with (
        serve_paper_broker(paper(), clock=lambda: time.time_ns() + 30 * SECOND) as broker,
        start_gateway(OANDA_API_URL=broker.url, OANDA_STREAM_URL=broker.url) as gateway,
    ):

        async def measured() -> bool:
            link = json.loads(await reply(store.get(keys.BROKER_LINK)) or "{}")
            metric = await gateway.metrics("sep_broker_clock_skew_seconds")
            return bool(
                abs((link.get("clock_skew_s") or 0) - 30) < 2
                and abs(metric["sep_broker_clock_skew_seconds"] - 30) < 2
            )

        await eventually(measured)

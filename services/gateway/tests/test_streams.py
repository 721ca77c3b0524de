"""Streams that are cut, muted or half open, and what the gateway knows all the while."""

import asyncio
import time
from decimal import Decimal
from typing import Any

from sep.gateway.v1 import gateway_pb2 as pb
from sep_gateway.domain.backoff import backoff_s
from sep_gateway.domain.ledger import Ledger, disagreement
from sep_gateway.domain.transactions import Transaction, TransactionPage
from sep_kit.grpc.client import call
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_kit.store.documents import read_document
from sep_kit.store.records import BrokerLinkRecord
from sep_paper_broker.app import RunningBroker
from sep_testing.eventually import eventually

QUICK = {"OANDA_STREAM_SILENCE_SEC": "0.8"}


async def connected(gateway: Any, stream: str, wanted: float = 1) -> bool:
    series = f'sep_oanda_stream_connected{{stream="{stream}"}}'
    found = (await gateway.metrics("sep_oanda_stream_connected")).get(series)
    return bool(found == wanted)


async def both_connected(gateway: Any) -> bool:
    return await connected(gateway, "prices") and await connected(gateway, "transactions")


async def requests(gateway: Any, endpoint: str) -> float:
    name = f'sep_oanda_requests_total{{endpoint="{endpoint}",status="2xx"}}'
    return float((await gateway.metrics(name)).get(name, 0))


async def prices(gateway: Any) -> list[pb.Price]:
    answer = await call(gateway.stub.GetPricing, pb.GetPricingRequest(), peer="gateway")
    assert {c.currency for c in answer.home_conversions} == {"EUR", "USD", "JPY"}
    return list(answer.prices)


async def link(store: Valkey) -> BrokerLinkRecord:
    found = await read_document(store, BrokerLinkRecord, keys.BROKER_LINK)
    assert found is not None
    return found


async def test_prices_come_from_the_stream_while_it_lives(start_gateway: Any) -> None:
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway))
        await prices(gateway)
        asked = await requests(gateway, "pricing")
        first = {p.instrument: p.ts_ms for p in await prices(gateway)}

        async def moved() -> bool:
            found = {p.instrument: p.ts_ms for p in await prices(gateway)}
            return all(found[name] > ts for name, ts in first.items())

        await eventually(moved)
        for price in await prices(gateway):
            assert 0 < Decimal(price.bid) < Decimal(price.ask)
            assert price.tradeable
            assert price.ts_ms > time.time() * 1000 - 5000  # noqa: TID251 - as the broker keeps it
        assert await requests(gateway, "pricing") == asked


async def test_a_mute_stream_is_dropped_and_prices_are_asked_for(
    start_gateway: Any, broker: RunningBroker
) -> None:
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway))
        fault = broker.faults.add({"kind": "silent_stream"})
        await eventually(lambda: connected(gateway, "prices", 0))
        await eventually(lambda: connected(gateway, "transactions", 0))
        asked = await requests(gateway, "pricing")
        assert len(await prices(gateway)) == 2
        assert await requests(gateway, "pricing") == asked + 1
        broker.faults.remove(fault.id)
        await eventually(lambda: both_connected(gateway))


async def test_a_stream_that_can_not_be_opened_is_tried_again(
    start_gateway: Any, broker: RunningBroker
) -> None:
    """Cut, refused and half open: one after the other, then it opens."""
    for fault in (
        {"kind": "reset_before"},
        {"kind": "status", "status": 503},
        {"kind": "hang"},
    ):
        broker.faults.add({**fault, "path": "/stream", "times": 1})
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway), within_s=15)
        assert not broker.faults.faults
        breaks = await gateway.metrics("sep_oanda_stream_breaks_total")
        assert sum(breaks.values()) == 3


async def test_no_transaction_is_missed_while_the_stream_is_mute(
    start_gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway))
        broker.faults.add({"kind": "silent_stream"})
        order = pb.PlaceMarketOrderRequest(
            client_order_id="an-order-1", instrument="EUR_USD", units="10"
        )
        placed = (await gateway.stub.PlaceMarketOrder(order)).result

        async def seen() -> bool:
            now = await link(store)
            return now.ledger_contiguous and (now.last_transaction_id or 0) >= int(
                placed.transaction_id
            )

        await eventually(seen)
        recovered = await gateway.metrics("sep_ledger_recovered_total")
        assert recovered["sep_ledger_recovered_total"] >= 2


async def test_a_gap_that_can_not_be_closed_blocks_entries_until_it_is(
    start_gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway))

        async def whole(wanted: bool) -> bool:
            return (await link(store)).ledger_contiguous is wanted

        await eventually(lambda: whole(True))
        broker.faults.add({"kind": "silent_stream"})
        broker.faults.add({"kind": "status", "status": 500, "path": "sinceid"})
        order = pb.PlaceMarketOrderRequest(
            client_order_id="an-order-1", instrument="EUR_USD", units="10"
        )
        await gateway.stub.PlaceMarketOrder(order)
        await eventually(lambda: whole(False))
        now = await link(store)
        assert not now.connected
        assert (await gateway.metrics("sep_ledger_contiguous"))["sep_ledger_contiguous"] == 0
        broker.faults.clear()
        await eventually(lambda: whole(True), within_s=15)


async def test_a_gap_that_the_brokers_lists_tell_differently_blocks_entries(
    start_gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    """Stream, newest id, list of transactions and account changes must agree."""
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway))
        broker.faults.add({"kind": "silent_stream"})
        broker.faults.add({"kind": "status", "status": 500, "path": "changes"})
        await gateway.stub.PlaceMarketOrder(
            pb.PlaceMarketOrderRequest(
                client_order_id="an-order-1", instrument="EUR_USD", units="10"
            )
        )

        async def whole(wanted: bool) -> bool:
            return (await link(store)).ledger_contiguous is wanted

        await eventually(lambda: whole(False))
        broker.faults.clear()
        await eventually(lambda: whole(True), within_s=15)


def test_two_lists_of_transactions_agree_as_far_as_both_reach() -> None:
    def page(last: int, *ids: int) -> TransactionPage:
        return TransactionPage(tuple(Transaction(i, "ORDER_FILL") for i in ids), last)

    assert disagreement(page(7, 5, 6, 7), page(7, 5, 6, 7)) == ()
    assert disagreement(page(7, 5, 6, 7), page(9, 5, 6, 7, 8, 9)) == ()
    assert disagreement(page(7, 5, 7), page(7, 5, 6, 7)) == (6,)
    assert disagreement(page(7, 5, 6, 7), page(9, 8, 9)) == (5, 6, 7)


async def test_a_stream_of_doubled_and_missing_heartbeats_is_no_fault(
    start_gateway: Any, broker: RunningBroker
) -> None:
    broker.faults.add({"kind": "duplicate_heartbeat", "times": 4})
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway))
        await eventually(lambda: not broker.faults.faults)
        breaks = await gateway.metrics("sep_oanda_stream_breaks_total")
        assert not breaks or set(breaks.values()) == {0}


def test_the_ledger_counts_only_what_comes_right_behind() -> None:
    ledger = Ledger(10, 10)
    assert ledger.saw(11) == Ledger(11, 11)
    broken = ledger.saw(12)
    assert not broken.contiguous
    assert broken.saw(11).contiguous is False
    assert broken.recovered(12).contiguous
    assert not ledger.heard_of(13).contiguous
    assert ledger.heard_of(9).contiguous


def test_backoff_grows_to_a_limit_and_spreads_replicas() -> None:
    waits = [backoff_s(n, 0.0) for n in range(1, 20)]
    assert waits == sorted(waits)
    assert waits[0] == 0.25
    assert backoff_s(50, 0.999) < 10.0
    assert backoff_s(3, 0.9) > backoff_s(3, 0.1)


async def test_streams_end_at_once_when_the_gateway_stops(start_gateway: Any) -> None:
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway))
        stopping = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopping < 2.0

"""Streams that are cut, silent or half open; prices and ledger meanwhile."""

import asyncio
import time
from decimal import Decimal
from typing import Any

from sep.gateway.v1 import gateway_pb2 as pb
from sep_gateway.domain.backoff import backoff_s
from sep_gateway.domain.ledger import Ledger, disagreement
from sep_gateway.domain.transactions import Transaction, TransactionPage
from sep_kit.errors import BrokerUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_kit.store.documents import read_document
from sep_kit.store.records import BrokerLinkRecord
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call
from sep_testing.eventually import eventually

# For what happens once a stream is silent. A machine that stalls is silent too: where a break must
# not happen, or prices must arrive in time, the limit is PATIENT.
QUICK = {"OANDA_STREAM_SILENCE_SEC": "0.8"}
PATIENT = {"OANDA_STREAM_SILENCE_SEC": "8"}


async def connected(gateway: Any, stream: str, expected: float = 1) -> bool:
    series = f'sep_oanda_stream_connected{{stream="{stream}"}}'
    found = (await gateway.metrics("sep_oanda_stream_connected")).get(series)
    return bool(found == expected)


async def both_connected(gateway: Any) -> bool:
    return await connected(gateway, "prices") and await connected(gateway, "transactions")


async def requests(gateway: Any, endpoint: str) -> float:
    name = f'sep_oanda_requests_total{{endpoint="{endpoint}",status="2xx"}}'
    return float((await gateway.metrics(name)).get(name, 0))


async def prices(gateway: Any) -> list[pb.Price]:
    response = await call(
        gateway.stub.GetPricing, pb.GetPricingRequest(), peer="gateway", deadline_s=30
    )
    assert {c.currency for c in response.home_conversions} == {"EUR", "USD", "JPY"}
    return list(response.prices)


async def link(store: Valkey) -> BrokerLinkRecord:
    found = await read_document(store, BrokerLinkRecord, keys.BROKER_LINK)
    assert found is not None
    return found


async def test_prices_come_from_the_stream_while_it_is_open(start_gateway: Any) -> None:
    async with start_gateway(**PATIENT) as gateway:
        await eventually(lambda: both_connected(gateway))

        async def moved_without_a_request() -> bool:
            # Conversions are requested every ten seconds, which one attempt may run into.
            first = {p.instrument: p.ts_ms for p in await prices(gateway)}
            sent = await requests(gateway, "pricing")
            found: dict[str, pb.Price] = {}

            async def moved() -> bool:
                found.update({p.instrument: p for p in await prices(gateway)})
                return all(found[name].ts_ms > ts for name, ts in first.items())

            await eventually(moved)
            for price in found.values():
                assert 0 < Decimal(price.bid) < Decimal(price.ask)
                assert price.tradeable
                assert price.ts_ms > time.time() * 1000 - 5000  # noqa: TID251 - the broker uses real time
            return await requests(gateway, "pricing") == sent

        await eventually(moved_without_a_request)


async def test_silent_stream_is_dropped_and_prices_are_requested(
    start_gateway: Any, broker: RunningBroker
) -> None:
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway))
        fault = broker.faults.add({"kind": "silent_stream"})
        await eventually(lambda: connected(gateway, "prices", 0))
        await eventually(lambda: connected(gateway, "transactions", 0))

        async def requested() -> bool:
            sent = await requests(gateway, "pricing")
            try:
                assert len(await prices(gateway)) == 2
            except BrokerUnavailableError:
                return False  # a response later than the limit, on a machine that stalls
            return await requests(gateway, "pricing") == sent + 1

        await eventually(requested)
        broker.faults.remove(fault.id)
        await eventually(lambda: both_connected(gateway))


async def test_stream_that_fails_to_open_is_retried(
    start_gateway: Any, broker: RunningBroker
) -> None:
    """It is cut, refused and left half open in turn, then it opens."""
    for fault in (
        {"kind": "reset_before"},
        {"kind": "status", "status": 503},
        {"kind": "hang"},
    ):
        broker.faults.add({**fault, "path": "/stream", "times": 1})
    async with start_gateway(**PATIENT) as gateway:
        await eventually(lambda: both_connected(gateway))
        assert not broker.faults.faults
        breaks = await gateway.metrics("sep_oanda_stream_breaks_total")
        assert sum(breaks.values()) == 3


async def test_no_transaction_is_missed_while_the_stream_is_silent(
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


async def test_ledger_gap_is_published_until_it_is_closed(
    start_gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway))

        async def contiguous(expected: bool) -> bool:
            return (await link(store)).ledger_contiguous is expected

        await eventually(lambda: contiguous(True))
        broker.faults.add({"kind": "silent_stream"})
        broker.faults.add({"kind": "status", "status": 500, "path": "sinceid"})
        order = pb.PlaceMarketOrderRequest(
            client_order_id="an-order-1", instrument="EUR_USD", units="10"
        )
        await gateway.stub.PlaceMarketOrder(order)
        await eventually(lambda: contiguous(False))
        now = await link(store)
        assert not now.connected
        assert (await gateway.metrics("sep_ledger_contiguous"))["sep_ledger_contiguous"] == 0
        broker.faults.clear()
        await eventually(lambda: contiguous(True))


async def test_ledger_gap_stays_open_while_the_brokers_lists_disagree(
    start_gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    """The transaction list and the account changes must agree."""
    async with start_gateway(**QUICK) as gateway:
        await eventually(lambda: both_connected(gateway))
        broker.faults.add({"kind": "silent_stream"})
        broker.faults.add({"kind": "status", "status": 500, "path": "changes"})
        await gateway.stub.PlaceMarketOrder(
            pb.PlaceMarketOrderRequest(
                client_order_id="an-order-1", instrument="EUR_USD", units="10"
            )
        )

        async def contiguous(expected: bool) -> bool:
            return (await link(store)).ledger_contiguous is expected

        await eventually(lambda: contiguous(False))
        broker.faults.clear()
        await eventually(lambda: contiguous(True))


def test_transaction_lists_are_compared_within_their_common_range() -> None:
    def page(last: int, *ids: int) -> TransactionPage:
        return TransactionPage(tuple(Transaction(id=i, type="ORDER_FILL") for i in ids), last)

    assert disagreement(page(7, 5, 6, 7), page(7, 5, 6, 7)) == ()
    assert disagreement(page(7, 5, 6, 7), page(9, 5, 6, 7, 8, 9)) == ()
    assert disagreement(page(7, 5, 7), page(7, 5, 6, 7)) == (6,)
    assert disagreement(page(7, 5, 6, 7), page(9, 8, 9)) == (5, 6, 7)


async def test_duplicate_and_missing_heartbeats_do_not_break_a_stream(
    start_gateway: Any, broker: RunningBroker
) -> None:
    broker.faults.add({"kind": "duplicate_heartbeat", "times": 4})
    async with start_gateway(**PATIENT) as gateway:
        await eventually(lambda: both_connected(gateway))
        await eventually(lambda: not broker.faults.faults)
        breaks = await gateway.metrics("sep_oanda_stream_breaks_total")
        assert not breaks or set(breaks.values()) == {0}


def test_ledger_advances_only_by_the_next_transaction() -> None:
    ledger = Ledger(seen=10, newest=10)
    assert ledger.received(11) == Ledger(seen=11, newest=11)
    broken = ledger.received(12)
    assert not broken.contiguous
    assert broken.received(11).contiguous is False
    assert broken.recovered(12).contiguous
    assert not ledger.announced(13).contiguous
    assert ledger.announced(9).contiguous


def test_backoff_grows_to_a_limit_with_jitter() -> None:
    waits = [backoff_s(n, 0.0) for n in range(1, 20)]
    assert waits == sorted(waits)
    assert waits[0] == 0.25
    assert backoff_s(50, 0.999) < 10.0
    assert backoff_s(3, 0.9) > backoff_s(3, 0.1)


async def test_streams_close_at_once_when_the_gateway_stops(start_gateway: Any) -> None:
    async with start_gateway(OANDA_STREAM_SILENCE_SEC="60") as gateway:
        await eventually(lambda: both_connected(gateway))
        stopping = asyncio.get_running_loop().time()
    # Not only once the streams have been silent for a minute.
    assert asyncio.get_running_loop().time() - stopping < 30

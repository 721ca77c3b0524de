"""One bad member of the broker's answers, through the whole gateway."""

import json
from typing import Any

import pytest
from sep.gateway.v1 import gateway_pb2 as pb
from sep_fx.granularity import Granularity
from sep_kit.store import keys
from sep_kit.store.candles import CandleStore
from sep_kit.store.connection import Valkey, reply
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call
from sep_testing.eventually import eventually

from .orders import admin_fault, ledger, open_trades, place


async def named_in_status(store: Valkey, *words: str) -> list[str]:
    """What the published link says is left out, once all words appear in one entry."""
    raw = await reply(store.get(keys.BROKER_LINK))
    left_out: list[str] = json.loads(raw or "{}").get("left_out", [])
    assert any(all(word in entry for word in words) for entry in left_out), left_out
    return left_out


async def test_pair_that_the_account_lacks_leaves_the_others_trading(
    start_gateway: Any, store: Valkey
) -> None:
    async with start_gateway(HOTBAND_PAIRS="EUR_USD,USD_JPY,XAU_USD") as gateway:
        await eventually(gateway.serves)
        assert len(await eventually(lambda: named_in_status(store, "XAU_USD"))) == 1
        pricing = await call(gateway.stub.GetPricing, pb.GetPricingRequest(), peer="gateway")
        assert [p.instrument for p in pricing.prices] == ["EUR_USD", "USD_JPY"]
        assert [m.name for m in pricing.left_out] == ["XAU_USD"]
        asked = pb.GetPricingRequest(instruments=["EUR_USD", "XAU_USD"])
        pricing = await call(gateway.stub.GetPricing, asked, peer="gateway")
        assert [p.instrument for p in pricing.prices] == ["EUR_USD"]
        assert (await place(gateway, "an-order-1")).state == pb.ORDER_STATE_FILLED

        async def stored() -> bool:
            pairs = ("EUR_USD", "USD_JPY")
            return len(await CandleStore(store).last_times(pairs, Granularity.M1)) == 2

        await eventually(stored)
        fetch = pb.FetchCandlesRequest(count=5)
        fetched = await call(gateway.stub.FetchCandles, fetch, peer="gateway", deadline_s=30)
        assert {s.instrument for s in fetched.stored} == {"EUR_USD", "USD_JPY"}
        assert (await gateway.metrics("sep_left_out"))['sep_left_out{kind="instrument"}'] == 1
        assert await gateway.serves()


async def test_instrument_with_an_odd_field_is_left_out(
    start_gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    broker.faults.add(
        {
            "kind": "odd_member", "path": "instruments", "members": "instruments",
            "instrument": "GBP_USD", "field": "marginRate", "text": "0",
        }
    )  # fmt: skip
    async with start_gateway() as gateway:
        await eventually(gateway.serves)
        await eventually(lambda: named_in_status(store, "GBP_USD", "not above 0"))
        listed = await call(
            gateway.stub.ListInstruments, pb.ListInstrumentsRequest(), peer="gateway"
        )
        assert "EUR_USD" in {i.name for i in listed.instruments}
        assert [m.name for m in listed.left_out] == ["GBP_USD"]


@pytest.mark.parametrize(
    ("members", "field", "fault_of", "method", "request_"),
    [
        ("positions", "long", "units", "ListPositions", pb.ListPositionsRequest()),
        ("trades", "currentUnits", "much", "ListOpenTrades", pb.ListOpenTradesRequest()),
    ],
)
async def test_view_without_a_bad_member_names_it(
    gateway: Any,
    broker: RunningBroker,
    store: Valkey,
    members: str,
    field: str,
    fault_of: str,
    method: str,
    request_: Any,
) -> None:
    for name, pair in (("an-order-1", "EUR_USD"), ("an-order-2", "USD_JPY")):
        await place(gateway, name, instrument=pair)
    fault = broker.faults.add(
        {
            "kind": "odd_member", "members": members, "instrument": "USD_JPY",
            "field": field, "text": "much",
        }
    )  # fmt: skip
    view = await call(getattr(gateway.stub, method), request_, peer="gateway")
    assert [m.instrument for m in getattr(view, members)] == ["EUR_USD"]
    (left_out,) = view.left_out
    assert left_out.instrument == "USD_JPY"
    assert fault_of in left_out.fault
    await eventually(lambda: named_in_status(store, "USD_JPY", fault_of))
    broker.faults.remove(fault.id)
    view = await call(getattr(gateway.stub, method), request_, peer="gateway")
    assert len(getattr(view, members)) == 2
    assert not view.left_out


async def test_trade_that_is_not_legible_at_all_may_be_of_any_instrument(
    gateway: Any, broker: RunningBroker
) -> None:
    await place(gateway, "an-order-1")
    broker.faults.add({"kind": "odd_member", "members": "trades"})
    (left_out,) = (await open_trades(gateway)).left_out
    assert (left_out.name, left_out.instrument) == ("*", "*")


@pytest.mark.parametrize("field", ["time", "bids"])
async def test_bad_price_costs_one_instrument(
    start_gateway: Any, broker: RunningBroker, field: str
) -> None:
    broker.faults.add({"kind": "status", "status": 503, "path": "pricing/stream"})
    async with start_gateway() as gateway:
        await eventually(gateway.serves)
        broker.faults.add(
            {
                "kind": "odd_member", "members": "prices", "instrument": "USD_JPY",
                "field": field, "text": "x",
            }
        )  # fmt: skip
        pricing = await call(gateway.stub.GetPricing, pb.GetPricingRequest(), peer="gateway")
        prices = {p.instrument: p for p in pricing.prices}
        assert prices["EUR_USD"].bid
        assert not prices["USD_JPY"].bid
        assert not prices["USD_JPY"].tradeable


async def test_bad_conversion_costs_one_currency(start_gateway: Any, broker: RunningBroker) -> None:
    broker.faults.add({"kind": "status", "status": 503, "path": "pricing/stream"})
    broker.faults.add(
        {"kind": "odd_member", "members": "homeConversions", "field": "positionValue", "text": "0"}
    )
    async with start_gateway() as gateway:
        await eventually(gateway.serves)
        pricing = await call(gateway.stub.GetPricing, pb.GetPricingRequest(), peer="gateway")
        assert len(pricing.prices) == 2
        assert {c.currency for c in pricing.home_conversions} == {"JPY", "USD"}
        assert [m.name for m in pricing.left_out] == ["EUR"]


async def test_instrument_that_is_delisted_leaves_the_prices_of_the_others(
    start_gateway: Any, broker: RunningBroker
) -> None:
    async with start_gateway() as gateway:
        await eventually(gateway.serves)
        await admin_fault(broker, kind="delisted", instrument="USD_JPY")
        broker.faults.add({"kind": "status", "status": 503, "path": "pricing/stream"})
        broker.faults.add({"kind": "cut_stream", "path": "pricing"})

        async def only_euro() -> bool:
            pricing = await call(
                gateway.stub.GetPricing,
                pb.GetPricingRequest(instruments=["EUR_USD", "USD_JPY"]),
                peer="gateway",
            )
            assert "EUR_USD" in {p.instrument for p in pricing.prices}
            return "USD_JPY" in {m.name for m in pricing.left_out}

        await eventually(only_euro)
        assert await gateway.serves()


async def test_unreadable_transaction_is_marked_and_the_others_are_read(
    gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    before = (await open_trades(gateway)).last_transaction_id
    await place(gateway, "an-order-1")
    assert (await ledger(gateway, before)).whole
    broker.faults.add(
        {
            "kind": "odd_member", "members": "transactions", "path": "sinceid", "count": 9,
            "field": "units", "text": "many",
        }
    )  # fmt: skip
    part = await ledger(gateway, before)
    # It is there, so the ledger has no gap: what it counted for is the reader's to judge.
    assert part.whole
    assert all(t.fault for t in part.transactions if t.type == "UNREADABLE")
    assert [t.id for t in part.transactions if t.type == "UNREADABLE"]
    ids = [int(t.id) for t in part.transactions]
    assert ids == list(range(ids[0], ids[-1] + 1))
    await eventually(lambda: named_in_status(store, "transaction", "many"))


async def test_order_is_not_missing_while_the_ledger_is_unreadable(
    gateway: Any, broker: RunningBroker
) -> None:
    await place(gateway, "an-order-1")
    broker.faults.add({"kind": "odd_member", "members": "transactions", "count": 50})
    broker.faults.add({"kind": "status", "status": 404, "path": "orders/@"})
    request = pb.GetOrderRequest(client_order_id="an-order-1", since_transaction_id="1")
    found = await call(gateway.stub.GetOrder, request, peer="gateway", deadline_s=30)
    assert found.result.state == pb.ORDER_STATE_UNKNOWN

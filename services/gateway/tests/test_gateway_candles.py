"""The candle fetcher, audit and candle calls, with a paper broker and a real Valkey."""

import itertools
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sep.gateway.v1 import gateway_pb2 as pb
from sep_fx.granularity import Granularity
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.candles import CandleStore
from sep_kit.store.connection import Valkey, reply
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call
from sep_testing.eventually import eventually

S5 = Granularity.S5
DAY = 86_400


async def stored(store: Valkey, instrument: str = "EUR_USD", g: Granularity = S5) -> list[int]:
    bars = await CandleStore(store).read_bars(instrument, g, 0)
    return [int(t) for t in bars.time]


def contiguous(times: list[int], step: int = 5) -> bool:
    """The synthetic market ticks every second, so every bar must exist."""
    return all(b - a == step for a, b in itertools.pairwise(times))


def filled(store: Valkey, count: int, instrument: str = "EUR_USD") -> Callable[[], Any]:
    async def probe() -> list[int] | None:
        times = await stored(store, instrument)
        return times if len(times) >= count else None

    return probe


async def test_history_is_complete_and_every_new_bar_follows(
    start_gateway: Any, store: Valkey
) -> None:
    async with start_gateway(CANDLE_GRANULARITY="S5", CANDLE_BACKFILL_DAYS="0.32") as gateway:
        for name in ("EUR_USD", "USD_JPY"):
            times = await eventually(filled(store, int(0.32 * 17_280) - 3, name))
            assert contiguous(times)
        newest = times[-1]
        assert newest > time.time() - 30  # noqa: TID251 - the broker uses real time

        async def next_bar() -> bool:
            return bool((await stored(store, "USD_JPY"))[-1] > newest)

        await eventually(next_bar)
        assert contiguous(await stored(store, "USD_JPY"))
        ages = await gateway.metrics("sep_last_candle_age_seconds")
        assert ages.keys() == {
            f'sep_last_candle_age_seconds{{instrument="{n}"}}' for n in ("EUR_USD", "USD_JPY")
        }
        assert all(0 <= age < 30 for age in ages.values())


async def test_killed_backfill_continues_and_can_be_extended_backward(
    start_gateway: Any, store: Valkey, broker: RunningBroker
) -> None:
    one = {"CANDLE_GRANULARITY": "S5", "HOTBAND_PAIRS": "EUR_USD"}
    slow = broker.faults.add({"kind": "latency", "path": "candles", "seconds": 1.5})
    async with start_gateway(**one, CANDLE_BACKFILL_DAYS="1.2"):
        await eventually(filled(store, 2000))
    broker.faults.remove(slow.id)
    before = await stored(store)
    assert before[-1] < time.time() - 3600, "the backfill should be killed before its end"  # noqa: TID251
    # FetchCandles stores the newest bars, which must not hide the gap before them.
    async with start_gateway(HOTBAND_PAIRS="EUR_USD", CANDLE_BACKFILL_DAYS="0.001") as gateway:
        await gateway.stub.FetchCandles(pb.FetchCandlesRequest(granularity="S5", count=100))
    async with start_gateway(**one, CANDLE_BACKFILL_DAYS="1.2"):
        times = await eventually(filled(store, int(1.2 * 17_280) - 3))
        assert contiguous(times)
        assert times[0] == before[0]
    async with start_gateway(**one, CANDLE_BACKFILL_DAYS="1.4"):
        times = await eventually(filled(store, int(1.4 * 17_280) - 3))
        assert contiguous(times)


async def test_incomplete_bar_is_fetched_again(
    start_gateway: Any, store: Valkey, broker: RunningBroker
) -> None:
    fault = broker.faults.add({"kind": "incomplete_candles", "instrument": "EUR_USD", "count": 20})
    async with start_gateway(CANDLE_GRANULARITY="S5"):
        times = await eventually(filled(store, 300))
        late = times[-1]
        assert late < time.time() - 90  # noqa: TID251
        broker.faults.remove(fault.id)

        async def caught_up() -> bool:
            return bool((await stored(store))[-1] > late + 90)

        await eventually(caught_up)
        assert contiguous(await stored(store))


async def test_temporarily_missing_candles_are_not_lost(
    start_gateway: Any, store: Valkey, broker: RunningBroker
) -> None:
    fault = broker.faults.add({"kind": "missing_candles", "count": 20})
    async with start_gateway(CANDLE_GRANULARITY="S5"):
        times = await eventually(filled(store, 300))
        broker.faults.remove(fault.id)
        await eventually(filled(store, len(times) + 20))
        assert contiguous(await stored(store))


async def test_only_the_lease_holder_fetches(start_gateway: Any, store: Valkey) -> None:
    await store.hset(keys.lease("gateway"), mapping={"holder": "another", "token": 7})
    async with start_gateway(CANDLE_GRANULARITY="S5") as gateway:
        await eventually(lambda: call(gateway.stub.GetAccount, pb.GetAccountRequest(), peer="g"))
        ticks = 'sep_loop_duration_seconds_count{loop="candles"}'

        async def ticked_twice() -> bool:
            return bool((await gateway.metrics(ticks)).get(ticks, 0) >= 2)

        await eventually(ticked_twice)
        assert not await stored(store)
        await store.delete(keys.lease("gateway"))
        await eventually(filled(store, 300))


async def test_emptied_store_is_filled_again(start_gateway: Any, store: Valkey) -> None:
    async with start_gateway(CANDLE_GRANULARITY="S5"):
        await eventually(filled(store, 300))
        await store.delete(keys.candles("EUR_USD", "S5"))
        assert contiguous(await eventually(filled(store, 300)))


async def test_gap_in_covered_history_is_found_and_refilled(
    start_gateway: Any, store: Valkey, broker: RunningBroker
) -> None:
    """A corrupt chunk, and candles that were quarantined at first."""
    broker.faults.add(
        {"kind": "bad_candles", "count": 40, "instrument": "USD_JPY", "times": 1, "value": "zero"}
    )
    quick = {"CANDLE_POLL_SEC": "0.2", "CANDLE_GRANULARITY": "S5", "CANDLE_BACKFILL_DAYS": "0.2"}
    wanted = int(0.2 * 17_280) - 3
    async with start_gateway(**quick) as gateway:
        await eventually(filled(store, wanted))
        key = keys.candles("EUR_USD", "S5")
        starts = sorted(int(f) for f in await reply(store.hkeys(key)) if f.isdigit())
        await store.hset(key, str(starts[1]), b"no chunk at all")
        for name in ("EUR_USD", "USD_JPY"):

            async def complete(name: str = name) -> bool:
                times = await stored(store, name)
                return len(times) >= wanted and contiguous(times)

            await eventually(complete)
        refilled = await gateway.metrics("sep_candles_refilled_total")
        assert refilled['sep_candles_refilled_total{instrument="EUR_USD"}'] >= 1440
        assert refilled['sep_candles_refilled_total{instrument="USD_JPY"}'] >= 38


async def test_fetch_counts_sent_and_new_candles(gateway: Any, store: Valkey) -> None:
    request = pb.FetchCandlesRequest(instruments=["EUR_GBP"], granularity="S5", count=7000)

    async def fetch() -> pb.FetchCandlesResponse:
        response: pb.FetchCandlesResponse = await call(
            gateway.stub.FetchCandles, request, peer="gateway", deadline_s=30
        )
        return response

    first = (await fetch()).stored[0]
    assert (first.fetched, first.stored, first.quarantined) == (7000, 7000, 0)
    times = await stored(store, "EUR_GBP")
    assert contiguous(times)
    assert first.last_ts_ms == times[-1] * 1000
    again = (await fetch()).stored[0]
    assert again.fetched == 7000
    assert again.stored < 10
    listed = await gateway.stub.ListCandles(
        pb.ListCandlesRequest(instrument="EUR_GBP", granularity="S5")
    )
    assert [c.ts_ms for c in listed.candles] == [
        t * 1000 for t in (await stored(store, "EUR_GBP"))[-120:]
    ]
    everything = await gateway.stub.FetchCandles(pb.FetchCandlesRequest(count=3))
    assert [(s.instrument, s.granularity, s.fetched) for s in everything.stored] == [
        ("EUR_USD", "M1", 3),
        ("USD_JPY", "M1", 3),
    ]


@pytest.mark.parametrize("granularity", ["H4", "D"])
async def test_long_bars_are_aligned_to_utc_midnight(
    gateway: Any, store: Valkey, granularity: str
) -> None:
    request = pb.FetchCandlesRequest(instruments=["EUR_USD"], granularity=granularity, count=10)
    (done,) = (await call(gateway.stub.FetchCandles, request, peer="g", deadline_s=30)).stored
    assert (done.fetched, done.quarantined) == (10, 0)
    g = Granularity(granularity)
    assert contiguous(await stored(store, "EUR_USD", g), g.seconds)


async def test_candles_are_listed_by_range_with_exact_decimals(gateway: Any, store: Valkey) -> None:
    fetch = pb.FetchCandlesRequest(instruments=["USD_CAD"], granularity="M1", count=60)
    await call(gateway.stub.FetchCandles, fetch, peer="gateway")
    times = await stored(store, "USD_CAD", Granularity.M1)
    begin, end = times[10], times[30]

    async def listed(**fields: Any) -> list[pb.Candle]:
        request = pb.ListCandlesRequest(instrument="USD_CAD", **fields)
        return list((await call(gateway.stub.ListCandles, request, peer="g")).candles)

    found = await listed(**{"from": str(begin * 1000), "to": str(end * 1000)})
    assert [c.ts_ms for c in found] == [t * 1000 for t in times[10:30]]
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin))
    assert (await listed(**{"from": stamp}))[0].ts_ms == begin * 1000
    assert (await listed(**{"from": str(begin * 1000 + 1)}))[0].ts_ms == times[11] * 1000
    assert [c.ts_ms for c in await listed(limit=2, to=str(end * 1000))] == [
        t * 1000 for t in times[28:30]
    ]
    assert await listed(to=str(times[0] * 1000)) == []
    for candle in found:
        for side in (candle.bid, candle.ask):
            assert all(len(p.split(".")[1]) == 5 for p in (side.o, side.h, side.l, side.c))
            assert Decimal(side.l) <= Decimal(side.o) <= Decimal(side.h)
    assert await call(
        gateway.stub.ListCandles, pb.ListCandlesRequest(instrument="AUD_JPY"), peer="g"
    ) == pb.ListCandlesResponse(instrument="AUD_JPY", granularity="M1")


async def test_fetch_from_an_unreachable_broker_is_unavailable(
    gateway: Any, broker: RunningBroker
) -> None:
    await eventually(
        lambda: call(gateway.stub.ListInstruments, pb.ListInstrumentsRequest(), peer="g")
    )
    broker.faults.add({"kind": "reset_before", "path": "candles"})
    fetch = pb.FetchCandlesRequest(instruments=["EUR_USD"])
    with pytest.raises(SepError) as failure:
        await call(gateway.stub.FetchCandles, fetch, peer="gateway", deadline_s=30)
    assert failure.value.reason == "BROKER_UNAVAILABLE"


async def test_failing_instrument_does_not_stop_the_others(
    start_gateway: Any, store: Valkey, broker: RunningBroker
) -> None:
    fault = broker.faults.add({"kind": "status", "status": 400, "path": "USD_JPY/candles"})
    async with start_gateway(CANDLE_GRANULARITY="S5") as gateway:
        await eventually(filled(store, 300))
        assert not await stored(store, "USD_JPY")
        await eventually(gateway.serves)
        broker.faults.remove(fault.id)
        await eventually(filled(store, 300, "USD_JPY"))

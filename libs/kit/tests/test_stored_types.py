import pytest
from sep_fx.granularity import Granularity
from sep_kit.errors import CorruptRecordError
from sep_kit.store import keys
from sep_kit.store.candles import CandleStore
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import read_document
from sep_kit.store.lease import Lease
from sep_kit.store.records import SignalRecord, WeightsRecord
from sep_kit.store.signals import SignalStore, queue_signal
from sep_kit.store.stored_types import StoredTypes
from sep_testing.clock import FakeClock

SIGNAL = SignalRecord.model_validate(
    {
        "ts_ns": 10**18, "price": 1.1,
        "metrics": {"coherence": 0.6, "stability": 0.9, "entropy": 0.5, "rupture": 0.1},
        "coeffs": {"sigma_eff": 0.0001, "lambda": 0.05},
    }
)  # fmt: skip


async def test_values_of_a_wrong_type_are_set_aside_by_the_lease_holder(
    store: Valkey, clock: FakeClock
) -> None:
    lease = Lease(store, "guard", "a", clock)
    types = StoredTypes(
        store, lease, {"log": "stream", "good": "hash", "missing": "zset", "bad": "string"}
    )
    await reply(store.lpush("log", "x"))
    await reply(store.hset("good", "a", "1"))
    await reply(store.hset("bad", "a", "1"))
    await types.tick()
    assert await store.exists("log")
    await lease.renew()
    await types.tick()
    assert await reply(store.lrange(keys.damaged("log"), 0, -1)) == [b"x"]
    assert sorted(await store.keys("*:damaged")) == [b"bad:damaged", b"log:damaged"]
    assert await store.exists("good")
    assert await types.repair() == []


async def test_a_damaged_index_costs_its_instrument_alone(store: Valkey) -> None:
    async with store.pipeline() as pipe:
        queue_signal(pipe, "EUR_USD", SIGNAL, 3600)
        await pipe.execute()
    await store.set(keys.signal_index("USD_JPY"), "x")
    found = await SignalStore(store).latest(["EUR_USD", "USD_JPY", "GBP_USD"])
    assert found["EUR_USD"] == SIGNAL
    assert isinstance(found["USD_JPY"], CorruptRecordError)
    assert found["GBP_USD"] is None


async def test_damaged_candles_cost_their_instrument_alone(store: Valkey) -> None:
    await store.set(keys.candles("USD_JPY", Granularity.M1), "x")
    await reply(store.hset(keys.candles("EUR_USD", Granularity.M1), "last", "60"))
    heads = await CandleStore(store).heads(["EUR_USD", "USD_JPY"], Granularity.M1)
    assert list(heads) == ["EUR_USD"]


async def test_a_document_of_a_wrong_type_is_malformed_not_an_outage(store: Valkey) -> None:
    await reply(store.lpush(keys.ALLOCATION_WEIGHTS, "x"))
    with pytest.raises(CorruptRecordError, match="wrong type"):
        await read_document(store, WeightsRecord, keys.ALLOCATION_WEIGHTS)

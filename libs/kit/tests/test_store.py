import asyncio
import time
from decimal import Decimal

import pytest
from sep_fx.granularity import Granularity
from sep_kit.errors import CorruptRecordError, NotTheWriterError, StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.candles import Candle, CandleColumns, CandleStore
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_kit.store.documents import read_document
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.lease import Lease
from sep_kit.store.records import GatesBlob, KillSwitchChange
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

DAY = 86_400
START = 20_000 * DAY
columns = CandleColumns.of


def candle(minute: int, close: str = "1.10003", volume: int = 7) -> Candle:
    bid = tuple(Decimal(p) for p in ("1.10001", "1.10005", "1.09999", close))
    return Candle(START + 60 * minute, (*bid, *(p + Decimal("0.00012") for p in bid)), volume)


async def test_candles_round_trip_as_decimals_and_as_columns(store: Valkey) -> None:
    candles = CandleStore(store)
    written = [candle(m) for m in (0, 1, 3, 1439, 1440, 3000)]
    assert await candles.write("EUR_USD", Granularity.M1, columns(written)) == 6
    read = await candles.read_candles("EUR_USD", Granularity.M1, START, START + 10 * DAY)
    assert read == written
    bars = await candles.read_bars("EUR_USD", Granularity.M1, START + 60)
    assert list(bars.time) == [c.time for c in written[1:]]
    assert bars.ask_c[0] == float(written[1].prices[7])
    assert await candles.last_times(["EUR_USD", "USD_JPY"], Granularity.M1) == {
        "EUR_USD": START + 60 * 3000
    }


async def test_a_bar_is_rewritten_and_never_duplicated(store: Valkey) -> None:
    candles = CandleStore(store)
    await candles.write("EUR_USD", Granularity.M1, columns([candle(0), candle(1)]))
    assert (
        await candles.write("EUR_USD", Granularity.M1, columns([candle(1), candle(0, "1.10004")]))
        == 1
    )
    read = await candles.read_candles("EUR_USD", Granularity.M1, START, START + DAY)
    assert [c.time for c in read] == [START, START + 60]
    assert read[0].prices[3] == Decimal("1.10004")


async def test_concurrent_writers_lose_no_candle(store: Valkey) -> None:
    candles = CandleStore(store)
    await asyncio.gather(
        *(candles.write("EUR_USD", Granularity.M1, columns([candle(m)])) for m in range(12))
    )
    assert len(await candles.read_bars("EUR_USD", Granularity.M1, START)) == 12


async def test_a_candle_takes_at_most_80_bytes(store: Valkey) -> None:
    candles = CandleStore(store)
    await candles.write("EUR_USD", Granularity.M1, columns([candle(m) for m in range(20 * 1440)]))
    used = await store.memory_usage(keys.candles("EUR_USD", "M1"), samples=0)
    assert used is not None
    assert used / (20 * 1440) <= 80


async def test_a_corrupt_chunk_is_ignored_and_preserved(store: Valkey) -> None:
    candles = CandleStore(store)
    await candles.write("EUR_USD", Granularity.M1, columns([candle(0), candle(1440)]))
    key = keys.candles("EUR_USD", "M1")
    raw = bytearray(await reply(store.hget(key, str(START))))
    raw[20] ^= 1
    await store.hset(key, str(START), bytes(raw))
    bars = await candles.read_bars("EUR_USD", Granularity.M1, START)
    assert list(bars.time) == [START + DAY]
    await candles.write("EUR_USD", Granularity.M1, columns([candle(5)]))
    preserved = [f for f in await reply(store.hkeys(key)) if f.startswith(b"corrupt:")]
    assert [await store.hget(key, f) for f in preserved] == [bytes(raw)]
    assert len(await candles.read_bars("EUR_USD", Granularity.M1, START)) == 2


async def test_prices_of_more_digits_widen_the_chunk_without_changing_older_ones(
    store: Valkey,
) -> None:
    candles = CandleStore(store)
    await candles.write("EUR_USD", Granularity.M1, columns([candle(0)]))
    await candles.write("EUR_USD", Granularity.M1, columns([candle(1, "1.1000312")]))
    read = await candles.read_candles("EUR_USD", Granularity.M1, START, START + DAY)
    assert [c.prices[3] for c in read] == [Decimal("1.10003"), Decimal("1.1000312")]


async def test_only_one_of_two_replicas_holds_the_lease_and_tokens_grow(
    store: Valkey, clock: FakeClock
) -> None:
    a, b = (Lease(store, "guard", holder, clock) for holder in "ab")
    await a.renew()
    await b.renew()
    assert (a.held, b.held) == (True, False)
    first = a.token
    await a.release()
    await b.renew()
    assert b.token > first


async def test_a_writer_that_lost_its_lease_writes_nothing(store: Valkey, clock: FakeClock) -> None:
    old, new = (Lease(store, "guard", holder, clock) for holder in ("old", "new"))
    await old.renew()
    await store.delete(keys.lease("guard"))
    await new.renew()
    assert old.held  # it can't know yet: the fencing token must stop it
    with pytest.raises(NotTheWriterError):
        await old.write(lambda pipe: pipe.set("x", "old"))
    await new.write(lambda pipe: pipe.set("x", "new"))
    assert await store.get("x") == b"new"


async def test_a_lease_that_was_not_renewed_is_not_held(store: Valkey, clock: FakeClock) -> None:
    lease = Lease(store, "guard", "a", clock)
    await lease.renew()
    clock.advance(11)
    assert not lease.held


@pytest.mark.parametrize("stored", [None, b"2", b"", b"off"])
async def test_a_malformed_kill_switch_counts_as_engaged(
    store: Valkey, stored: bytes | None
) -> None:
    if stored is not None:
        await store.set(keys.KILL_SWITCH, stored)
    assert (await KillSwitch(store).read()).engaged


async def test_the_kill_switch_records_who_when_and_why(store: Valkey) -> None:
    switch = KillSwitch(store)
    await switch.set(KillSwitchChange(ts=5, engaged=False, reason="opening", actor="ann"))
    state = await switch.read()
    assert (state.engaged, state.reason) == (False, "opening")
    assert state.change is not None
    assert state.change.actor == "ann"


async def test_seeding_does_not_change_an_existing_kill_switch(store: Valkey) -> None:
    switch = KillSwitch(store)
    released = KillSwitchChange(ts=1, engaged=False, reason="a", actor="a")
    engaged = KillSwitchChange(ts=2, engaged=True, reason="b", actor="b")
    await switch.seed(released, force=False)
    await switch.seed(engaged, force=False)
    assert not (await switch.read()).engaged
    await switch.seed(engaged, force=True)
    assert (await switch.read()).engaged


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'{"ts": 1, "gates": {"EUR_USD": 2}, "cooldowns": {"EUR_USD": 0}, "bufs": {"EUR_USD": 0}}',
        b'{"ts": 1, "gates": {"EUR_USD": 1}, "cooldowns": {}, "bufs": {}}',
        b'{"ts": 1, "gates": {"A_B": 1}, "cooldowns": {"A_B": 0}, "bufs": {"A_B": NaN}}',
    ],
)
async def test_a_malformed_blob_is_refused(store: Valkey, raw: bytes) -> None:
    await store.set(keys.GATES_BLOB, raw)
    with pytest.raises(CorruptRecordError):
        await read_document(store, GatesBlob, keys.GATES_BLOB)


async def test_a_timeout_is_not_retried(valkey: ValkeyServer) -> None:
    """Two seconds, not two for each of three attempts."""
    async with open_valkey(valkey.url) as client:
        await reply(client.ping())
        valkey.freeze()

        async def fails_in_time() -> bool:
            # A machine that stalls may make one of them late.
            began = time.monotonic()
            with pytest.raises(StoreUnavailableError):
                await reply(client.get("x"))
            return time.monotonic() - began < 5.5

        try:
            await eventually(fails_in_time)
        finally:
            valkey.thaw()

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sep_fx.granularity import Granularity
from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.store import candle_chunks, keys
from sep_kit.store.candle_chunks import BARS_PER_CHUNK, EMPTY, Candle, CandleColumns
from sep_kit.store.candles import CandleStore, Head
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_testing.valkey import ValkeyServer

M1 = Granularity.M1
START = 20_000 * 86_400
SPAN = BARS_PER_CHUNK * 60

PRICES = st.builds(
    lambda whole, places: Decimal(whole).scaleb(-places), st.integers(1, 10**9), st.integers(5, 5)
) | st.decimals("0.1", "9999", places=3)
CANDLES = st.builds(
    lambda bar, prices, volume: Candle(START + bar * 60, tuple(prices), volume),
    # Around the boundaries of three chunks, and anywhere in them.
    st.integers(0, 8) | st.integers(BARS_PER_CHUNK - 4, BARS_PER_CHUNK + 4)
    | st.integers(0, 3 * BARS_PER_CHUNK),
    st.lists(PRICES, min_size=8, max_size=8),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
MANY = st.lists(CANDLES, min_size=1, max_size=40, unique_by=lambda c: c.time)
columns = CandleColumns.of
FEW_EXAMPLES = settings(max_examples=25)


@asynccontextmanager
async def empty_store(server: ValkeyServer) -> AsyncIterator[Valkey]:
    """An empty store for each example."""
    async with open_valkey(server.url) as client:
        await client.flushall()
        yield client


def of_first_chunk(written: list[Candle]) -> CandleColumns:
    return columns(c for c in written if c.time < START + SPAN)


async def all_candles(candles: CandleStore, instrument: str) -> list[Candle]:
    return await candles.read_candles(instrument, M1, 0, 2**40)


@FEW_EXAMPLES
@given(data=st.data(), written=MANY)
async def test_any_partition_in_any_order_stores_the_same_as_one_write(
    shared_valkey: ValkeyServer, data: st.DataObject, written: list[Candle]
) -> None:
    async with empty_store(shared_valkey) as store:
        candles = CandleStore(store)
        assert await candles.write("EUR_USD", M1, columns(written)) == len(written)
        left = data.draw(st.permutations(written))
        changed = 0
        while left:
            size = data.draw(st.integers(1, len(left)))
            part, left = left[:size], left[size:]
            changed += await candles.write("USD_JPY", M1, columns(part))
            # Writing again changes nothing.
            assert await candles.write("USD_JPY", M1, columns(part)) == 0
        assert changed == len(written)
        whole, parts = await all_candles(candles, "EUR_USD"), await all_candles(candles, "USD_JPY")
        assert whole == parts == sorted(written, key=lambda c: c.time)
        one, other = [await candles.read_bars(i, M1, 0) for i in ("EUR_USD", "USD_JPY")]
        for column in ("time", "bid_o", "bid_h", "bid_l", "bid_c", "ask_o", "ask_c", "volume"):
            assert_array_equal(getattr(one, column), getattr(other, column))
        last = await candles.last_times(["EUR_USD", "USD_JPY", "GBP_USD"], M1)
        newest = max(c.time for c in written)
        assert last == {"EUR_USD": newest, "USD_JPY": newest}


@FEW_EXAMPLES
@given(first=MANY, second=MANY)
async def test_later_writes_replace_earlier_ones(
    shared_valkey: ValkeyServer, first: list[Candle], second: list[Candle]
) -> None:
    async with empty_store(shared_valkey) as store:
        candles = CandleStore(store)
        await candles.write("EUR_USD", M1, columns(first))
        changed = await candles.write("EUR_USD", M1, columns(second))
        before = {c.time: c for c in first}
        after = before | {c.time: c for c in second}
        assert await all_candles(candles, "EUR_USD") == [after[t] for t in sorted(after)]
        assert changed == sum(before.get(c.time) != c for c in second)


@FEW_EXAMPLES
@given(first=MANY, second=MANY)
async def test_rewrites_counts_writes_that_change_bars_up_to_the_newest(
    shared_valkey: ValkeyServer, first: list[Candle], second: list[Candle]
) -> None:
    """A reader that has everything up to the newest bar must read again only after such a write."""
    async with empty_store(shared_valkey) as store:
        candles = CandleStore(store)
        await candles.write("EUR_USD", M1, columns(first))
        head = (await candles.heads(["EUR_USD"], M1))["EUR_USD"]
        assert head == Head(last=max(c.time for c in first), rewrites=0)
        await candles.write("EUR_USD", M1, columns(second))
        known = {c.time: c for c in first}
        behind = any(c.time <= head.last and known.get(c.time) != c for c in second)
        after = (await candles.heads(["EUR_USD"], M1))["EUR_USD"]
        assert after == Head(last=max(c.time for c in (*first, *second)), rewrites=int(behind))


RANGE = st.integers(START - 120, START + 3 * SPAN + 120)


@FEW_EXAMPLES
@given(written=MANY, since=RANGE, until=RANGE)
async def test_a_range_contains_the_bars_that_start_in_it(
    shared_valkey: ValkeyServer, written: list[Candle], since: int, until: int
) -> None:
    async with empty_store(shared_valkey) as store:
        candles = CandleStore(store)
        await candles.write("EUR_USD", M1, columns(written))
        wanted = sorted(c.time for c in written if since <= c.time < until)
        read = await candles.read_candles("EUR_USD", M1, since, until)
        assert [c.time for c in read] == wanted
        assert list((await candles.read_bars("EUR_USD", M1, since, until)).time) == wanted
        open_end = sorted(c.time for c in written if since <= c.time)
        assert list((await candles.read_bars("EUR_USD", M1, since)).time) == open_end


@given(MANY)
def test_columns_contain_the_float_nearest_to_each_decimal(written: list[Candle]) -> None:
    chunk, _ = candle_chunks.merge(EMPTY, START, 60, of_first_chunk(written))
    bars = candle_chunks.bars_of(chunk, START, 60)
    candles = candle_chunks.candles_of(chunk, START, 60)
    for column, at in (("bid_o", 0), ("bid_c", 3), ("ask_o", 4), ("ask_c", 7)):
        assert list(getattr(bars, column)) == [float(c.prices[at]) for c in candles]


@given(st.binary(max_size=120))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    try:
        chunk = candle_chunks.decode(raw, "here")
    except CorruptRecordError:
        return
    # Only a chunk that was encoded here passes the checksum.
    assert candle_chunks.encode(chunk) == raw


@given(MANY, st.data())
def test_any_flipped_bit_is_refused(written: list[Candle], data: st.DataObject) -> None:
    chunk, _ = candle_chunks.merge(EMPTY, START, 60, of_first_chunk(written))
    raw = bytearray(candle_chunks.encode(chunk))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptRecordError):
        candle_chunks.decode(bytes(raw), "here")


def candle(time: int = START, price: str = "1.1", volume: int = 1) -> Candle:
    return Candle(time, (Decimal(price),) * 8, volume)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (candle(time=START + 30), "starts between two bars of 60 s"),
        (candle(volume=-1), "has a volume below 0"),
        (candle(price="0"), "can't be stored"),
        (candle(price="-1.1"), "can't be stored"),
        (candle(price="NaN"), "more than 9 decimals"),
        (candle(price="1.0000000001"), "more than 9 decimals"),
        (candle(price="3000000000"), "can't be stored"),
    ],
)
async def test_a_candle_that_can_not_be_stored_exactly_is_refused_with_its_whole_batch(
    store: Valkey, bad: Candle, why: str
) -> None:
    candles = CandleStore(store)
    with pytest.raises(ValueError, match=why):
        await candles.write("EUR_USD", M1, columns([candle(START + 60), bad]))
    assert await all_candles(candles, "EUR_USD") == []


async def test_volume_is_capped_at_the_largest_that_fits(store: Valkey) -> None:
    candles = CandleStore(store)
    await candles.write("EUR_USD", M1, columns([candle(volume=2**40)]))
    assert (await all_candles(candles, "EUR_USD"))[0].volume == 2**32 - 1


async def test_of_two_candles_for_one_time_the_later_is_stored(store: Valkey) -> None:
    candles = CandleStore(store)
    assert (
        await candles.write("EUR_USD", M1, columns([candle(price="1.1"), candle(price="1.2")])) == 1
    )
    assert [c.prices[0] for c in await all_candles(candles, "EUR_USD")] == [Decimal("1.2")]


async def test_granularities_are_separate(store: Valkey) -> None:
    candles = CandleStore(store)
    await candles.write("EUR_USD", Granularity.S5, columns([candle(START + 5)]))
    await candles.write("EUR_USD", M1, columns([candle(START + 60)]))
    bars = await candles.read_bars("EUR_USD", Granularity.S5, 0)
    assert list(bars.time) == [START + 5]


async def test_writing_no_candles_changes_nothing(store: Valkey) -> None:
    assert await CandleStore(store).write("EUR_USD", M1, columns([])) == 0
    assert len(await CandleStore(store).read_bars("EUR_USD", M1, 0)) == 0


async def test_only_new_candles_are_published(store: Valkey) -> None:
    candles = CandleStore(store)
    async with store.pubsub() as channel:
        await channel.subscribe(keys.CANDLES_CHANNEL)
        await channel.get_message(timeout=30)
        for _ in range(3):
            await candles.write("EUR_USD", M1, columns([candle()]))
        first = await channel.get_message(timeout=30)
        assert first is not None
        assert first["data"] == keys.candles("EUR_USD", M1).encode()
        assert await channel.get_message(timeout=0.05) is None


async def test_without_the_store_reads_and_writes_raise(valkey: ValkeyServer) -> None:
    async with open_valkey(valkey.url) as client:
        candles = CandleStore(client)
        valkey.kill()
        with pytest.raises(StoreUnavailableError):
            await candles.write("EUR_USD", M1, columns([candle()]))
        with pytest.raises(StoreUnavailableError):
            await candles.read_bars("EUR_USD", M1, 0)


async def test_candles_survive_a_killed_store(valkey: ValkeyServer) -> None:
    async with open_valkey(valkey.url) as client:
        candles = CandleStore(client)
        await candles.write("EUR_USD", M1, columns([candle()]))
        valkey.kill()
        valkey.start()
        assert await all_candles(candles, "EUR_USD") == [candle()]
        assert await reply(client.hkeys(keys.candles("EUR_USD", M1)))


async def test_a_malformed_head_is_left_out_until_the_next_write_repairs_it(
    store: Valkey,
) -> None:
    candles = CandleStore(store)
    prices = tuple([Decimal("1.1")] * 8)
    await candles.write("EUR_USD", M1, columns([Candle(START, prices, 1)]))
    await reply(store.hset(keys.candles("EUR_USD", M1), "last", "noon"))
    assert await candles.last_times(["EUR_USD"], M1) == {}
    await candles.write("EUR_USD", M1, columns([Candle(START + 60, prices, 1)]))
    assert await candles.last_times(["EUR_USD"], M1) == {"EUR_USD": START + 60}

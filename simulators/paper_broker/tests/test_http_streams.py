"""The price and the transaction stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .conftest import Client, ManualClock, Serve


@asynccontextmanager
async def lines(client: Client, path: str, **params: str) -> AsyncIterator[AsyncIterator[Any]]:
    """An iterator over the JSON objects of a stream."""
    async with client.http.stream("GET", client.home + path, params=params) as response:
        assert response.status_code == 200
        assert response.headers["RequestID"]

        async def objects() -> AsyncIterator[Any]:
            async for line in response.aiter_lines():
                yield json.loads(line)

        yield objects()


async def take(stream: AsyncIterator[Any], count: int) -> list[Any]:
    async with asyncio.timeout(30):
        return [await anext(stream) for _ in range(count)]


async def until(stream: AsyncIterator[Any], kind: str) -> Any:
    async with asyncio.timeout(30):
        async for found in stream:
            if found["type"] == kind:
                return found
    raise AssertionError("the stream ended")


async def test_price_stream_begins_with_a_snapshot_of_each_instrument(client: Client) -> None:
    names = "EUR_USD,USD_JPY"
    async with lines(client, "/pricing/stream", instruments=names) as stream:
        first = await take(stream, 3)
    assert [x.get("instrument") for x in first] == ["EUR_USD", "USD_JPY", None]
    (polled,) = (await client.get("/pricing", instruments="EUR_USD"))["prices"]
    assert first[0] == polled
    assert first[2]["type"] == "HEARTBEAT"


async def test_price_stream_follows_the_market(client: Client, clock: ManualClock) -> None:
    async with lines(client, "/pricing/stream", instruments="EUR_USD") as stream:
        await take(stream, 2)
        times = []
        for _ in range(3):
            clock.move(5)
            times.append((await until(stream, "PRICE"))["time"])
    assert times == sorted(set(times))


async def test_stream_without_snapshot_waits_for_the_next_price(
    client: Client, clock: ManualClock
) -> None:
    async with lines(client, "/pricing/stream", instruments="EUR_USD", snapshot="false") as stream:
        assert (await take(stream, 1))[0]["type"] == "HEARTBEAT"
        clock.move(5)
        assert await until(stream, "PRICE")


async def test_heartbeats_go_on_while_the_market_is_closed(
    serve: Serve, clock: ManualClock
) -> None:
    clock.move(3.5 * 86_400)
    async with (
        serve(heartbeat_seconds=0.05) as client,
        lines(client, "/pricing/stream", instruments="EUR_USD") as stream,
    ):
        price, *beats = await take(stream, 4)
    assert price["tradeable"] is False
    assert {beat["type"] for beat in beats} == {"HEARTBEAT"}


async def test_transaction_stream_sends_each_transaction_once_and_in_order(serve: Serve) -> None:
    async with (
        serve(heartbeat_seconds=0.2) as client,
        lines(client, "/transactions/stream") as stream,
    ):
        (beat,) = await take(stream, 1)
        assert (beat["type"], beat["lastTransactionID"]) == ("HEARTBEAT", "2")
        await client.order(1000)
        await client.order(-1000)
        # On a machine that stalls, a heartbeat comes between them.
        made: list[str] = []
        while len(made) < 4:
            made += [found["id"] for found in await take(stream, 1) if "id" in found]
        assert made == ["3", "4", "5", "6"]
        beat = await until(stream, "HEARTBEAT")
        assert beat["lastTransactionID"] == "6"


async def test_stop_filled_by_the_market_appears_on_the_stream(
    client: Client, clock: ManualClock
) -> None:
    bid, _ = await client.price()
    await client.order(1000, stopLossOnFill={"distance": "0.00012"})
    async with lines(client, "/transactions/stream") as stream:
        await take(stream, 1)
        clock.move(8 * 3600)
        fill = await until(stream, "ORDER_FILL")
    assert fill["reason"] == "STOP_LOSS_ORDER"
    assert fill["price"] < str(bid)


async def test_stream_of_unknown_instruments_is_refused(client: Client) -> None:
    await client.get("/pricing/stream", 400, instruments="EUR_XXX")
    await client.get("/pricing/stream", 400)


async def test_open_streams_do_not_delay_shutdown(serve: Serve) -> None:
    loop = asyncio.get_running_loop()
    async with (
        serve() as client,
        lines(client, "/pricing/stream", instruments="EUR_USD") as stream,
    ):
        await take(stream, 2)
        began = loop.time()
        client.running.broker.close()
        async for _ in stream:
            pass
    assert loop.time() - began < 25

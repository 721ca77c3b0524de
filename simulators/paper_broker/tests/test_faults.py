"""Injected faults of requests, streams, candles and prices."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sep_paper_broker.faults.registry import FaultRegistry, InvalidFaultError

from .conftest import Client, ManualClock, Serve

D = Decimal


async def test_latency_and_status_faults_apply_to_matching_requests_and_expire(
    client: Client,
) -> None:
    await client.fault(kind="status", status=429, path="/summary$", times=2)
    await client.get("/openTrades")
    for _ in range(2):
        assert (await client.get("/summary", 429))["errorMessage"]
    await client.get("/summary")
    await client.fault(kind="latency", seconds=0.2, method="GET", times=1)
    began = asyncio.get_running_loop().time()
    await client.get("/summary")
    assert asyncio.get_running_loop().time() - began >= 0.2


async def test_reset_before_loses_the_order_and_reset_after_keeps_it(client: Client) -> None:
    marked: dict[str, Any] = {"clientExtensions": {"id": "decision-1"}}
    await client.fault(kind="reset_before", method="POST", path="/orders", times=1)
    with pytest.raises(httpx.TransportError):
        await client.order(1000, **marked)
    await client.get("/orders/@decision-1", 404)
    await client.fault(kind="reset_after", method="POST", path="/orders", times=1)
    with pytest.raises(httpx.TransportError):
        await client.order(1000, **marked)
    found = (await client.get("/orders/@decision-1"))["order"]
    assert found["state"] == "FILLED"


async def test_hanging_request_gets_no_response(client: Client) -> None:
    await client.fault(kind="hang", path="/summary", times=1)
    with pytest.raises(httpx.ReadTimeout):
        await client.http.get(f"{client.home}/summary", timeout=0.2)
    await client.get("/summary")


async def test_new_order_is_unreadable_for_a_while(client: Client, clock: ManualClock) -> None:
    await client.fault(kind="unreadable_order", seconds=0.5, times=1)
    made = await client.order(1000, clientExtensions={"id": "x"})
    await client.get("/orders/@x", 404)
    await client.get(f"/orders/{made['orderCreateTransaction']['id']}", 404)
    assert (await client.get("/transactions/sinceid", id=2))["transactions"]
    clock.move(0.5)
    await client.get("/orders/@x")


async def test_candles_can_be_late_or_missing(client: Client) -> None:
    path = "/v3/instruments/EUR_USD/candles"
    params: dict[str, Any] = {"count": 4, "granularity": "M1", "to": "2025-06-18T11:00:00Z"}
    whole = (await client.get(path, **params))["candles"]
    await client.fault(kind="incomplete_candles", count=2, instrument="EUR_USD", times=1)
    late = (await client.get(path, **params))["candles"]
    assert [c["complete"] for c in late] == [True, True, False, False]
    await client.fault(kind="missing_candles", count=1, times=1)
    assert (await client.get(path, **params))["candles"] == whole[:-1]
    assert (await client.get(path, **params))["candles"] == whole


async def test_halted_instrument_has_a_price_and_is_not_tradeable(client: Client) -> None:
    await client.order(1000)
    await client.fault(kind="halted", instrument="EUR_USD")
    (price,) = (await client.get("/pricing", instruments="EUR_USD"))["prices"]
    assert price["tradeable"] is False
    closed = await client.put("/positions/EUR_USD/close", {"longUnits": "ALL"})
    assert closed["longOrderCancelTransaction"]["reason"] == "MARKET_HALTED"
    assert "orderFillTransaction" in await client.order(1000, instrument="USD_JPY")
    await client.http.delete(f"{client.running.admin_url}/admin/faults")
    assert "orderFillTransaction" in await client.order(-1000)


async def test_order_can_be_cancelled_for_margin_although_it_suffices(client: Client) -> None:
    await client.fault(kind="insufficient_margin", times=1)
    made = await client.order(1)
    assert made["orderCancelTransaction"]["reason"] == "INSUFFICIENT_MARGIN"
    assert "orderFillTransaction" in await client.order(1)


async def collect(
    client: Client, path: str, seconds: float, least: int = 0, **params: str
) -> list[str]:
    """The types of the lines that a stream sends within ``seconds`` after the first ``least``."""
    kinds: list[str] = []
    async with client.http.stream("GET", client.home + path, params=params) as response:
        lines = response.aiter_lines()
        async with asyncio.timeout(30):
            while len(kinds) < least:
                kinds.append(json.loads(await anext(lines))["type"])
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for line in lines:
                    kinds += [json.loads(line)["type"]]
    return kinds


async def test_streams_can_fall_silent_without_closing(serve: Serve) -> None:
    async with serve(heartbeat_seconds=0.05) as client:
        fault = await client.fault(kind="silent_stream")
        assert await collect(client, "/pricing/stream", 0.3, instruments="EUR_USD") == []
        await client.http.delete(f"{client.running.admin_url}/admin/faults/{fault['id']}")
        assert await collect(client, "/pricing/stream", 0.0, 1, instruments="EUR_USD")


async def test_one_stream_can_be_silent_while_the_other_sends(serve: Serve) -> None:
    async with serve(heartbeat_seconds=0.05) as client:
        await client.fault(kind="silent_stream", path="pricing/stream")
        assert await collect(client, "/pricing/stream", 0.3, instruments="EUR_USD") == []
        assert await collect(client, "/transactions/stream", 0.0, 1)


async def read_until_fault(client: Client, kind: str) -> None:
    """Read a stream until a fault that starts after its first line ends it."""
    url = f"{client.home}/transactions/stream"
    # Only a connection that is half open is waited for.
    timeout = 1.0 if kind == "half_open_stream" else 30.0
    async with client.http.stream("GET", url, timeout=timeout) as response:
        lines = response.aiter_lines()
        await anext(lines)
        await client.fault(kind=kind, times=1)
        async for _ in lines:
            pass


@pytest.mark.parametrize(
    ("kind", "error"),
    [("cut_stream", httpx.NetworkError), ("half_open_stream", httpx.ReadTimeout)],
)
async def test_an_open_stream_can_be_cut_or_left_half_open(
    serve: Serve, kind: str, error: type[Exception]
) -> None:
    async with serve(heartbeat_seconds=0.05) as client:
        with pytest.raises(error):
            await read_until_fault(client, kind)
        assert not client.running.faults.faults
        assert await collect(client, "/transactions/stream", 0.0, 1)


@pytest.mark.parametrize(
    ("value", "bad"),
    [
        ("zero", lambda bid, ask: D(bid["c"]) == 0),
        ("crossed", lambda bid, ask: D(bid["c"]) > D(ask["c"])),
        ("not_finite", lambda bid, ask: not D(bid["c"]).is_finite()),
        ("unparsable", lambda bid, ask: not any(map(str.isdigit, bid["c"]))),
        ("high_below_low", lambda bid, ask: D(bid["h"]) < D(bid["l"])),
    ],
)
async def test_candles_can_have_invalid_prices(
    client: Client, value: str, bad: Callable[[Any, Any], bool]
) -> None:
    path = "/v3/instruments/USD_JPY/candles"
    params: dict[str, Any] = {"count": 4, "granularity": "M1", "price": "BA"}
    whole = (await client.get(path, **params))["candles"]
    await client.fault(kind="bad_candles", value=value, count=2, instrument="USD_JPY", times=1)
    *good, before, last = (await client.get(path, **params))["candles"]
    assert good == whole[:2]
    assert bad(before["bid"], before["ask"])
    assert bad(last["bid"], last["ask"])
    assert (await client.get(path, **params))["candles"] == whole


@pytest.mark.parametrize(
    ("value", "bad"),
    [
        ("zero", lambda bid, ask: D(bid) == 0),
        ("crossed", lambda bid, ask: D(bid) > D(ask)),
        ("not_finite", lambda bid, ask: not D(bid).is_finite()),
        ("unparsable", lambda bid, ask: not any(map(str.isdigit, bid))),
    ],
)
async def test_prices_can_be_invalid(
    client: Client, value: str, bad: Callable[[Any, Any], bool]
) -> None:
    await client.fault(kind="bad_prices", value=value, instrument="EUR_USD", times=2)
    both: dict[str, Any] = {"instruments": "EUR_USD,USD_JPY"}
    for price, wanted in zip(
        (await client.get("/pricing", **both))["prices"], (True, False), strict=True
    ):
        assert bad(price["bids"][0]["price"], price["asks"][0]["price"]) is wanted
    async with client.http.stream("GET", f"{client.home}/pricing/stream", params=both) as response:
        lines = response.aiter_lines()
        price = json.loads(await anext(lines))
        assert bad(price["bids"][0]["price"], price["asks"][0]["price"])
    (price,) = (await client.get("/pricing", instruments="EUR_USD"))["prices"]
    assert not bad(price["bids"][0]["price"], price["asks"][0]["price"])


async def test_heartbeats_can_be_missing_or_double(serve: Serve) -> None:
    async with serve(heartbeat_seconds=60) as client:
        await client.fault(kind="missing_heartbeat", times=1)
        assert await collect(client, "/transactions/stream", 0.3) == []
        await client.fault(kind="duplicate_heartbeat", times=1)
        assert await collect(client, "/transactions/stream", 0.3, 2) == ["HEARTBEAT"] * 2


async def test_admin_can_have_a_separate_port(serve: Serve) -> None:
    async with serve(admin_port=0) as client:
        assert client.running.admin_url != client.running.url
        hidden = await client.http.get("/admin/faults")
        assert hidden.status_code == 404
        shown = await client.http.get(f"{client.running.admin_url}/admin/faults")
        assert shown.json() == {"faults": []}


async def test_faults_are_off_by_default_and_need_the_token(serve: Serve) -> None:
    """A web page or another user of the machine could halt the paper account otherwise."""
    async with serve(admin=False) as client:
        assert (await client.http.get("/admin/faults")).status_code == 404
    async with serve() as client:
        for url in (client.running.url, client.running.admin_url):
            async with httpx.AsyncClient(base_url=url, timeout=30) as stranger:
                fault = {"kind": "market_halted"}
                refused = await stranger.post("/admin/faults", json=fault)
            assert refused.status_code == 401
        # No fault may lock out who removes it.
        await client.fault(kind="status", status=500)
        assert (await client.http.delete("/admin/faults")).is_success


@pytest.mark.parametrize(
    "description",
    [{}, {"kind": "x"}, {"kind": "hang", "more": 1}, {"kind": "hang", "times": "2"},
     {"kind": "status", "status": True}, {"kind": "hang", "path": "("},
     {"kind": "bad_prices", "value": "odd"}],
)  # fmt: skip
def test_invalid_fault_is_refused(description: dict[str, Any]) -> None:
    with pytest.raises(InvalidFaultError):
        FaultRegistry().add(description)


async def test_orders_accepted_without_a_response_are_all_found_once(client: Client) -> None:
    await client.fault(kind="reset_after", method="POST", path="/orders")
    for i in range(150):
        with pytest.raises(httpx.TransportError):
            await client.order(1, clientExtensions={"id": f"d-{i}"})
    position = (await client.get("/positions/EUR_USD"))["position"]
    assert position["long"]["units"] == "150"
    assert len(position["long"]["tradeIDs"]) == 150

"""The account, its instruments and prices over HTTP."""

import asyncio
from decimal import Decimal

import httpx

from .conftest import Client, ManualClock, Serve

D = Decimal


async def test_wrong_or_missing_token_is_401(client: Client) -> None:
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}):
        async with httpx.AsyncClient(
            base_url=client.running.url, headers=headers, verify=False, timeout=30
        ) as http:
            response = await http.get("/v3/accounts")
        assert response.status_code == 401
        assert response.headers["RequestID"]
        assert response.json()["errorMessage"]


async def test_health_needs_no_token(client: Client) -> None:
    async with httpx.AsyncClient(base_url=client.running.url, verify=False, timeout=30) as http:
        response = await http.get("/healthz")
    assert (response.status_code, response.json()["status"]) == (200, "ok")


async def test_unknown_paths_and_methods_are_json_errors(client: Client) -> None:
    assert (await client.get("/v3/nothing", 404))["errorMessage"]
    assert (await client.post("/summary", {}, 405))["errorMessage"]


async def test_account_lists_open_trades_positions_and_orders(client: Client) -> None:
    (listed,) = (await client.get("/v3/accounts"))["accounts"]
    assert listed["id"] == client.running.settings.account
    await client.order(1000, stopLossOnFill={"price": "0.50000"})
    account = (await client.get(""))["account"]
    assert len(account["trades"]) == len(account["positions"]) == len(account["orders"]) == 1
    assert account["trades"][0]["stopLossOrderID"] == account["orders"][0]["id"]
    summary = (await client.get("/summary"))["account"]
    assert D(summary["NAV"]) == D(summary["balance"]) + D(summary["unrealizedPL"])
    assert D(summary["marginAvailable"]) == D(summary["NAV"]) - D(summary["marginUsed"])
    assert summary["openTradeCount"] == 1


async def test_instruments_have_their_precision(client: Client) -> None:
    found = (await client.get("/instruments"))["instruments"]
    assert len(found) >= 16
    response = await client.get("/instruments", instruments="USD_JPY")
    (yen,) = response["instruments"]
    assert (yen["displayPrecision"], yen["pipLocation"], yen["minimumTradeSize"]) == (3, -2, "1")
    await client.get("/instruments", 400, instruments="EUR_XXX")


async def test_prices_have_both_sides_and_conversions(client: Client) -> None:
    response = await client.get(
        "/pricing",
        instruments="EUR_USD,USD_JPY",
        includeHomeConversions="true",
        includeUnitsAvailable="true",
    )
    euro, yen = response["prices"]
    assert D(euro["bids"][0]["price"]) < D(euro["asks"][0]["price"])
    assert len(euro["bids"][0]["price"].split(".")[1]) == 5
    assert len(yen["bids"][0]["price"].split(".")[1]) == 3
    assert euro["tradeable"] is True
    by_currency = {c["currency"]: c for c in response["homeConversions"]}
    assert by_currency["USD"]["positionValue"] == "1"
    assert D(by_currency["JPY"]["accountGain"]) < D(by_currency["JPY"]["accountLoss"])
    assert int(euro["unitsAvailable"]["default"]["long"]) > 1_000_000
    seen = response["time"]
    later = await client.get("/pricing", instruments="EUR_USD", since=seen)
    assert later["prices"] == []
    await client.get("/pricing", 400)
    await client.get("/pricing", 400, instruments="EUR_XXX")


async def test_weekend_prices_are_shown_but_not_traded(client: Client, clock: ManualClock) -> None:
    clock.move(3.5 * 86_400)
    (price,) = (await client.get("/pricing", instruments="EUR_USD"))["prices"]
    assert (price["tradeable"], price["bids"], price["status"]) == (False, [], "non-tradeable")
    made = await client.order(1000)
    assert made["orderCancelTransaction"]["reason"] == "MARKET_HALTED"


async def test_market_that_never_closes_trades_on_sunday(serve: Serve, clock: ManualClock) -> None:
    from sep_fx.sessions import MarketCalendar

    clock.move(3.5 * 86_400)
    async with serve(calendar=MarketCalendar.ALWAYS) as client:
        assert "orderFillTransaction" in await client.order(1000)


async def test_unix_times_are_sent_on_request(client: Client) -> None:
    headers = {"Accept-Datetime-Format": "UNIX"}
    path = f"{client.home}/pricing"
    response = await client.http.get(path, params={"instruments": "EUR_USD"}, headers=headers)
    seconds, fraction = response.json()["time"].split(".")
    assert int(seconds) * 10**9 == client.running.broker.clock()
    assert len(fraction) == 9


async def test_financing_is_booked_at_five_in_new_york(client: Client, clock: ManualClock) -> None:
    await client.order(100_000)
    clock.move(10 * 3600)
    last = (await client.get("/summary"))["lastTransactionID"]
    found = (await client.get(f"/transactions/{last}"))["transaction"]
    assert found["type"] == "DAILY_FINANCING"
    assert found["time"] == "2025-06-18T21:00:00.000000000Z"
    account = (await client.get("/summary"))["account"]
    assert account["financing"] == found["financing"]


async def test_configuration_is_changed_by_patch(client: Client) -> None:
    path = f"{client.home}/configuration"
    response = await client.http.patch(path, json={"alias": "Practice", "marginRate": "0.05"})
    assert response.json()["clientConfigureTransaction"]["alias"] == "Practice"
    account = (await client.get("/summary"))["account"]
    assert (account["alias"], account["marginRate"]) == ("Practice", "0.05")
    assert (await client.http.patch(path, json={"marginRate": "9"})).status_code == 400


async def test_responses_do_not_wait_for_acknowledgements(client: Client) -> None:
    await client.get("/summary")
    loop = asyncio.get_running_loop()
    took = []
    for _ in range(25):
        began = loop.time()
        await client.get("/summary")
        took.append(loop.time() - began)
    # Nagle's algorithm would add 40 ms to each, and a busy machine adds as much to many.
    assert min(took) < 0.03

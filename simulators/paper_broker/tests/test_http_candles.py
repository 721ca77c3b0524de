"""Candles over HTTP."""

import itertools
from decimal import Decimal
from typing import Any

import pytest
from sep_fx.instants import NS_PER_SECOND, format_rfc3339, parse_rfc3339

from .conftest import Client, ManualClock, Serve

D = Decimal
PATH = "/v3/instruments/EUR_USD/candles"


async def candles(client: Client, **params: Any) -> list[Any]:
    found: list[Any] = (await client.get(PATH, **params))["candles"]
    return found


async def test_candles_hold_the_components_asked_for(client: Client) -> None:
    (candle,) = await candles(client, count=1, granularity="M1", price="BA")
    assert "mid" not in candle
    for low, high in ((candle["bid"], candle["ask"]),):
        assert D(low["l"]) <= D(low["o"]) <= D(low["h"])
        assert D(low["c"]) < D(high["c"])
    (middle,) = await candles(client, count=1, granularity="M1")
    assert set(middle) == {"complete", "volume", "time", "mid"}


async def test_both_paths_give_the_same_candles(client: Client) -> None:
    params: dict[str, Any] = {"count": 50, "granularity": "S5", "price": "MBA"}
    other = await client.get("/instruments/EUR_USD/candles", **params)
    assert other == await client.get(PATH, **params)


async def test_running_candle_is_incomplete_until_it_has_settled(
    client: Client, clock: ManualClock
) -> None:
    clock.move(2)
    *_, before, running = await candles(client, count=3, granularity="S5")
    assert (before["complete"], running["complete"]) == (True, False)
    clock.move(3.25)
    *_, ended, new = await candles(client, count=3, granularity="S5")
    assert ended["time"] == running["time"]
    assert (ended["complete"], new["complete"]) == (False, False)
    clock.move(0.1)
    assert (await candles(client, count=3, granularity="S5"))[-2]["complete"] is True


async def test_include_first_decides_about_the_candle_that_covers_from(client: Client) -> None:
    params = {"from": "2025-06-18T11:00:30Z", "count": 2, "granularity": "M1"}
    first, _ = await candles(client, **params)
    assert first["time"] == "2025-06-18T11:00:00.000000000Z"
    first, _ = await candles(client, **params, includeFirst="false")
    assert first["time"] == "2025-06-18T11:01:00.000000000Z"


async def test_range_holds_the_candles_that_begin_before_to(client: Client) -> None:
    params = {"from": "2025-06-18T11:00:00Z", "to": "2025-06-18T11:10:00Z", "granularity": "M1"}
    found = await candles(client, **params)
    assert len(found) == 10
    assert all(candle["complete"] for candle in found)
    assert found[-1] == (await candles(client, to=params["to"], count=1, granularity="M1"))[0]


async def test_paging_forward_gives_what_one_request_gives(client: Client) -> None:
    whole = await candles(client, count=600, granularity="S5", price="BA")
    pages: list[Any] = []
    start = whole[0]["time"]
    include = "true"
    while len(pages) < 600:
        params = {"from": start, "count": 250, "includeFirst": include}
        page = await candles(client, granularity="S5", price="BA", **params)
        pages += page
        start, include = page[-1]["time"], "false"
    assert pages[:600] == whole


async def test_history_is_the_same_after_a_restart_and_for_the_same_seed_only(
    serve: Serve, clock: ManualClock
) -> None:
    params = {"count": 500, "granularity": "M1", "to": format_rfc3339(clock())}
    seen = []
    for seed in (3, 3, 4):
        async with serve(seed=seed) as client:
            seen.append(await candles(client, **params))
    assert seen[0] == seen[1] != seen[2]


async def test_live_prices_become_the_candle(client: Client, clock: ManualClock) -> None:
    clock.move(1)
    prices = []
    for _ in range(5):
        prices.append((await client.price())[0])
        clock.move(1)
    begin = clock() - 5 * NS_PER_SECOND
    (candle,) = await candles(
        client, **{"from": format_rfc3339(begin)}, count=1, granularity="S5", price="B"
    )
    assert D(candle["bid"]["l"]) <= min(prices)
    assert D(candle["bid"]["h"]) >= max(prices)


async def test_closed_hours_have_no_candles(client: Client) -> None:
    found = await candles(
        client, **{"from": "2025-06-13T20:50:00Z", "to": "2025-06-15T21:10:00Z"}, granularity="M1"
    )
    times = [parse_rfc3339(candle["time"]) for candle in found]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) == (2 * 86_400 + 8 * 60) * NS_PER_SECOND


async def test_days_begin_at_five_in_new_york_by_default(client: Client) -> None:
    found = await candles(client, count=5, granularity="D")
    assert {candle["time"][11:19] for candle in found} == {"21:00:00"}
    found = await candles(
        client, count=5, granularity="D", dailyAlignment=0, alignmentTimezone="UTC"
    )
    assert {candle["time"][11:19] for candle in found} == {"00:00:00"}
    found = await candles(client, count=12, granularity="H4")
    assert {candle["time"][11:13] for candle in found} == {"21", "01", "05", "09", "13", "17"}


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"count": 1, "from": "2025-06-18T11:00:00Z", "to": "2025-06-18T11:01:00Z"}, "count"),
        ({"count": 5001}, "5000"),
        ({"count": 0}, "count"),
        ({"count": "x"}, "count"),
        ({"granularity": "M3"}, "granularity"),
        ({"price": "X"}, "price"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2035-01-01T00:00:00Z"}, "future"),
        ({"from": "2025-06-18T00:00:00Z", "to": "2025-06-18T11:00:00Z"}, "maximum"),
        ({"from": "2025-06-18T11:00:00Z", "to": "2025-06-18T10:00:00Z"}, "from"),
        ({"dailyAlignment": 24}, "dailyAlignment"),
        ({"alignmentTimezone": "Nowhere"}, "alignmentTimezone"),
        ({"includeFirst": "maybe"}, "includeFirst"),
    ],
)
async def test_bad_parameters_are_400_and_named(
    client: Client, params: dict[str, Any], word: str
) -> None:
    assert word in (await client.get(PATH, 400, **params))["errorMessage"]


async def test_unknown_instrument_is_400(client: Client) -> None:
    refused = await client.get("/v3/instruments/EUR_XXX/candles", 400)
    assert "instrument" in refused["errorMessage"]

"""Faults and kinds of accounts that a trading stack must survive, over HTTP."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sep_paper_broker.adapters.state_file import UnusableStateError
from sep_paper_broker.faults.registry import FaultRegistry, InvalidFaultError

from .conftest import Client, ManualClock, Serve

D = Decimal


async def account(client: Client) -> Any:
    return (await client.get("/summary"))["account"]


async def open_trades(client: Client) -> list[Any]:
    trades: list[Any] = (await client.get("/openTrades"))["trades"]
    return trades


async def clear_faults(client: Client) -> None:
    await client.http.delete(f"{client.running.admin_url}/admin/faults")


def cancel_reason(made: Any) -> str:
    assert "orderFillTransaction" not in made
    reason: str = made["orderCancelTransaction"]["reason"]
    return reason


async def test_account_margin_rate_changes_the_margin_of_open_trades_immediately(
    client: Client,
) -> None:
    await client.order(10_000)
    before = await account(client)
    path = f"{client.home}/configuration"
    assert (await client.http.patch(path, json={"marginRate": "0.10"})).status_code == 200
    after = await account(client)
    assert D(after["marginUsed"]) == 5 * D(before["marginUsed"])
    assert (await open_trades(client))[0]["marginUsed"] == after["marginUsed"]
    # A rate below the instrument's has no effect: the larger of the two counts.
    assert (await client.http.patch(path, json={"marginRate": "0.01"})).status_code == 200
    assert (await account(client))["marginUsed"] == before["marginUsed"]


async def test_margin_closeout_closes_every_trade(client: Client) -> None:
    await client.order(1000, stopLossOnFill={"price": "0.50000"})
    await client.order(1000, instrument="USD_JPY")
    await client.fault(kind="margin_closeout", times=1)
    assert await open_trades(client) == []
    found = (await client.get("/transactions/sinceid", id=2))["transactions"]
    fills = [t["reason"] for t in found if t["type"] == "ORDER_FILL"]
    assert fills[-2:] == ["MARKET_ORDER_MARGIN_CLOSEOUT"] * 2
    await client.order(1000)
    assert len(await open_trades(client)) == 1


async def test_lost_stop_is_cancelled_on_the_trades_it_applies_to(client: Client) -> None:
    for _ in range(2):
        await client.order(1000, stopLossOnFill={"price": "0.50000"})
    newer, older = await open_trades(client)
    await client.fault(kind="lost_stop", trade=newer["id"], times=1)
    newer, older = await open_trades(client)
    assert "stopLossOrder" not in newer
    assert "stopLossOrder" in older
    last = (await client.get("/summary"))["lastTransactionID"]
    cancel = (await client.get(f"/transactions/{last}"))["transaction"]
    assert (cancel["type"], cancel["reason"]) == ("ORDER_CANCEL", "CLIENT_REQUEST")
    assert "requestID" not in cancel


async def test_stops_are_lost_again_until_the_fault_is_removed(client: Client) -> None:
    await client.order(1000, stopLossOnFill={"price": "0.50000"})
    (trade,) = await open_trades(client)
    await client.fault(kind="lost_stop", instrument="EUR_USD")
    stop = {"stopLoss": {"price": "0.60000"}}
    await client.put(f"/trades/{trade['id']}/orders", stop)
    assert "stopLossOrder" not in (await open_trades(client))[0]
    await clear_faults(client)
    await client.put(f"/trades/{trade['id']}/orders", stop)
    assert "stopLossOrder" in (await open_trades(client))[0]


@pytest.mark.parametrize(("units", "stop", "moved"), [(1000, "0.50000", "0.40000"),
                                                      (-1000, "2.00000", "2.10000")])  # fmt: skip
async def test_moved_stop_is_farther_from_the_market_and_moved_once(
    client: Client, clock: ManualClock, units: int, stop: str, moved: str
) -> None:
    await client.order(units, stopLossOnFill={"price": stop})
    await client.fault(kind="moved_stop", distance="0.10000")
    for _ in range(3):
        clock.move(1)
        (trade,) = await open_trades(client)
        assert trade["stopLossOrder"]["price"] == moved


async def test_trade_by_hand_has_no_client_extensions_and_closes_by_id(client: Client) -> None:
    await client.order(1000, clientExtensions={"id": "a"}, tradeClientExtensions={"id": "a"})
    made = await client.order(700)
    hand = made["orderFillTransaction"]["tradeOpened"]["tradeID"]
    assert "clientExtensions" not in (await client.get(f"/trades/{hand}"))["trade"]
    assert "clientExtensions" not in made["orderCreateTransaction"]
    await client.put(f"/trades/{hand}/close")
    (left,) = await open_trades(client)
    assert left["clientExtensions"]["id"] == "a"


async def test_views_show_a_fill_after_a_delay_and_transactions_at_once(
    client: Client, clock: ManualClock
) -> None:
    before = await account(client)
    await client.fault(kind="stale_views", seconds=3)
    made = await client.order(1000)
    clock.move(2)
    assert await open_trades(client) == []
    assert (await client.get("/openPositions"))["positions"] == []
    stale = await account(client)
    assert stale["lastTransactionID"] == before["lastTransactionID"]
    assert stale["openTradeCount"] == 0
    assert D(stale["marginUsed"]) == 0
    assert (await client.get("/transactions/sinceid", id=2))["transactions"]
    order = made["orderCreateTransaction"]["id"]
    assert (await client.get(f"/orders/{order}"))["order"]["state"] == "FILLED"
    clock.move(1)
    assert len(await open_trades(client)) == 1
    assert (await account(client))["lastTransactionID"] == made["lastTransactionID"]


async def test_one_view_can_be_stale_while_another_is_current(
    client: Client, clock: ManualClock
) -> None:
    await client.fault(kind="stale_views", seconds=60, path="openPositions$")
    await client.order(1000)
    clock.move(5)
    await client.order(1000)
    assert len(await open_trades(client)) == 2
    assert (await client.get("/openPositions"))["positions"] == []
    clock.move(57)
    (position,) = (await client.get("/openPositions"))["positions"]
    assert position["long"]["units"] == "1000"
    await clear_faults(client)
    (position,) = (await client.get("/openPositions"))["positions"]
    assert position["long"]["units"] == "2000"


async def test_fifo_violation_cancels_openings_and_closes_of_newer_trades(client: Client) -> None:
    await client.order(1000)
    await client.order(500)
    newer, older = await open_trades(client)
    await client.fault(kind="fifo_violation", instrument="EUR_USD")
    assert cancel_reason(await client.order(1000)) == "FIFO_VIOLATION"
    closed = await client.put(f"/trades/{newer['id']}/close")
    assert cancel_reason(closed) == "FIFO_VIOLATION"
    assert "orderFillTransaction" in await client.put(f"/trades/{older['id']}/close")
    reduced = await client.order(-500, positionFill="REDUCE_ONLY")
    assert "orderFillTransaction" in reduced
    assert "orderFillTransaction" in await client.order(1000, instrument="USD_JPY")


async def test_required_guaranteed_stop_rejects_openings_and_shows_in_the_account(
    client: Client,
) -> None:
    await client.order(1000)
    assert (await account(client))["guaranteedStopLossOrderMode"] == "DISABLED"
    await client.fault(kind="guaranteed_stop_required")
    assert (await account(client))["guaranteedStopLossOrderMode"] == "REQUIRED"
    refused = await client.order(1000, 400, stopLossOnFill={"price": "0.50000"})
    assert refused["errorCode"] == "STOP_LOSS_ON_FILL_GUARANTEED_REQUIRED"
    assert refused["orderRejectTransaction"]["type"] == "MARKET_ORDER_REJECT"
    assert "orderFillTransaction" in await client.order(-1000, positionFill="REDUCE_ONLY")


async def test_a_guaranteed_stop_of_one_instrument_leaves_the_accounts_mode(client: Client) -> None:
    await client.fault(kind="guaranteed_stop_required", instrument="EUR_USD")
    assert (await account(client))["guaranteedStopLossOrderMode"] == "DISABLED"
    refused = await client.order(1000, 400)
    assert refused["orderRejectTransaction"]["type"] == "MARKET_ORDER_REJECT"
    assert "orderFillTransaction" in await client.order(1000, instrument="USD_JPY")


async def test_thin_liquidity_cancels_fok_and_fills_a_part_of_ioc(client: Client) -> None:
    await client.fault(kind="thin_liquidity", units=600)
    assert cancel_reason(await client.order(1000)) == "INSUFFICIENT_LIQUIDITY"
    fill = (await client.order(1000, timeInForce="IOC"))["orderFillTransaction"]
    assert fill["units"] == fill["tradeOpened"]["units"] == "600"
    assert "orderFillTransaction" in await client.order(500)
    closed = await client.put("/positions/EUR_USD/close", {"longUnits": "ALL"})
    assert closed["longOrderCancelTransaction"]["reason"] == "INSUFFICIENT_LIQUIDITY"
    fill = (await client.order(-1100, timeInForce="IOC", positionFill="REDUCE_ONLY"))[
        "orderFillTransaction"
    ]
    assert fill["units"] == "-600"
    assert (await client.get("/positions/EUR_USD"))["position"]["long"]["units"] == "500"


async def test_slippage_fills_worse_than_the_quote_or_violates_the_bound(client: Client) -> None:
    bid, ask = await client.price()
    await client.fault(kind="slippage", distance="0.00050")
    assert cancel_reason(await client.order(1000, priceBound=str(ask))) == "BOUNDS_VIOLATION"
    fill = (await client.order(1000))["orderFillTransaction"]
    assert D(fill["tradeOpened"]["price"]) == ask + D("0.00050")
    fill = (await client.order(-1000))["orderFillTransaction"]
    assert D(fill["tradesClosed"][0]["price"]) == bid - D("0.00050")


async def test_delisted_instrument_disappears_and_its_trades_stay(client: Client) -> None:
    await client.order(1000)
    await client.fault(kind="delisted", instrument="EUR_USD")
    names = {i["name"] for i in (await client.get("/instruments"))["instruments"]}
    assert "EUR_USD" not in names
    assert "USD_JPY" in names
    await client.get("/instruments", 400, instruments="EUR_USD")
    await client.get("/pricing", 400, instruments="EUR_USD,USD_JPY")
    refused = await client.order(1000, 400)
    assert refused["errorCode"] == "INSTRUMENT_NOT_TRADEABLE"
    (trade,) = await open_trades(client)
    assert D(trade["marginUsed"]) > 0
    assert (await client.get("/openPositions"))["positions"][0]["instrument"] == "EUR_USD"
    assert "orderFillTransaction" in await client.put(f"/trades/{trade['id']}/close")
    await clear_faults(client)
    assert "orderFillTransaction" in await client.order(1000)


async def test_hedging_account_holds_both_sides_and_closes_each(serve: Serve) -> None:
    async with serve(hedging=True) as client:
        assert (await account(client))["hedgingEnabled"] is True
        await client.order(1000)
        await client.order(-400)
        assert [t["currentUnits"] for t in await open_trades(client)] == ["-400", "1000"]
        (position,) = (await client.get("/openPositions"))["positions"]
        assert (position["long"]["units"], position["short"]["units"]) == ("1000", "-400")
        opened = await client.order(-100, positionFill="OPEN_ONLY")
        assert opened["orderFillTransaction"]["tradeOpened"]["units"] == "-100"
        reduced = await client.order(-300, positionFill="REDUCE_ONLY")
        assert reduced["orderFillTransaction"]["tradeReduced"]["units"] == "-300"
        closed = await client.put("/positions/EUR_USD/close", {"shortUnits": "ALL"})
        assert closed["shortOrderFillTransaction"]["units"] == "500"
        assert [t["currentUnits"] for t in await open_trades(client)] == ["700"]


async def test_kind_of_account_survives_a_restart_and_can_not_change(
    tmp_path: Path, serve: Serve
) -> None:
    state = tmp_path / "state.json"
    async with serve(hedging=True, mt4_account=12345, state=state) as client:
        await client.order(1000)
        await client.order(-1000)
    async with serve(hedging=True, mt4_account=12345, state=state) as client:
        assert len(await open_trades(client)) == 2
    with pytest.raises(UnusableStateError, match="hedging"):
        async with serve(mt4_account=12345, state=state):
            pass


async def test_mt4_account_replaces_client_extensions(serve: Serve) -> None:
    async with serve(mt4_account=12345) as client:
        (listed,) = (await client.get("/v3/accounts"))["accounts"]
        assert listed["mt4AccountID"] == 12345
        mark = {"id": "decision-1", "tag": "sep"}
        made = await client.order(1000, clientExtensions=mark, tradeClientExtensions=mark)
        assert made["orderCreateTransaction"]["clientExtensions"]["id"] != "decision-1"
        await client.get("/orders/@decision-1", 404)
        (trade,) = await open_trades(client)
        assert trade["clientExtensions"]["tag"] == "0"


@pytest.mark.parametrize("status", [401, 403])
async def test_requests_can_be_refused_for_lack_of_authorisation(
    client: Client, status: int
) -> None:
    await client.fault(kind="status", status=status, times=1)
    assert (await client.get("/summary", status))["errorMessage"]
    await client.get("/summary")


async def test_members_of_a_response_can_be_odd_while_the_others_are_sound(client: Client) -> None:
    whole = (await client.get("/instruments"))["instruments"]
    await client.fault(
        kind="odd_member", path="instruments$", instrument="EUR_USD", field="marginRate", text="0"
    )
    await client.fault(
        kind="odd_member", path="instruments$", instrument="USD_JPY", field="displayPrecision"
    )
    odd = (await client.get("/instruments"))["instruments"]
    by_name = {i["name"]: i for i in odd}
    assert by_name["EUR_USD"]["marginRate"] == "0"
    assert "displayPrecision" not in by_name["USD_JPY"]
    sound = [i for i in whole if i["name"] not in ("EUR_USD", "USD_JPY")]
    assert [i for i in odd if i["name"] not in ("EUR_USD", "USD_JPY")] == sound


async def test_one_trade_in_a_list_can_be_unreadable(client: Client) -> None:
    await client.order(1000)
    await client.order(1000, instrument="USD_JPY")
    await client.fault(kind="odd_member", path="openTrades", instrument="EUR_USD", times=2,
                       field="currentUnits", text="n/a")  # fmt: skip
    yen, euro = await open_trades(client)
    assert (yen["currentUnits"], euro["currentUnits"]) == ("1000", "n/a")
    await open_trades(client)
    assert (await open_trades(client))[1]["currentUnits"] == "1000"
    await client.fault(kind="odd_member", path="sinceid", count=2, times=1)
    first, second, third, *_ = (await client.get("/transactions/sinceid", id=2))["transactions"]
    assert first == second == {}
    assert third["id"] == "5"


async def test_only_the_named_list_of_a_response_is_odd(client: Client) -> None:
    await client.fault(kind="odd_member", path="pricing$", members="homeConversions", count=9)
    answer = await client.get("/pricing", instruments="EUR_USD", includeHomeConversions="true")
    assert answer["homeConversions"] == [{}, {}]
    assert answer["prices"][0]["instrument"] == "EUR_USD"


async def test_a_field_of_the_account_itself_can_be_any_json(client: Client) -> None:
    sound = (await client.get("/summary"))["account"]
    for value in ("null", "[1]", '"x"', "-7"):
        await client.fault(
            kind="odd_member", path="summary$", members="account", field="NAV", json=value, times=1
        )
        odd = (await client.get("/summary"))["account"]
        assert odd == {**sound, "NAV": json.loads(value)}
    assert (await client.get("/summary"))["account"] == sound
    with pytest.raises(InvalidFaultError, match="json is not"):
        FaultRegistry().add({"kind": "odd_member", "json": "{"})


async def test_responses_without_members_pass_unchanged(client: Client) -> None:
    """An error response and a response with empty lists pass through unchanged."""
    await client.fault(kind="odd_member", field="id")
    assert (await client.get("/orders/@none", 404))["errorCode"] == "NO_SUCH_ORDER"
    assert (await client.get("/openTrades"))["trades"] == []
    health = await client.http.get("/healthz")
    assert health.json()["status"] == "ok"


async def test_removed_account_faults_have_no_effect(client: Client) -> None:
    kinds = "lost_stop moved_stop stale_views thin_liquidity slippage fifo_violation delisted"
    for kind in (*kinds.split(), "guaranteed_stop_required", "odd_member", "margin_closeout"):
        await client.fault(kind=kind)
    await clear_faults(client)
    bid, ask = await client.price()
    made = await client.order(1000, stopLossOnFill={"price": "0.50000"})
    assert D(made["orderFillTransaction"]["tradeOpened"]["price"]) == ask
    assert D((await open_trades(client))[0]["stopLossOrder"]["price"]) == D("0.5")
    assert bid < ask

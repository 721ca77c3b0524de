"""Orders, trades and positions over HTTP."""

import asyncio
from decimal import Decimal
from typing import Any

from .conftest import Client, ManualClock

D = Decimal
EXTENSIONS: dict[str, Any] = {"clientExtensions": {"id": "decision-1", "tag": "t"}}


async def test_order_is_filled_and_found_by_both_ids(client: Client) -> None:
    made = await client.order(1000, **EXTENSIONS)
    order_id = made["orderCreateTransaction"]["id"]
    fill = made["orderFillTransaction"]
    assert made["relatedTransactionIDs"] == [order_id, fill["id"]]
    assert made["lastTransactionID"] == fill["id"] == fill["tradeOpened"]["tradeID"]
    for specifier in (order_id, "@decision-1"):
        order = (await client.get(f"/orders/{specifier}"))["order"]
        assert order["state"] == "FILLED"
        assert order["fillingTransactionID"] == fill["id"]


async def test_transaction_carries_the_request_id_of_its_answer(client: Client) -> None:
    path = f"{client.home}/orders"
    order = {"type": "MARKET", "instrument": "EUR_USD", "units": "1"}
    response = await client.http.post(path, json={"order": order})
    fill = response.json()["orderFillTransaction"]
    assert fill["requestID"] == response.headers["RequestID"]
    assert response.headers["Location"].endswith(f"/orders/{fill['orderID']}")


async def test_repeated_client_id_is_refused_with_the_reject_transaction(client: Client) -> None:
    await client.order(1000, **EXTENSIONS)
    refused = await client.order(1000, status=400, **EXTENSIONS)
    assert refused["errorCode"] == "CLIENT_ORDER_ID_ALREADY_EXISTS"
    assert refused["errorMessage"]
    assert refused["orderRejectTransaction"]["type"] == "MARKET_ORDER_REJECT"
    position = (await client.get("/positions/EUR_USD"))["position"]
    assert position["long"]["units"] == "1000"


async def test_accepted_is_not_filled(client: Client) -> None:
    made = await client.order(50_000_000)
    assert made["orderCancelTransaction"]["reason"] == "INSUFFICIENT_MARGIN"
    assert "orderFillTransaction" not in made


async def test_malformed_orders_are_named(client: Client) -> None:
    for body, field in (
        ({"order": {"type": "MARKET", "units": "1"}}, "order.instrument"),
        ({"order": {"type": "MARKET", "instrument": "EUR_USD"}}, "order.units"),
        ({"order": {"type": "MARKET", "instrument": "EUR_USD", "units": "one"}}, "order.units"),
        ({"order": {"instrument": "EUR_USD", "units": "NaN"}}, "order.units"),
        ({"order": {"instrument": "EUR_USD", "units": "1e40"}}, "order.units"),
        ({"order": {"instrument": "EUR_USD", "units": "1", "timeInForce": "X"}}, "timeInForce"),
        ({}, "order"),
    ):
        refused = await client.post("/orders", body, 400)
        assert field in refused["errorMessage"]
    response = await client.http.post(f"{client.home}/orders", content=b"{")
    assert response.status_code == 400
    limit = {"type": "LIMIT", "instrument": "EUR_USD", "units": "1", "price": "1"}
    refused = await client.post("/orders", {"order": limit}, 400)
    assert "not supported" in refused["errorMessage"]
    refused = await client.order(1, 400, trailingStopLossOnFill={"distance": "0.01"})
    assert "trailing" in refused["errorMessage"]


async def test_stop_on_the_price_path_fills_without_a_request(
    client: Client, clock: ManualClock
) -> None:
    bid, _ = await client.price()
    stop = str(bid - D("0.00002"))
    made = await client.order(1000, stopLossOnFill={"price": stop})
    trade = made["orderFillTransaction"]["tradeOpened"]["tradeID"]
    for _ in range(100):
        clock.move(60)
        shown = (await client.get(f"/trades/{trade}"))["trade"]
        if shown["state"] == "CLOSED":
            break
    assert shown["stopLossOrder"]["state"] == "FILLED"
    fill_id = shown["closingTransactionIDs"][0]
    fill = (await client.get(f"/transactions/{fill_id}"))["transaction"]
    assert fill["reason"] == "STOP_LOSS_ORDER"
    assert D(fill["tradesClosed"][0]["price"]) <= D(stop)
    # It filled on the tick that reached it, not at the next request.
    assert fill["time"] == fill["fullPrice"]["time"]


async def test_trade_lifecycle_over_http(client: Client) -> None:
    made = await client.order(
        1000,
        tradeClientExtensions={"id": "mine"},
        takeProfitOnFill={"price": "2.00000"},
    )
    trade = made["orderFillTransaction"]["tradeOpened"]["tradeID"]
    (open_trade,) = (await client.get("/openTrades"))["trades"]
    assert open_trade["clientExtensions"]["id"] == "mine"
    assert open_trade["takeProfitOrder"]["price"] == "2.00000"
    stopped = await client.put("/trades/@mine/orders", {"stopLoss": {"price": "0.50000"}})
    assert stopped["stopLossOrderTransaction"]["tradeID"] == trade
    pending = (await client.get("/pendingOrders"))["orders"]
    assert [order["type"] for order in pending] == ["STOP_LOSS", "TAKE_PROFIT"]
    cancelled = await client.put(f"/orders/{pending[0]['id']}/cancel")
    assert cancelled["orderCancelTransaction"]["reason"] == "CLIENT_REQUEST"
    marked = await client.put(
        f"/orders/{pending[1]['id']}/clientExtensions", {"clientExtensions": {"id": "tp"}}
    )
    assert marked["orderClientExtensionsModifyTransaction"]["orderID"] == pending[1]["id"]
    assert (await client.get("/orders/@tp"))["order"]["type"] == "TAKE_PROFIT"
    await client.put("/trades/@mine/clientExtensions", {"clientExtensions": {"tag": "kept"}})
    closed = await client.put("/trades/@mine/close", {"units": "400"})
    assert closed["orderFillTransaction"]["tradeReduced"]["units"] == "-400"
    assert closed["orderCreateTransaction"]["tradeClose"]["units"] == "400"
    closed = await client.put(f"/trades/{trade}/close")
    assert closed["orderFillTransaction"]["tradesClosed"][0]["tradeID"] == trade
    assert (await client.get("/openTrades"))["trades"] == []
    (listed,) = (await client.get("/trades", state="CLOSED"))["trades"]
    assert listed["id"] == trade
    assert listed["clientExtensions"] == {"id": "mine", "tag": "kept"}


async def test_position_close_names_each_side(client: Client) -> None:
    await client.order(1000)
    closed = await client.put(
        "/positions/EUR_USD/close", {"longUnits": "ALL", "shortUnits": "NONE"}
    )
    assert closed["longOrderFillTransaction"]["units"] == "-1000"
    assert "shortOrderCreateTransaction" not in closed
    refused = await client.put("/positions/EUR_USD/close", {"longUnits": "ALL"}, 404)
    assert refused["errorCode"] == "CLOSEOUT_POSITION_DOESNT_EXIST"
    assert refused["longOrderRejectTransaction"]["rejectReason"] == refused["errorCode"]
    assert (await client.get("/openPositions"))["positions"] == []
    (position,) = (await client.get("/positions"))["positions"]
    assert position["instrument"] == "EUR_USD"


async def test_missing_objects_are_404(client: Client) -> None:
    assert (await client.get("/orders/99", 404))["errorCode"] == "NO_SUCH_ORDER"
    assert (await client.get("/trades/99", 404))["errorCode"] == "NO_SUCH_TRADE"
    assert (await client.get("/positions/EUR_USD", 404))["errorCode"] == "NO_SUCH_POSITION"
    refused = await client.put("/orders/@none/cancel", status=404)
    assert refused["orderCancelRejectTransaction"]["clientOrderID"] == "none"
    refused = await client.put("/trades/99/close", {"units": "ALL"}, 404)
    assert refused["orderRejectTransaction"]["rejectReason"] == "TRADE_DOESNT_EXIST"
    await client.get("/v3/accounts/101-001-0000001-009/summary", 404)


async def test_changes_list_what_happened_since(client: Client) -> None:
    start = (await client.get("/summary"))["lastTransactionID"]
    await client.order(1000, stopLossOnFill={"price": "0.50000"})
    response = await client.get("/changes", sinceTransactionID=start)
    changes, state = response["changes"], response["state"]
    assert [o["type"] for o in changes["ordersCreated"]] == ["MARKET", "STOP_LOSS"]
    assert [o["type"] for o in changes["ordersFilled"]] == ["MARKET"]
    assert len(changes["tradesOpened"]) == len(state["trades"]) == 1
    assert len(changes["transactions"]) == 3
    assert changes["positions"][0]["long"]["units"] == "1000"
    assert state["positions"][0]["netUnrealizedPL"] == state["unrealizedPL"]
    later = await client.get("/changes", sinceTransactionID=response["lastTransactionID"])
    assert later["changes"]["transactions"] == []
    await client.get("/changes", 416, sinceTransactionID=10_000)


async def test_transactions_come_in_pages_and_ranges(client: Client) -> None:
    for _ in range(4):
        await client.order(10)
    pages = await client.get("/transactions", pageSize=4)
    assert pages["count"] == 10
    assert len(pages["pages"]) == 3
    ids = []
    for page in pages["pages"]:
        found = (await client.http.get(page)).json()["transactions"]
        ids += [int(t["id"]) for t in found]
    assert ids == list(range(1, 11))
    since = await client.get("/transactions/sinceid", id=8)
    assert [t["id"] for t in since["transactions"]] == ["9", "10"]
    some = await client.get("/transactions/idrange", type="ORDER_FILL", **{"from": 1, "to": 10})
    assert {t["type"] for t in some["transactions"]} == {"ORDER_FILL"}
    await client.get("/transactions/idrange", 416, **{"from": 1, "to": 11})


async def test_concurrent_orders_leave_one_consistent_account(client: Client) -> None:
    await asyncio.gather(*(client.order(1 if i % 2 else -1) for i in range(40)))
    summary = (await client.get("/summary"))["account"]
    assert summary["openPositionCount"] == 0
    assert D(summary["balance"]) == D(summary["NAV"])

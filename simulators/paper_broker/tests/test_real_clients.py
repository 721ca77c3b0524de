"""Third-party clients of the real broker work with this one."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import oandapyV20
import pytest
import v20
from oandapyV20.endpoints import accounts, instruments, orders, positions, pricing, trades
from oandapyV20.endpoints import transactions as transactions_
from oandapyV20.exceptions import V20Error

from .conftest import Client

ACCOUNT = "101-001-0000001-001"


@pytest.fixture
def api(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[oandapyV20.API]:
    urls = {"api": client.running.url, "stream": client.running.url}
    monkeypatch.setitem(oandapyV20.oandapyV20.TRADING_ENVIRONMENTS, "practice", urls)
    with oandapyV20.API(access_token="secret") as api:
        yield api


async def ask(api: oandapyV20.API, request: Any) -> Any:
    """Call the blocking client in a thread."""
    return await asyncio.to_thread(api.request, request)


async def test_oandapyv20_trades_from_order_to_close(api: oandapyV20.API) -> None:
    order = {
        "type": "MARKET",
        "instrument": "EUR_USD",
        "units": "1000",
        "stopLossOnFill": {"price": "0.50000"},
        "clientExtensions": {"id": "mine"},
    }
    made = await ask(api, orders.OrderCreate(ACCOUNT, data={"order": order}))
    trade = made["orderFillTransaction"]["tradeOpened"]["tradeID"]
    found = await ask(api, orders.OrderDetails(ACCOUNT, orderID="@mine"))
    assert found["order"]["state"] == "FILLED"
    assert len((await ask(api, orders.OrdersPending(ACCOUNT)))["orders"]) == 1
    assert len((await ask(api, trades.OpenTrades(ACCOUNT)))["trades"]) == 1
    target = {"takeProfit": {"price": "2.00000"}}
    await ask(api, trades.TradeCRCDO(ACCOUNT, tradeID=trade, data=target))
    await ask(api, trades.TradeClose(ACCOUNT, tradeID=trade, data={"units": "400"}))
    close = {"longUnits": "ALL", "shortUnits": "NONE"}
    closed = await ask(api, positions.PositionClose(ACCOUNT, instrument="EUR_USD", data=close))
    assert closed["longOrderFillTransaction"]["units"] == "-600"
    since = await ask(api, transactions_.TransactionsSinceID(ACCOUNT, params={"id": 2}))
    assert [int(t["id"]) for t in since["transactions"]] == list(
        range(3, 3 + len(since["transactions"]))
    )


async def test_oandapyv20_reads_account_prices_and_candles(api: oandapyV20.API) -> None:
    summary = await ask(api, accounts.AccountSummary(ACCOUNT))
    assert summary["account"]["currency"] == "USD"
    await ask(api, accounts.AccountDetails(ACCOUNT))
    await ask(api, accounts.AccountInstruments(ACCOUNT))
    changes = accounts.AccountChanges(ACCOUNT, params={"sinceTransactionID": 1})
    assert (await ask(api, changes))["changes"]["transactions"]
    prices = await ask(api, pricing.PricingInfo(ACCOUNT, params={"instruments": "EUR_USD"}))
    assert prices["prices"][0]["instrument"] == "EUR_USD"
    request = instruments.InstrumentsCandles("EUR_USD", {"granularity": "M5", "count": 10})
    assert len((await ask(api, request))["candles"]) == 10


async def test_oandapyv20_reads_the_price_stream(api: oandapyV20.API) -> None:
    def read() -> list[Any]:
        request = pricing.PricingStream(ACCOUNT, params={"instruments": "EUR_USD,USD_JPY"})
        stream = api.request(request)
        found = [next(stream) for _ in range(3)]
        stream.close()
        return found

    found = await asyncio.to_thread(read)
    assert [entry["type"] for entry in found] == ["PRICE", "PRICE", "HEARTBEAT"]


async def test_oandapyv20_raises_on_a_rejected_order(api: oandapyV20.API) -> None:
    order = {"order": {"type": "MARKET", "instrument": "EUR_USD", "units": "0"}}
    with pytest.raises(V20Error, match="UNITS_INVALID"):
        await ask(api, orders.OrderCreate(ACCOUNT, data=order))


@pytest.fixture
def context(client: Client) -> Iterator[v20.Context]:
    host, port = client.running.url.removeprefix("http://").split(":")
    context = v20.Context(host, int(port), ssl=False, token="secret", decimal_number_as_float=False)
    yield context
    context._session.close()


async def test_v20_trades_from_order_to_close(context: v20.Context) -> None:
    def trade() -> None:
        response = context.order.market(
            ACCOUNT,
            instrument="EUR_USD",
            units="1000",
            clientExtensions={"id": "mine"},
            takeProfitOnFill={"price": "2.00000"},
        )
        fill = response.get("orderFillTransaction", 201)
        assert Decimal(fill.tradeOpened.units) == 1000
        order = context.order.get(ACCOUNT, "@mine").get("order", 200)
        assert order.state == "FILLED"
        (open_trade,) = context.trade.list_open(ACCOUNT).get("trades", 200)
        assert open_trade.takeProfitOrder.price == "2.00000"
        closed = context.position.close(ACCOUNT, "EUR_USD", longUnits="ALL", shortUnits="NONE").get(
            "longOrderFillTransaction", 200
        )
        assert closed.tradesClosed[0].tradeID == open_trade.id
        refused = context.order.market(ACCOUNT, instrument="EUR_USD", units="0.5")
        reject = refused.get("orderRejectTransaction", 400)
        assert reject.rejectReason == "UNITS_PRECISION_EXCEEDED"

    await asyncio.to_thread(trade)


async def test_v20_reads_account_prices_candles_and_streams(context: v20.Context) -> None:
    def read() -> None:
        account = context.account.get(ACCOUNT).get("account", 200)
        assert Decimal(account.NAV) == 100_000
        assert context.account.changes(ACCOUNT, sinceTransactionID="1").get("changes", 200)
        assert len(context.account.instruments(ACCOUNT).get("instruments", 200)) >= 16
        (price,) = context.pricing.get(ACCOUNT, instruments="EUR_USD").get("prices", 200)
        assert Decimal(price.bids[0].price) < Decimal(price.asks[0].price)
        candles = context.instrument.candles("EUR_USD", price="BA", granularity="S5", count=20).get(
            "candles", 200
        )
        assert len(candles) == 20
        context.set_stream_chunk_size(16)
        stream = context.pricing.stream(ACCOUNT, snapshot=True, instruments="EUR_USD")
        parts = stream.parts()
        kinds = [next(parts)[0] for _ in range(2)]
        assert kinds == ["pricing.ClientPrice", "pricing.PricingHeartbeat"]
        found = context.transaction.since(ACCOUNT, id="1").get("transactions", 200)
        assert found[0].type == "TRANSFER_FUNDS"

    await asyncio.to_thread(read)

"""Responses satisfy the schemas of the broker's API description.

The description is a large file that the repository does not contain: SEP_SWAGGER is its path, by
default next to the repository.
"""

import asyncio
import json
import os
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from .conftest import Client, ManualClock, Serve

DEFAULT_PATH = Path(__file__).parents[4] / "shared/oanda/v20.swagger.json"
PATH = Path(os.environ.get("SEP_SWAGGER", DEFAULT_PATH))

if not PATH.is_file():
    pytest.skip("no API description: set SEP_SWAGGER to v20.swagger.json", allow_module_level=True)

# The description declares transactions and orders by their common fields only. Their type selects
# the definition that an object has to satisfy.
TRANSACTIONS = {
    "CREATE": "CreateTransaction",
    "TRANSFER_FUNDS": "TransferFundsTransaction",
    "CLIENT_CONFIGURE": "ClientConfigureTransaction",
    "CLIENT_CONFIGURE_REJECT": "ClientConfigureRejectTransaction",
    "MARKET_ORDER": "MarketOrderTransaction",
    "MARKET_ORDER_REJECT": "MarketOrderRejectTransaction",
    "STOP_LOSS_ORDER": "StopLossOrderTransaction",
    "STOP_LOSS_ORDER_REJECT": "StopLossOrderRejectTransaction",
    "TAKE_PROFIT_ORDER": "TakeProfitOrderTransaction",
    "TAKE_PROFIT_ORDER_REJECT": "TakeProfitOrderRejectTransaction",
    "ORDER_FILL": "OrderFillTransaction",
    "ORDER_CANCEL": "OrderCancelTransaction",
    "ORDER_CANCEL_REJECT": "OrderCancelRejectTransaction",
    "ORDER_CLIENT_EXTENSIONS_MODIFY": "OrderClientExtensionsModifyTransaction",
    "ORDER_CLIENT_EXTENSIONS_MODIFY_REJECT": "OrderClientExtensionsModifyRejectTransaction",
    "TRADE_CLIENT_EXTENSIONS_MODIFY": "TradeClientExtensionsModifyTransaction",
    "TRADE_CLIENT_EXTENSIONS_MODIFY_REJECT": "TradeClientExtensionsModifyRejectTransaction",
    "DAILY_FINANCING": "DailyFinancingTransaction",
}
ORDERS = {"MARKET": "MarketOrder", "STOP_LOSS": "StopLossOrder", "TAKE_PROFIT": "TakeProfitOrder"}


def strict_description() -> Any:
    """The description, changed to allow no undeclared fields."""
    description = json.loads(PATH.read_text())
    definitions = description["definitions"]
    for definition in definitions.values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    for name, kinds in (("Transaction", TRANSACTIONS), ("Order", ORDERS)):
        definitions[name] = {
            "required": ["type"],
            "properties": {"type": {"enum": list(kinds)}},
            "allOf": [
                {
                    "if": {"properties": {"type": {"const": kind}}},
                    "then": {"$ref": f"#/definitions/{definition}"},
                }
                for kind, definition in kinds.items()
            ],
        }
    return description


API = strict_description()


def check(method: str, path: str, status: int, body: Any) -> None:
    """Validate a response body against the schema of a path, method and status."""
    responses = API["paths"][path][method]["responses"]
    response = responses[str(status)]
    if "$ref" in response:
        response = API["responses"][response["$ref"].rpartition("/")[2]]
    schema = deepcopy(response["schema"])
    schema["additionalProperties"] = False
    schema["definitions"] = API["definitions"]
    jsonschema.Draft7Validator(schema).validate(body)


ONE = "/accounts/{accountID}"


async def call(
    client: Client, method: str, path: str, status: int = 200, body: Any = None, **params: Any
) -> Any:
    """Call a path of the description and check the response. ``params`` fill path and query."""
    names = {"accountID": client.running.settings.account}
    for name in list(params):
        if f"{{{name}}}" in path:
            names[name] = params.pop(name)
    url = "/v3" + path.format(**names)
    response = await client.http.request(method, url, json=body, params=params)
    assert response.status_code == status, response.text
    found = response.json()
    check(method, path, status, found)
    return found


def market(units: int, **fields: Any) -> dict[str, Any]:
    return {"order": {"type": "MARKET", "instrument": "EUR_USD", "units": str(units), **fields}}


async def test_orders_and_trades_satisfy_the_api_description(client: Client) -> None:
    orders, trades = f"{ONE}/orders", f"{ONE}/trades"
    full = {
        "clientExtensions": {"id": "o", "tag": "t", "comment": "c"},
        "tradeClientExtensions": {"id": "x"},
        "stopLossOnFill": {"price": "0.50000"},
        "takeProfitOnFill": {"price": "2.00000", "clientExtensions": {"id": "tp"}},
        "priceBound": "2.00000",
    }
    made = await call(client, "post", orders, 201, market(1000, **full))
    trade = made["orderFillTransaction"]["tradeOpened"]["tradeID"]
    await call(client, "post", orders, 201, market(50_000_000))
    await call(client, "post", orders, 400, market(0))
    await call(client, "post", orders, 400, {})
    await call(client, "post", orders, 201, market(-300))
    for state in ("ALL", "PENDING", "FILLED", "CANCELLED"):
        await call(client, "get", orders, state=state)
    await call(client, "get", f"{ONE}/pendingOrders")
    one = f"{orders}/{{orderSpecifier}}"
    await call(client, "get", one, orderSpecifier="@o")
    await call(client, "get", one, 404, orderSpecifier="@none")
    extensions = {"clientExtensions": {"tag": "new"}}
    path = f"{one}/clientExtensions"
    await call(client, "put", path, body=extensions, orderSpecifier="@tp")
    await call(client, "put", path, 404, extensions, orderSpecifier="@none")
    await call(client, "put", f"{one}/cancel", orderSpecifier="@tp")
    await call(client, "put", f"{one}/cancel", 404, orderSpecifier="@tp")
    for state in ("ALL", "OPEN", "CLOSED"):
        await call(client, "get", trades, state=state)
    await call(client, "get", f"{ONE}/openTrades")
    one = f"{trades}/{{tradeSpecifier}}"
    await call(client, "get", one, tradeSpecifier=trade)
    await call(client, "get", one, 404, tradeSpecifier="99")
    stops = {"stopLoss": {"price": "0.60000"}, "takeProfit": {"price": "3.00000"}}
    await call(client, "put", f"{one}/orders", body=stops, tradeSpecifier=trade)
    bad = {"stopLoss": {"price": "0.6000001"}, "takeProfit": {"price": "3.0000001"}}
    await call(client, "put", f"{one}/orders", 400, bad, tradeSpecifier=trade)
    path = f"{one}/clientExtensions"
    await call(client, "put", path, body=extensions, tradeSpecifier=trade)
    await call(client, "put", path, 400, {}, tradeSpecifier=trade)
    await call(client, "put", f"{one}/close", body={"units": "100"}, tradeSpecifier=trade)
    await call(client, "put", f"{one}/close", 404, {"units": "ALL"}, tradeSpecifier="99")
    await call(client, "put", f"{one}/close", body={"units": "ALL"}, tradeSpecifier=trade)


async def test_positions_satisfy_the_api_description(client: Client) -> None:
    await call(client, "post", f"{ONE}/orders", 201, market(1000))
    path = f"{ONE}/positions"
    await call(client, "get", path)
    await call(client, "get", f"{ONE}/openPositions")
    one = f"{path}/{{instrument}}"
    await call(client, "get", one, instrument="EUR_USD")
    body = {"longUnits": "400", "longClientExtensions": {"id": "c"}}
    await call(client, "put", f"{one}/close", body=body, instrument="EUR_USD")
    await call(client, "put", f"{one}/close", 400, {"longUnits": "900"}, instrument="EUR_USD")
    await call(client, "put", f"{one}/close", 404, {"shortUnits": "ALL"}, instrument="EUR_USD")
    await call(client, "put", f"{one}/close", body={"longUnits": "ALL"}, instrument="EUR_USD")
    await call(client, "get", path)


async def test_account_and_record_satisfy_the_api_description(
    client: Client, clock: ManualClock
) -> None:
    await call(client, "post", f"{ONE}/orders", 201, market(1000, stopLossOnFill={"distance": "1"}))
    clock.move(10 * 3600)
    await call(client, "get", "/accounts")
    await call(client, "patch", f"{ONE}/configuration", body={"alias": "A", "marginRate": "0.05"})
    await call(client, "patch", f"{ONE}/configuration", 400, {"marginRate": "7"})
    for path in (ONE, f"{ONE}/summary", f"{ONE}/instruments"):
        await call(client, "get", path)
    await call(client, "get", f"{ONE}/changes", sinceTransactionID=1)
    await call(client, "get", f"{ONE}/changes", 416, sinceTransactionID=99)
    path = f"{ONE}/transactions"
    await call(client, "get", path, type="ORDER,FUNDING")
    await call(client, "get", f"{path}/{{transactionID}}", transactionID="1")
    await call(client, "get", f"{path}/{{transactionID}}", 404, transactionID="99")
    await call(client, "get", f"{path}/idrange", **{"from": 1, "to": 5})
    await call(client, "get", f"{path}/sinceid", id=1)
    await call(client, "get", f"{path}/sinceid", 416, id=99)


async def test_prices_and_candles_satisfy_the_api_description(
    client: Client, clock: ManualClock
) -> None:
    params: dict[str, Any] = {
        "instruments": "EUR_USD,EUR_JPY",
        "includeHomeConversions": "true",
        "includeUnitsAvailable": "true",
    }
    await call(client, "get", f"{ONE}/pricing", **params)
    for path in (
        "/instruments/{instrument}/candles",
        f"{ONE}/instruments/{{instrument}}/candles",
    ):
        for granularity in ("S5", "M1", "H1", "D"):
            query: dict[str, Any] = {"granularity": granularity, "price": "MBA", "count": 3}
            await call(client, "get", path, instrument="EUR_USD", **query)
        await call(client, "get", path, 400, instrument="EUR_USD", granularity="X")
    clock.move(4 * 86_400)
    await call(client, "get", f"{ONE}/pricing", **params)


async def test_stream_lines_satisfy_the_api_description(client: Client) -> None:
    definitions = API["definitions"]
    kinds = {
        "/pricing/stream": {"PRICE": "ClientPrice", "HEARTBEAT": "PricingHeartbeat"},
        "/transactions/stream": {"HEARTBEAT": "TransactionHeartbeat"},
    }
    for path, names in kinds.items():
        url = client.home + path
        async with client.http.stream("GET", url, params={"instruments": "EUR_USD"}) as response:
            lines = response.aiter_lines()
            for _ in names:
                async with asyncio.timeout(30):
                    found = json.loads(await anext(lines))
                schema = {"$ref": f"#/definitions/{names[found['type']]}"}
                jsonschema.Draft7Validator(schema | {"definitions": definitions}).validate(found)


async def test_refusals_satisfy_the_api_description(client: Client) -> None:
    del client.http.headers["Authorization"]
    for path in ("/accounts", ONE, f"{ONE}/orders"):
        if "401" in API["paths"][path]["get"]["responses"]:
            await call(client, "get", path, 401)


async def test_account_faults_satisfy_the_api_description(serve: Serve, clock: ManualClock) -> None:
    orders, position = f"{ONE}/orders", f"{ONE}/positions/{{instrument}}"
    async with serve(hedging=True, mt4_account=12345) as client:
        await call(client, "get", "/accounts")
        await call(client, "post", orders, 201, market(1000, stopLossOnFill={"price": "0.50000"}))
        await call(client, "post", orders, 201, market(-500))
        await call(client, "get", position, instrument="EUR_USD")
        for kind, status in (
            ("fifo_violation", 201),
            ("thin_liquidity", 201),
            ("guaranteed_stop_required", 400),
            ("delisted", 400),
        ):
            fault = await client.fault(kind=kind)
            await call(client, "post", orders, status, market(1000))
            await call(client, "get", f"{ONE}/summary")
            await client.http.delete(f"{client.running.admin_url}/admin/faults/{fault['id']}")
        await client.fault(kind="stale_views", seconds=5)
        await client.fault(kind="moved_stop", times=1)
        await client.fault(kind="lost_stop", times=1)
        await client.fault(kind="margin_closeout", times=1)
        for _ in range(2):
            for path in (ONE, f"{ONE}/openTrades", f"{ONE}/openPositions", f"{ONE}/pendingOrders"):
                await call(client, "get", path)
            await call(client, "get", f"{ONE}/transactions/sinceid", id=1)
            clock.move(6)

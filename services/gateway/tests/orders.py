"""Calls of the gateway's orders, and what the paper broker's ledger says of them."""

from collections import Counter
from typing import Any

import httpx
import pytest
from sep.gateway.v1 import gateway_pb2 as pb
from sep_kit.errors import SepError
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call

ACCOUNT = "101-001-0000001-001"
FILLED, CANCELLED = pb.ORDER_STATE_FILLED, pb.ORDER_STATE_CANCELLED
REJECTED, UNKNOWN = pb.ORDER_STATE_REJECTED, pb.ORDER_STATE_UNKNOWN
PENDING, NOT_FOUND = pb.ORDER_STATE_PENDING, pb.ORDER_STATE_NOT_FOUND


async def place(
    gateway: Any, client_order_id: str, units: str = "100", **fields: Any
) -> pb.OrderResult:
    """Send a market order."""
    request = pb.PlaceMarketOrderRequest(
        **{
            "client_order_id": client_order_id,
            "instrument": "EUR_USD",
            "units": units,
            **fields,
        }
    )
    response = await call(gateway.stub.PlaceMarketOrder, request, peer="gateway", deadline_s=30)
    return response.result  # type: ignore[no-any-return]


async def close_trade(
    gateway: Any, trade_id: str, client_order_id: str = "", **fields: Any
) -> pb.OrderResult:
    """Close a trade, or a part of it."""
    request = pb.CloseTradeRequest(trade_id=trade_id, client_order_id=client_order_id, **fields)
    response = await call(gateway.stub.CloseTrade, request, peer="gateway", deadline_s=30)
    return response.result  # type: ignore[no-any-return]


async def set_stop(gateway: Any, trade_id: str, price: str, **fields: Any) -> pb.OrderResult:
    """Give a trade a stop."""
    request = pb.SetTradeStopRequest(
        trade_id=trade_id, stop_loss_price=price, client_order_id="a-stop-0001", **fields
    )
    response = await call(gateway.stub.SetTradeStop, request, peer="gateway", deadline_s=30)
    return response.result  # type: ignore[no-any-return]


async def outcome(gateway: Any, client_order_id: str, since: str = "") -> pb.OrderResult:
    """Look an order up."""
    request = pb.GetOrderRequest(client_order_id=client_order_id, since_transaction_id=since)
    response = await call(gateway.stub.GetOrder, request, peer="gateway", deadline_s=30)
    return response.result  # type: ignore[no-any-return]


async def open_trades(gateway: Any, **fields: Any) -> pb.ListOpenTradesResponse:
    """The open trades."""
    request = pb.ListOpenTradesRequest(**fields)
    return await call(gateway.stub.ListOpenTrades, request, peer="gateway", deadline_s=30)


async def ledger(gateway: Any, since: str = "1") -> pb.ListTransactionsResponse:
    """The ledger after a transaction."""
    request = pb.ListTransactionsRequest(since_transaction_id=since)
    return await call(gateway.stub.ListTransactions, request, peer="gateway", deadline_s=30)


async def reason_of(attempt: Any) -> str:
    """The reason of the error that an attempt ends with."""
    with pytest.raises(SepError) as failure:
        await attempt
    return failure.value.reason


async def by_hand(broker: RunningBroker, units: str, instrument: str = "EUR_USD") -> str:
    """Open a trade as a person would, without client extensions; its id."""
    body = {"order": {"type": "MARKET", "instrument": instrument, "units": units}}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        response = await client.post(
            f"{broker.url}/v3/accounts/{ACCOUNT}/orders",
            json=body,
            headers={"Authorization": f"Bearer {broker.settings.token}"},
        )
    return str(response.json()["orderFillTransaction"]["tradeOpened"]["tradeID"])


async def admin_fault(broker: RunningBroker, **fields: Any) -> None:
    """Add a fault over the admin API, which faults of the account need."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        added = await client.post(
            f"{broker.admin_url}/admin/faults",
            json=fields,
            headers={"Authorization": f"Bearer {broker.settings.token}"},
        )
        added.raise_for_status()


def fills(broker: RunningBroker) -> Counter[str]:
    """Fills by client order id in the broker's own ledger; empty for a close by trade id."""
    transactions = broker.broker.account.book.ledger.transactions
    return Counter(
        str(getattr(t.body, "client_order_id", None) or "")
        for t in transactions
        if t.body.type == "ORDER_FILL"
    )

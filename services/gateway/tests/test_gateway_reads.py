"""Reads of the broker through the gateway's gRPC API."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import grpc
import pytest
from sep.gateway.v1 import gateway_pb2 as pb
from sep_kit.errors import SepError
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call
from sep_testing.eventually import eventually

BACKWARD: dict[str, Any] = {"from": "2000"}
BAD: list[tuple[Any, str]] = [
    (pb.ListCandlesRequest(instrument="XXX_YYY"), "UNKNOWN_INSTRUMENT"),
    (pb.ListCandlesRequest(instrument=""), "INVALID_ARGUMENT"),
    (pb.ListCandlesRequest(instrument="EUR_USD", granularity="M7"), "INVALID_ARGUMENT"),
    (pb.ListCandlesRequest(instrument="EUR_USD", to="yesterday"), "INVALID_ARGUMENT"),
    (pb.ListCandlesRequest(instrument="EUR_USD", to="2026-02-30T00:00:00Z"), "INVALID_ARGUMENT"),
    (pb.ListCandlesRequest(instrument="EUR_USD", to="1", **BACKWARD), "INVALID_ARGUMENT"),
    (pb.ListCandlesRequest(instrument="EUR_USD", limit=5001), "INVALID_ARGUMENT"),
]


async def reason_of(method: Callable[..., Any], request: Any) -> str:
    with pytest.raises(SepError) as failure:
        await call(method, request, peer="gateway")
    return failure.value.reason


async def test_invalid_request_is_refused_with_a_reason(gateway: Any) -> None:
    for request, reason in BAD:
        assert await reason_of(gateway.stub.ListCandles, request) == reason, request


async def test_refusal_lists_the_allowed_values(gateway: Any) -> None:
    with pytest.raises(SepError, match="M1, M2") as failure:
        await call(
            gateway.stub.ListCandles,
            pb.ListCandlesRequest(instrument="EUR_USD", granularity="M7"),
            peer="gateway",
        )
    assert failure.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_every_call_refuses_an_unknown_instrument(gateway: Any) -> None:
    stub = gateway.stub
    fetch = pb.FetchCandlesRequest(instruments=["EUR_USD", "XXX_YYY"])
    assert await reason_of(stub.FetchCandles, fetch) == "UNKNOWN_INSTRUMENT"
    prices = pb.GetPricingRequest(instruments=["XXX_YYY"])
    assert await reason_of(stub.GetPricing, prices) == "UNKNOWN_INSTRUMENT"
    order = pb.PlaceMarketOrderRequest(client_order_id="12345678", instrument="XXX_YYY", units="1")
    assert await reason_of(stub.PlaceMarketOrder, order) == "UNKNOWN_INSTRUMENT"


async def test_account_instruments_and_prices_match_the_broker(gateway: Any) -> None:
    account = await gateway.stub.GetAccount(pb.GetAccountRequest())
    assert (account.id, account.currency) == ("101-001-0000001-001", "USD")
    assert Decimal(account.balance) == Decimal(account.nav) == 100_000
    assert account.ts_ms > 1_700_000_000_000
    listed = await gateway.stub.ListInstruments(pb.ListInstrumentsRequest())
    by_name = {i.name: i for i in listed.instruments}
    assert by_name["USD_JPY"].display_precision == 3
    assert by_name["EUR_USD"].margin_rate == "0.02"
    pricing = await gateway.stub.GetPricing(pb.GetPricingRequest())
    assert [p.instrument for p in pricing.prices] == ["EUR_USD", "USD_JPY"]
    for price in pricing.prices:
        assert 0 < Decimal(price.bid) < Decimal(price.ask)
        assert price.tradeable
        assert len(price.time) == len("2026-03-04T12:00:00.000000000Z")
    conversions = {c.currency: c for c in pricing.home_conversions}
    assert Decimal(conversions["USD"].position_value) == 1
    assert 0 < Decimal(conversions["JPY"].position_value) < 1


async def test_positions_and_trades_show_an_opened_trade(gateway: Any) -> None:
    placed = await gateway.stub.PlaceMarketOrder(
        pb.PlaceMarketOrderRequest(
            client_order_id="short-yen-1",
            instrument="USD_JPY",
            units="-1000",
            stop_loss_price="400.00049",
        )
    )
    assert placed.result.state == pb.ORDER_STATE_FILLED
    listed = await gateway.stub.ListPositions(pb.ListPositionsRequest())
    (position,) = listed.positions
    assert (position.instrument, position.short_units) == ("USD_JPY", "-1000")
    assert position.long_units == "0"
    assert position.long_average_price == ""
    assert position.short_average_price == placed.result.fill_price
    assert Decimal(position.margin_used) > 0
    trades = await gateway.stub.ListOpenTrades(pb.ListOpenTradesRequest())
    (trade,) = trades.trades
    assert (trade.client_id, trade.client_tag) == ("short-yen-1", "sep")
    assert trade.stop_loss_price == "400.000"
    assert trade.take_profit_price == ""
    assert int(trades.last_transaction_id) >= int(placed.result.transaction_id)


async def test_refused_token_is_never_shown(
    gateway: Any, broker: RunningBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    # A start that is refused ends the gateway.
    await eventually(gateway.serves)
    broker.faults.add({"kind": "status", "status": 401})
    with pytest.raises(SepError) as failure:
        await call(gateway.stub.GetAccount, pb.GetAccountRequest(), peer="gateway")
    assert failure.value.reason == "BROKER_UNAVAILABLE"
    assert "401" in str(failure.value)
    output = capfd.readouterr()
    assert broker.settings.token not in str(failure.value) + output.out + output.err


async def test_unreachable_broker_is_unavailable_until_it_recovers(
    gateway: Any, broker: RunningBroker
) -> None:
    fault = broker.faults.add({"kind": "reset_before", "path": "summary"})
    assert await reason_of(gateway.stub.GetAccount, pb.GetAccountRequest()) == "BROKER_UNAVAILABLE"
    broker.faults.remove(fault.id)
    await eventually(lambda: call(gateway.stub.GetAccount, pb.GetAccountRequest(), peer="gateway"))


async def test_reads_are_retried_on_broker_errors(gateway: Any, broker: RunningBroker) -> None:
    for status in (429, 500, 503):
        broker.faults.add({"kind": "status", "status": status, "path": "openTrades", "times": 2})
        response = await gateway.stub.ListOpenTrades(pb.ListOpenTradesRequest())
        assert not response.trades
        assert not broker.faults.faults

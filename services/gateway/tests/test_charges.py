"""What transactions cost: each amount where the broker has it, none where it can't be read."""

from decimal import Decimal
from typing import Any

import pytest
from sep_gateway.adapters.oanda.parse_charges import charges, trade_amounts, trigger_price
from sep_gateway.domain.transactions import NO_CHARGES, TradeAmount

D = Decimal


def test_a_fill_names_each_of_its_charges() -> None:
    found = charges(
        {
            "financing": "-0.0125", "commission": "0.5", "guaranteedExecutionFee": "0.25",
            "halfSpreadCost": "0.8", "plHomeConversionCost": "0.03",
            "homeConversionFactors": {
                "gainQuoteHome": {"factor": "0.99"}, "lossQuoteHome": {"factor": "1.01"},
            },
            "fullPrice": {
                "bids": [{"price": "1.1"}, {"price": "1.0"}], "asks": [{"price": "1.2"}],
            },
        }
    )  # fmt: skip
    assert (found.financing, found.commission) == (D("-0.0125"), D("0.5"))
    assert (found.guaranteed_execution_fee, found.half_spread_cost) == (D("0.25"), D("0.8"))
    assert found.home_conversion_cost == D("0.03")
    assert (found.gain_factor, found.loss_factor) == (D("0.99"), D("1.01"))
    assert (found.bid, found.ask) == (D("1.1"), D("1.2"))


def test_the_broker_s_newer_place_of_an_amount_wins() -> None:
    found = charges(
        {
            "homeConversionCost": "0.02", "plHomeConversionCost": "0.01",
            "gainQuoteHomeConversionFactor": "0.9",
            "homeConversionFactors": {"gainQuoteHome": {"factor": "0.8"}},
        }
    )  # fmt: skip
    assert (found.home_conversion_cost, found.gain_factor) == (D("0.02"), D("0.9"))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "much", "", {}, []])
def test_an_amount_that_is_no_number_is_left_out_and_the_others_are_read(value: Any) -> None:
    found = charges({"financing": value, "commission": "0.5"})
    assert (found.financing, found.commission) == (None, D("0.5"))


@pytest.mark.parametrize(
    "entry",
    [None, [], "x", {}, {"homeConversionFactors": [], "fullPrice": {"bids": "x", "asks": [1]}}],
)
def test_what_has_no_charges_has_none(entry: Any) -> None:
    assert charges(entry) == NO_CHARGES


def test_shares_of_financing_and_of_dividends_belong_to_their_trades() -> None:
    found = trade_amounts(
        {
            "positionFinancings": [
                {"openTradeFinancings": [{"tradeID": "7", "financing": "-0.1"}, {"tradeID": "8"}]},
                {"openTradeFinancings": None},
                "x",
            ],
            "openTradeDividendAdjustments": [
                {"tradeID": 9, "dividendAdjustment": "0.2"}, {"dividendAdjustment": "0.3"},
            ],
        }
    )  # fmt: skip
    assert found == (
        TradeAmount(trade_id="7", amount=D("-0.1")),
        TradeAmount(trade_id="9", amount=D("0.2")),
    )


def test_only_an_order_with_a_price_has_a_trigger() -> None:
    assert trigger_price({"type": "STOP_LOSS_ORDER", "price": "1.05"}) == D("1.05")
    assert trigger_price({"type": "MARKET_ORDER"}) is None
    assert trigger_price({"type": "ORDER_FILL", "price": "1.05"}) is None

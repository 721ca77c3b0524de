"""Parses what transactions cost.

No amount here decides about an order: one that can't be read is left out, and the entry is sound
without it.
"""

from decimal import Decimal
from typing import Any

from sep_gateway.adapters.oanda.fields import finite
from sep_gateway.adapters.oanda.members import PARSE_ERRORS
from sep_gateway.domain.transactions import NO_CHARGES, Charges, TradeAmount

Json = dict[str, Any]

_DIVIDENDS = "openTradeDividendAdjustments"


def charges(entry: Json) -> Charges:
    """The charges of a transaction, or of a trade that a fill opened or closed."""
    if not isinstance(entry, dict):
        return NO_CHARGES
    factors = entry.get("homeConversionFactors")
    factors = factors if isinstance(factors, dict) else {}
    cost = _amount(entry, "homeConversionCost")
    return Charges(
        financing=_amount(entry, "financing"),
        commission=_amount(entry, "commission"),
        guaranteed_execution_fee=_amount(entry, "guaranteedExecutionFee"),
        half_spread_cost=_amount(entry, "halfSpreadCost"),
        home_conversion_cost=_amount(entry, "plHomeConversionCost") if cost is None else cost,
        gain_factor=_factor(entry, factors, "gainQuoteHome"),
        loss_factor=_factor(entry, factors, "lossQuoteHome"),
        bid=_best(entry, "bids"),
        ask=_best(entry, "asks"),
    )


def trade_amounts(entry: Json) -> tuple[TradeAmount, ...]:
    """The shares of single trades in a day's financing, or in a dividend."""
    found = [
        _trade_amount(share, "financing")
        for position in _members(entry, "positionFinancings")
        for share in _members(position, "openTradeFinancings")
    ]
    found += [_trade_amount(share, "dividendAdjustment") for share in _members(entry, _DIVIDENDS)]
    return tuple(share for share in found if share is not None)


def _trade_amount(share: Json, name: str) -> TradeAmount | None:
    amount = _amount(share, name)
    if amount is None or "tradeID" not in share:
        return None
    return TradeAmount(trade_id=str(share["tradeID"]), amount=amount)


def trigger_price(entry: Json) -> Decimal | None:
    """Where a pending order triggers; None for an order without a price."""
    return _amount(entry, "price") if str(entry.get("type", "")).endswith("_ORDER") else None


def _members(entry: object, name: str) -> list[Json]:
    members = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(members, list):
        return []
    return [member for member in members if isinstance(member, dict)]


def _factor(entry: Json, factors: Json, name: str) -> Decimal | None:
    """A conversion factor, in the place where the broker has it now or had it before."""
    found = _amount(entry, f"{name}ConversionFactor")
    nested = factors.get(name)
    if found is None and isinstance(nested, dict):
        return _amount(nested, "factor")
    return found


def _best(entry: Json, side: str) -> Decimal | None:
    levels = _members(entry.get("fullPrice"), side)
    return _amount(levels[0], "price") if levels else None


def _amount(entry: Json, name: str) -> Decimal | None:
    if entry.get(name) is None:
        return None
    try:
        return finite(entry[name])
    except PARSE_ERRORS:
        return None

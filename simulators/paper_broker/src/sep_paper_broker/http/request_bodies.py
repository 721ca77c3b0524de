"""Parsing of request bodies into ``orders.requests``."""

from typing import Any

from sep_paper_broker.http.errors import ApiError, invalid
from sep_paper_broker.http.params import choice, decimal, object_or_none, text_or_none
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    CloseAmount,
    CloseUnits,
    MarketOrderRequest,
    PositionFill,
    SideClose,
    StopLossDetails,
    TakeProfitDetails,
    TimeInForce,
    TradeOrdersRequest,
)


def market_order(body: dict[str, Any]) -> MarketOrderRequest:
    """The market order of a request.

    Raises:
        ApiError: the order is malformed or of an unsupported type.
    """
    order = object_or_none("order", body.get("order"))
    if order is None:
        raise invalid("order")
    kind = order.get("type", "MARKET")
    if kind != "MARKET":
        raise ApiError(400, f"Order type {kind!r} is not supported: only MARKET orders are")
    if order.get("trailingStopLossOnFill") is not None:
        raise ApiError(
            400, "'order.trailingStopLossOnFill' is not supported: trailing stops are not"
        )
    instrument = order.get("instrument")
    if not isinstance(instrument, str) or not instrument:
        raise invalid("order.instrument")
    if order.get("units") is None:
        raise invalid("order.units")
    bound = order.get("priceBound")
    return MarketOrderRequest(
        instrument=instrument,
        units=decimal("order.units", order["units"]),
        time_in_force=choice(
            "order.timeInForce", TimeInForce, order.get("timeInForce"), TimeInForce.FOK
        ),
        price_bound=None if bound is None else decimal("order.priceBound", bound),
        position_fill=choice(
            "order.positionFill", PositionFill, order.get("positionFill"), PositionFill.DEFAULT
        ),
        client_extensions=client_extensions("order.clientExtensions", order),
        take_profit_on_fill=take_profit("order.takeProfitOnFill", order.get("takeProfitOnFill")),
        stop_loss_on_fill=stop_loss("order.stopLossOnFill", order.get("stopLossOnFill")),
        trade_client_extensions=client_extensions("order.tradeClientExtensions", order),
    )


def client_extensions(name: str, holder: dict[str, Any]) -> ClientExtensions | None:
    """The client extensions of a field. ``name`` is its path; the last part is the field's name."""
    value = object_or_none(name, holder.get(name.rpartition(".")[2]))
    if value is None:
        return None
    return ClientExtensions(
        text_or_none(f"{name}.id", value.get("id")),
        text_or_none(f"{name}.tag", value.get("tag")),
        text_or_none(f"{name}.comment", value.get("comment")),
    )


def take_profit(name: str, value: object) -> TakeProfitDetails | None:
    """The take profit of a field; None if absent."""
    details = object_or_none(name, value)
    if details is None:
        return None
    if details.get("price") is None:
        raise invalid(f"{name}.price")
    return TakeProfitDetails(
        decimal(f"{name}.price", details["price"]),
        choice(f"{name}.timeInForce", TimeInForce, details.get("timeInForce"), TimeInForce.GTC),
        client_extensions(f"{name}.clientExtensions", details),
    )


def stop_loss(name: str, value: object) -> StopLossDetails | None:
    """The stop loss of a field; None if absent."""
    details = object_or_none(name, value)
    if details is None:
        return None
    price, distance = details.get("price"), details.get("distance")
    return StopLossDetails(
        None if price is None else decimal(f"{name}.price", price),
        None if distance is None else decimal(f"{name}.distance", distance),
        choice(f"{name}.timeInForce", TimeInForce, details.get("timeInForce"), TimeInForce.GTC),
        client_extensions(f"{name}.clientExtensions", details),
        details.get("guaranteed") is True,
    )


def trade_orders(body: dict[str, Any]) -> TradeOrdersRequest:
    """The change of a trade's dependent orders; null cancels the order."""
    if body.get("trailingStopLoss") is not None:
        raise ApiError(400, "'trailingStopLoss' is not supported: trailing stops are not")
    fields = {"takeProfit": "take_profit", "stopLoss": "stop_loss"}
    given = frozenset(name for field, name in fields.items() if field in body)
    if not given:
        raise ApiError(400, "Neither 'takeProfit' nor 'stopLoss' was specified")
    return TradeOrdersRequest(
        given,
        take_profit("takeProfit", body.get("takeProfit")),
        stop_loss("stopLoss", body.get("stopLoss")),
    )


def close_units(name: str, value: object, default: CloseAmount) -> CloseUnits:
    """ALL, NONE or a number of units."""
    if value is None:
        return default
    if isinstance(value, str) and value in set(CloseAmount):
        return CloseAmount(value)
    return decimal(name, value)


def position_close(body: dict[str, Any]) -> tuple[SideClose, SideClose]:
    """The long and the short side of a position close; a side not given is not closed."""
    sides = []
    for side in ("long", "short"):
        units = close_units(f"{side}Units", body.get(f"{side}Units"), CloseAmount.NONE)
        sides.append(SideClose(units, client_extensions(f"{side}ClientExtensions", body)))
    long, short = sides
    if long.units is CloseAmount.NONE and short.units is CloseAmount.NONE:
        raise ApiError(
            400,
            "Neither 'longUnits' nor 'shortUnits' was specified",
            "CLOSEOUT_POSITION_INCOMPLETE_SPECIFICATION",
        )
    return long, short

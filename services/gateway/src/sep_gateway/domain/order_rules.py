"""Rounding and size limits that an order must satisfy before it is sent."""

from dataclasses import dataclass, replace
from decimal import Decimal

from sep_fx.instrument import Instrument

from sep_gateway.domain.orders import MarketOrder


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order can't be sent: a stable reason, a message, and the violated limit."""

    reason: str
    text: str
    limit: Decimal


def fit_order(order: MarketOrder, instrument: Instrument) -> MarketOrder | Refusal:
    """The order with units rounded toward zero and prices rounded to the broker's precision.

    A reduction opens no trade, so its stop and target are dropped.
    """
    units = instrument.round_units(order.units)
    least, most = instrument.minimum_trade_size, instrument.maximum_order_units
    if units == 0 or abs(units) < least:
        return Refusal(
            "UNITS_BELOW_MINIMUM",
            f"{order.units} units of {instrument.name}, rounded down, are {units}; "
            f"the minimum is {least}",
            least,
        )
    if abs(units) > most:
        return Refusal(
            "UNITS_ABOVE_MAXIMUM",
            f"{units} units of {instrument.name} are too many for one order; the maximum is {most}",
            most,
        )
    attach = not order.reduce_only
    return replace(
        order,
        units=units,
        stop_loss_price=_fit(instrument, order.stop_loss_price if attach else None),
        take_profit_price=_fit(instrument, order.take_profit_price if attach else None),
        price_bound=_fit(instrument, order.price_bound),
    )


def _fit(instrument: Instrument, price: Decimal | None) -> Decimal | None:
    return None if price is None else instrument.round_price(price)

"""Parses the broker's JSON: exact decimals, times in nanoseconds, ids as integers.

Every function raises one of ``PARSE_ERRORS`` on invalid input; ``parsing`` turns these into one
error. A member of a list that can't be read is left out, and named.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from sep_fx.instants import parse_rfc3339
from sep_fx.instrument import Instrument, split_name

from sep_gateway.adapters.oanda.failures import NoResponseError
from sep_gateway.adapters.oanda.fields import (
    Fields,
    finite,
    not_negative,
    object_or_empty,
    positive,
    str_or_empty,
    text_of,
    whole,
)
from sep_gateway.adapters.oanda.members import PARSE_ERRORS, read_members
from sep_gateway.domain.account import (
    Instruments,
    OpenTrades,
    Position,
    Positions,
    Trade,
)
from sep_gateway.domain.pricing import HomeConversion, Price, Pricing, best_price, faulty

Json = dict[str, Any]

_NOT_A_NUMBER = Decimal("NaN")
_MOST_DIGITS = 12


@contextmanager
def parsing(endpoint: str) -> Iterator[None]:
    """Raise ``NoResponseError`` in place of parse errors."""
    try:
        yield
    except PARSE_ERRORS as error:
        raise NoResponseError(
            f"{endpoint}: the broker's response can't be parsed ({error!r})"
        ) from error


def positions(response: Json) -> Positions:
    """Parses ``/openPositions``."""
    found, left_out = read_members("position", response["positions"], _position, name="instrument")
    found.sort(key=lambda p: p.instrument)
    return Positions(tuple(found), newest_transaction(response), left_out)


def _position(position: Json) -> Position:
    instrument = text_of(position["instrument"])
    fields = Fields("position", position, name=instrument, instrument=instrument)
    long, short = (
        Fields(f"{side} position", position[side], name=instrument, instrument=instrument)
        for side in ("long", "short")
    )
    # The broker omits it while it is zero.
    margin_used = fields.optional("marginUsed", finite) if "marginUsed" in position else Decimal(0)
    return Position(
        instrument=instrument,
        long_units=long.needed("units", finite),
        short_units=short.needed("units", finite),
        long_average_price=long.optional("averagePrice", finite),
        short_average_price=short.optional("averagePrice", finite),
        unrealized_pl=fields.optional("unrealizedPL", finite),
        margin_used=margin_used,
        odd=fields.odd + long.odd + short.odd,
    )


def open_trades(response: Json) -> OpenTrades:
    """Parses ``/openTrades``."""
    found, left_out = read_members("trade", response["trades"], _trade, name="id")
    found.sort(key=lambda t: t.id)
    return OpenTrades(tuple(found), newest_transaction(response), left_out)


def open_trade(response: Json) -> Trade | None:
    """Parses ``/trades/{id}``; None for a trade that is closed."""
    entry = response["trade"]
    return _trade(entry) if entry.get("state", "OPEN") == "OPEN" else None


def _trade(trade: Json) -> Trade:
    number, instrument = whole(trade["id"]), text_of(trade["instrument"])
    fields = Fields("trade", trade, name=str(number), instrument=instrument)
    # Whose trade it is, and whether it has a stop, must not be guessed.
    extensions = object_or_empty(trade, "clientExtensions")
    client_id, client_tag = (str_or_empty(extensions, name) for name in ("id", "tag"))
    stop, target = object_or_empty(trade, "stopLossOrder"), fields.part("takeProfitOrder")
    margin_used = fields.optional("marginUsed", not_negative)
    return Trade(
        id=number,
        instrument=instrument,
        price=fields.optional("price", finite),
        current_units=fields.needed("currentUnits", finite),
        initial_units=fields.optional("initialUnits", finite),
        unrealized_pl=fields.optional("unrealizedPL", finite),
        opened_ns=fields.optional("openTime", parse_rfc3339),
        client_id=client_id,
        client_tag=client_tag,
        stop_loss_price=finite(stop["price"]) if "price" in stop else None,
        take_profit_price=target.optional("price", finite),
        stop_loss_state=str_or_empty(stop, "state"),
        take_profit_state=target.optional("state", text_of) or "",
        financing=fields.optional("financing", finite) if "financing" in trade else Decimal(0),
        margin_used=margin_used,
        odd=fields.odd + target.odd,
    )


def instruments(response: Json) -> Instruments:
    """Parses ``/instruments``."""
    found, left_out = read_members("instrument", response["instruments"], _instrument, name="name")
    found.sort(key=lambda i: i.name)
    return Instruments(tuple(found), left_out)


def _instrument(entry: Json) -> Instrument:
    name = text_of(entry["name"])
    split_name(name)
    return Instrument(
        name=name,
        display_precision=_digits(entry["displayPrecision"]),
        trade_units_precision=_digits(entry["tradeUnitsPrecision"]),
        minimum_trade_size=positive(entry["minimumTradeSize"]),
        margin_rate=positive(entry["marginRate"]),
        maximum_order_units=positive(entry["maximumOrderUnits"]),
    )


def _digits(value: Any) -> int:
    digits = whole(value)
    if not 0 <= digits <= _MOST_DIGITS:
        raise ValueError(f"a precision of {digits} decimals")
    return digits


def pricing(response: Json) -> Pricing:
    """Parses ``/pricing``."""
    prices, bad_prices = read_members("price", response["prices"], price, name="instrument")
    conversions, bad_conversions = read_members(
        "home conversion", response.get("homeConversions", []), _conversion, name="currency"
    )
    return Pricing(
        tuple(sorted(prices, key=lambda p: p.instrument)),
        tuple(conversions),
        bad_prices + bad_conversions,
    )


def _conversion(entry: Json) -> HomeConversion:
    return HomeConversion(
        currency=text_of(entry["currency"]),
        account_gain=positive(entry["accountGain"]),
        account_loss=positive(entry["accountLoss"]),
        position_value=positive(entry["positionValue"]),
    )


def price(entry: Json) -> Price:
    """One price of ``/pricing`` or of the stream; ``bids`` and ``asks`` may be empty.

    A price whose time can't be read has time 0: too old for any use.
    """
    instrument, time_ns = text_of(entry["instrument"]), 0
    try:
        time_ns = parse_rfc3339(entry["time"])
        bids, asks = (
            [_level(level["price"]) for level in entry.get(side, ())] for side in ("bids", "asks")
        )
    except PARSE_ERRORS:
        # An invalid price of one instrument must not discard the others.
        return faulty(instrument, time_ns, "malformed")
    # Older responses have a status instead.
    tradeable = entry.get("tradeable", entry.get("status") == "tradeable") is True
    return best_price(instrument, time_ns, bids, asks, tradeable=tradeable)


def _level(text: object) -> Decimal:
    """A price of the book; NaN, which is its own fault, for a number that is not finite."""
    try:
        return finite(text)
    except ValueError as error:
        if "not finite" in str(error):
            return _NOT_A_NUMBER
        raise


def newest_transaction(response: Json) -> int:
    """``lastTransactionID`` of a response.

    Raises:
        ValueError: it is missing or can't be read; the text names it.
    """
    return Fields("response", response).needed("lastTransactionID", whole)

"""Parses the broker's JSON: exact decimals, times in nanoseconds, ids as integers.

Every function raises one of ``PARSE_ERRORS`` on invalid input; ``parsing`` turns these into one
error. A member of a list that can't be read is left out, and named.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

from sep_fx.instants import parse_rfc3339
from sep_fx.instrument import Instrument, split_name

from sep_gateway.adapters.oanda.failures import NoResponseError
from sep_gateway.adapters.oanda.members import PARSE_ERRORS, read_members
from sep_gateway.domain.account import (
    AccountSummary,
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


def finite(text: str) -> Decimal:
    """A decimal; raises ValueError for NaN and infinities."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a decimal string")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:40]!r} is not a decimal") from None
    if not value.is_finite():
        raise ValueError(f"{text!r} is not finite")
    return value


def positive(text: str) -> Decimal:
    """A decimal above zero, safe as a divisor."""
    value = finite(text)
    if value <= 0:
        raise ValueError(f"{text!r} is not above 0")
    return value


def account_summary(response: Json) -> AccountSummary:
    """Parses ``/summary``."""
    account = response["account"]
    nav, used = _net_asset_value(account["NAV"]), finite(account["marginUsed"])
    return AccountSummary(
        id=str(account["id"]),
        currency=str(account["currency"]),
        balance=finite(account["balance"]),
        nav=nav,
        unrealized_pl=finite(account["unrealizedPL"]),
        pl=finite(account["pl"]),
        margin_used=used,
        margin_available=finite(account["marginAvailable"]),
        position_value=finite(account["positionValue"]),
        margin_closeout_percent=_closeout_percent(account.get("marginCloseoutPercent"), used, nav),
        open_trade_count=int(account["openTradeCount"]),
        open_position_count=int(account["openPositionCount"]),
        last_transaction_id=int(response["lastTransactionID"]),
        margin_rate=_readable(account.get("marginRate")),
        hedging=_flag(account.get("hedgingEnabled", False)),
        guaranteed_stop_mode=str(account.get("guaranteedStopLossOrderMode", "")),
    )


def _net_asset_value(text: str) -> Decimal:
    """NAV as sent; NaN for a text that is no finite number, which halts the guard's entries.

    A NAV that is missing is an account that can't be read.
    """
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a decimal string")
    try:
        value = Decimal(text)
    except InvalidOperation:
        return _NOT_A_NUMBER
    return value if value.is_finite() else _NOT_A_NUMBER


def _closeout_percent(text: Any, margin_used: Decimal, nav: Decimal) -> Decimal:
    """The broker's figure, or the same made from margin and NAV where it can't be read.

    With margin in use and a NAV of zero or below there is no such share: the closeout is due.

    Raises:
        ValueError: neither can be read.
    """
    try:
        return finite(text)
    except PARSE_ERRORS:
        if not nav.is_finite():
            raise
    if not margin_used:
        return Decimal(0)
    return margin_used / (2 * nav) if nav > 0 else Decimal(1)


def _readable(text: Any) -> Decimal | None:
    """A decimal above zero; None for anything else, which must not stop the heartbeat."""
    try:
        return positive(text)
    except PARSE_ERRORS:
        return None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def positions(response: Json) -> Positions:
    """Parses ``/openPositions``."""
    found, left_out = read_members("position", response["positions"], _position, name="instrument")
    found.sort(key=lambda p: p.instrument)
    return Positions(tuple(found), int(response["lastTransactionID"]), left_out)


def _position(position: Json) -> Position:
    long, short = position["long"], position["short"]
    return Position(
        instrument=str(position["instrument"]),
        long_units=finite(long["units"]),
        short_units=finite(short["units"]),
        long_average_price=_optional(long.get("averagePrice")),
        short_average_price=_optional(short.get("averagePrice")),
        unrealized_pl=finite(position["unrealizedPL"]),
        # The broker omits it while it is zero.
        margin_used=finite(position.get("marginUsed", "0")),
    )


def open_trades(response: Json) -> OpenTrades:
    """Parses ``/openTrades``."""
    found, left_out = read_members("trade", response["trades"], _trade, name="id")
    found.sort(key=lambda t: t.id)
    return OpenTrades(tuple(found), int(response["lastTransactionID"]), left_out)


def open_trade(response: Json) -> Trade | None:
    """Parses ``/trades/{id}``; None for a trade that is closed."""
    entry = response["trade"]
    return _trade(entry) if entry.get("state", "OPEN") == "OPEN" else None


def _trade(trade: Json) -> Trade:
    extensions = trade.get("clientExtensions") or {}
    stop, target = (trade.get(name) or {} for name in ("stopLossOrder", "takeProfitOrder"))
    return Trade(
        id=int(trade["id"]),
        instrument=str(trade["instrument"]),
        price=finite(trade["price"]),
        current_units=finite(trade["currentUnits"]),
        initial_units=finite(trade["initialUnits"]),
        unrealized_pl=finite(trade["unrealizedPL"]),
        opened_ns=parse_rfc3339(trade["openTime"]),
        client_id=str(extensions.get("id", "")),
        client_tag=str(extensions.get("tag", "")),
        stop_loss_price=_optional(stop.get("price")),
        take_profit_price=_optional(target.get("price")),
        stop_loss_state=str(stop.get("state", "")),
        take_profit_state=str(target.get("state", "")),
        financing=finite(trade.get("financing", "0")),
        margin_used=_optional(trade.get("marginUsed")),
    )


def instruments(response: Json) -> Instruments:
    """Parses ``/instruments``."""
    found, left_out = read_members("instrument", response["instruments"], _instrument, name="name")
    found.sort(key=lambda i: i.name)
    return Instruments(tuple(found), left_out)


def _instrument(entry: Json) -> Instrument:
    name = str(entry["name"])
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
    digits = int(value)
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
        currency=str(entry["currency"]),
        account_gain=positive(entry["accountGain"]),
        account_loss=positive(entry["accountLoss"]),
        position_value=positive(entry["positionValue"]),
    )


def price(entry: Json) -> Price:
    """One price of ``/pricing`` or of the stream; ``bids`` and ``asks`` may be empty.

    A price whose time can't be read has time 0: too old for any use.
    """
    instrument, time_ns = str(entry["instrument"]), 0
    try:
        time_ns = parse_rfc3339(entry["time"])
        bids, asks = (
            [Decimal(level["price"]) for level in entry.get(side, ())] for side in ("bids", "asks")
        )
    except PARSE_ERRORS:
        # An invalid price of one instrument must not discard the others.
        return faulty(instrument, time_ns, "malformed")
    # Older responses have a status instead.
    tradeable = bool(entry.get("tradeable", entry.get("status") == "tradeable"))
    return best_price(instrument, time_ns, bids, asks, tradeable=tradeable)


def _optional(text: str | None) -> Decimal | None:
    return None if text is None else finite(text)

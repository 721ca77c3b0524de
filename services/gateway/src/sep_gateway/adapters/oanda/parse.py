"""Parses the broker's JSON: exact decimals, times in nanoseconds, ids as integers.

Every function raises ``KeyError``, ``TypeError``, ``ValueError`` or ``ArithmeticError`` on
invalid input; ``parsing`` turns these into one error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

from sep_fx.instants import parse_rfc3339
from sep_fx.instrument import Instrument

from sep_gateway.adapters.oanda.failures import NoResponseError
from sep_gateway.domain.account import AccountSummary, OpenTrades, Position, Positions, Trade
from sep_gateway.domain.pricing import HomeConversion, Price, Pricing, best_price, faulty

Json = dict[str, Any]

_NOT_A_NUMBER = Decimal("NaN")


@contextmanager
def parsing(endpoint: str) -> Iterator[None]:
    """Raise ``NoResponseError`` in place of parse errors."""
    try:
        yield
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise NoResponseError(
            f"{endpoint}: the broker's response can't be parsed ({error!r})"
        ) from error


def finite(text: str) -> Decimal:
    """A finite decimal."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a decimal string")
    value = Decimal(text)
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
    return AccountSummary(
        id=str(account["id"]),
        currency=str(account["currency"]),
        balance=finite(account["balance"]),
        nav=_net_asset_value(account["NAV"]),
        unrealized_pl=finite(account["unrealizedPL"]),
        pl=finite(account["pl"]),
        margin_used=finite(account["marginUsed"]),
        margin_available=finite(account["marginAvailable"]),
        position_value=finite(account["positionValue"]),
        margin_closeout_percent=finite(account["marginCloseoutPercent"]),
        open_trade_count=int(account["openTradeCount"]),
        open_position_count=int(account["openPositionCount"]),
        last_transaction_id=int(response["lastTransactionID"]),
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


def positions(response: Json) -> Positions:
    """Parses ``/openPositions``."""
    found = sorted((_position(p) for p in response["positions"]), key=lambda p: p.instrument)
    return Positions(tuple(found), int(response["lastTransactionID"]))


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
    found = sorted((_trade(t) for t in response["trades"]), key=lambda t: t.id)
    return OpenTrades(tuple(found), int(response["lastTransactionID"]))


def _trade(trade: Json) -> Trade:
    extensions = trade.get("clientExtensions") or {}
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
        stop_loss_price=_optional((trade.get("stopLossOrder") or {}).get("price")),
        take_profit_price=_optional((trade.get("takeProfitOrder") or {}).get("price")),
    )


def instruments(response: Json) -> tuple[Instrument, ...]:
    """Parses ``/instruments``; sorted by name."""
    found = (
        Instrument(
            name=str(i["name"]),
            display_precision=int(i["displayPrecision"]),
            trade_units_precision=int(i["tradeUnitsPrecision"]),
            minimum_trade_size=finite(i["minimumTradeSize"]),
            margin_rate=positive(i["marginRate"]),
            maximum_order_units=finite(i["maximumOrderUnits"]),
        )
        for i in response["instruments"]
    )
    return tuple(sorted(found, key=lambda i: i.name))


def pricing(response: Json) -> Pricing:
    """Parses ``/pricing``."""
    return Pricing(
        tuple(sorted((price(p) for p in response["prices"]), key=lambda p: p.instrument)),
        tuple(
            HomeConversion(
                str(c["currency"]),
                positive(c["accountGain"]),
                positive(c["accountLoss"]),
                positive(c["positionValue"]),
            )
            for c in response.get("homeConversions", ())
        ),
    )


def price(entry: Json) -> Price:
    """One price of ``/pricing`` or of the stream; ``bids`` and ``asks`` may be empty."""
    instrument, time_ns = str(entry["instrument"]), parse_rfc3339(entry["time"])
    try:
        bids, asks = (
            [Decimal(level["price"]) for level in entry.get(side, ())] for side in ("bids", "asks")
        )
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
        # An invalid price of one instrument must not discard the others.
        return faulty(instrument, time_ns, "malformed")
    # Older responses have a status instead.
    tradeable = bool(entry.get("tradeable", entry.get("status") == "tradeable"))
    return best_price(instrument, time_ns, bids, asks, tradeable=tradeable)


def _optional(text: str | None) -> Decimal | None:
    return None if text is None else finite(text)

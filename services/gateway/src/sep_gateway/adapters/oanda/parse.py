"""The broker's JSON as values: decimals exact, times in nanoseconds, ids as numbers.

Every function raises ``KeyError``, ``TypeError``, ``ValueError`` or
``ArithmeticError`` on what it can't read; ``legible`` turns these into one error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from sep_fx.instants import parse_rfc3339
from sep_fx.instrument import Instrument

from sep_gateway.adapters.oanda.failures import NoAnswerError
from sep_gateway.domain.account import AccountSummary, OpenTrades, Position, Positions, Trade
from sep_gateway.domain.pricing import HomeConversion, Price, Pricing, best_price, faulty

Json = dict[str, Any]


@contextmanager
def legible(endpoint: str) -> Iterator[None]:
    """Raise ``NoAnswerError`` in place of what parsing raises."""
    try:
        yield
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise NoAnswerError(f"{endpoint}: the broker's answer can't be read ({error!r})") from error


def finite(text: str) -> Decimal:
    """A decimal that is a number."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a decimal string")
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(f"{text!r} is not finite")
    return value


def positive(text: str) -> Decimal:
    """A decimal above zero: what others divide by."""
    value = finite(text)
    if value <= 0:
        raise ValueError(f"{text!r} is not above 0")
    return value


def account_summary(answer: Json) -> AccountSummary:
    """From ``/summary``."""
    account = answer["account"]
    return AccountSummary(
        id=str(account["id"]),
        currency=str(account["currency"]),
        balance=finite(account["balance"]),
        nav=finite(account["NAV"]),
        unrealized_pl=finite(account["unrealizedPL"]),
        pl=finite(account["pl"]),
        margin_used=finite(account["marginUsed"]),
        margin_available=finite(account["marginAvailable"]),
        position_value=finite(account["positionValue"]),
        margin_closeout_percent=finite(account["marginCloseoutPercent"]),
        open_trade_count=int(account["openTradeCount"]),
        open_position_count=int(account["openPositionCount"]),
        last_transaction_id=int(answer["lastTransactionID"]),
    )


def positions(answer: Json) -> Positions:
    """From ``/openPositions``."""
    found = sorted((_position(p) for p in answer["positions"]), key=lambda p: p.instrument)
    return Positions(tuple(found), int(answer["lastTransactionID"]))


def _position(position: Json) -> Position:
    long, short = position["long"], position["short"]
    return Position(
        instrument=str(position["instrument"]),
        long_units=finite(long["units"]),
        short_units=finite(short["units"]),
        long_average_price=_optional(long.get("averagePrice")),
        short_average_price=_optional(short.get("averagePrice")),
        unrealized_pl=finite(position["unrealizedPL"]),
        # Left out by the broker while it is zero.
        margin_used=finite(position.get("marginUsed", "0")),
    )


def open_trades(answer: Json) -> OpenTrades:
    """From ``/openTrades``."""
    found = sorted((_trade(t) for t in answer["trades"]), key=lambda t: t.id)
    return OpenTrades(tuple(found), int(answer["lastTransactionID"]))


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


def instruments(answer: Json) -> tuple[Instrument, ...]:
    """From ``/instruments``, by name."""
    found = (
        Instrument(
            name=str(i["name"]),
            display_precision=int(i["displayPrecision"]),
            trade_units_precision=int(i["tradeUnitsPrecision"]),
            minimum_trade_size=finite(i["minimumTradeSize"]),
            margin_rate=positive(i["marginRate"]),
            maximum_order_units=finite(i["maximumOrderUnits"]),
        )
        for i in answer["instruments"]
    )
    return tuple(sorted(found, key=lambda i: i.name))


def pricing(answer: Json) -> Pricing:
    """From ``/pricing``."""
    return Pricing(
        tuple(sorted((price(p) for p in answer["prices"]), key=lambda p: p.instrument)),
        tuple(
            HomeConversion(
                str(c["currency"]),
                positive(c["accountGain"]),
                positive(c["accountLoss"]),
                positive(c["positionValue"]),
            )
            for c in answer.get("homeConversions", ())
        ),
    )


def price(entry: Json) -> Price:
    """One price, of a question or of the stream; ``bids`` and ``asks`` may be empty."""
    instrument, time_ns = str(entry["instrument"]), parse_rfc3339(entry["time"])
    try:
        bids, asks = (
            [Decimal(level["price"]) for level in entry.get(side, ())] for side in ("bids", "asks")
        )
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
        # One instrument's price must not cost the others theirs.
        return faulty(instrument, time_ns, "malformed")
    # Older answers say it as a status.
    tradeable = bool(entry.get("tradeable", entry.get("status") == "tradeable"))
    return best_price(instrument, time_ns, bids, asks, tradeable=tradeable)


def _optional(text: str | None) -> Decimal | None:
    return None if text is None else finite(text)

"""Parses the broker's transactions and orders."""

from decimal import Decimal
from typing import Any

from sep_fx.instants import NS_PER_MS, parse_rfc3339

from sep_gateway.adapters.oanda.fields import Fields, finite, text_of, whole
from sep_gateway.adapters.oanda.members import PARSE_ERRORS, fault_text
from sep_gateway.adapters.oanda.parse_charges import charges, trade_amounts, trigger_price
from sep_gateway.domain.left_out import LeftOut
from sep_gateway.domain.orders import OrderResult, OrderState
from sep_gateway.domain.transactions import (
    UNREADABLE,
    LedgerDetails,
    TradeClosed,
    TradeOpened,
    Transaction,
)

Json = dict[str, Any]

# Average prices are rounded to this; the broker's prices have at most five decimals.
_PRICE_DIGITS = Decimal("0.0000001")


def transactions(entries: object) -> tuple[list[Transaction], list[LeftOut]]:
    """The transactions by id, and those that can't be read.

    One of which only the id can be read is in both: it is not missing, but says nothing.

    Raises:
        TypeError: there is no list.
    """
    if not isinstance(entries, list):
        raise TypeError("the transactions are not a list")
    found: list[Transaction] = []
    left_out: list[LeftOut] = []
    for entry in entries:
        read = transaction_or_left_out(entry)
        if isinstance(read, LeftOut):
            left_out.append(read)
            continue
        found.append(read)
        if read.type == UNREADABLE:
            left_out.append(LeftOut(kind="transaction", name=str(read.id), text=read.details.fault))
    return sorted(found, key=lambda t: t.id), left_out


def transaction_or_left_out(entry: Any) -> Transaction | LeftOut:
    """A transaction; UNREADABLE if only its id can be read, left out if not even that."""
    try:
        return transaction(entry)
    except PARSE_ERRORS as error:
        fault = fault_text(error)
    try:
        return Transaction(
            id=whole(entry["id"]), type=UNREADABLE, details=LedgerDetails(fault=fault)
        )
    except PARSE_ERRORS:
        return LeftOut(kind="transaction", name="", text=fault)


def transaction(entry: Json) -> Transaction:
    """One transaction; fields that its type does not have stay empty."""
    extensions = entry.get("clientExtensions") or {}
    kind = text_of(entry["type"])
    # The reason of a creation (CLIENT_ORDER) carries no information.
    reason = entry.get("rejectReason") or entry.get("reason") or ""
    return Transaction(
        id=whole(entry["id"]),
        type=kind,
        order_id=str(entry.get("orderID", "")),
        client_order_id=str(entry.get("clientOrderID") or extensions.get("id", "")),
        instrument=str(entry.get("instrument", "")),
        # Parsed only for fills: an unusual number elsewhere must not stop the ledger.
        units=finite(entry["units"]) if kind == "ORDER_FILL" else Decimal(0),
        price=_readable_price(entry) if kind == "ORDER_FILL" else None,
        reason=str(reason),
        tag=str(extensions.get("tag", "")),
        details=ledger_details(entry),
    )


def ledger_details(entry: Json) -> LedgerDetails:
    """The details of a ledger entry; one whose details can't be read has a fault and no details."""
    fields = Fields("transaction", entry, name=str(entry.get("id", "")))
    try:
        opened = entry.get("tradeOpened")
        reduced = entry.get("tradeReduced")
        closed = [*(entry.get("tradesClosed") or ()), *([reduced] if reduced else [])]
        trade_close = entry.get("tradeClose") or {}
        return LedgerDetails(
            ts_ms=parse_rfc3339(str(entry["time"])) // NS_PER_MS if "time" in entry else 0,
            amount=_optional(entry, "amount"),
            account_balance=fields.optional("accountBalance", finite),
            opened=_opened(opened) if opened else None,
            closed=tuple(_closed(trade) for trade in closed),
            home_per_quote=fields.optional("lossQuoteHomeConversionFactor", finite),
            reduce_only=entry.get("positionFill") == "REDUCE_ONLY" or bool(trade_close),
            trade_close_id=str(trade_close.get("tradeID", "")),
            trade_close_units=_close_units(trade_close.get("units", "ALL")),
            charges=charges(entry),
            trade_amounts=trade_amounts(entry),
            trigger_price=trigger_price(entry),
            trade_id=str(trade_close.get("tradeID") or entry.get("tradeID") or ""),
            odd=fields.odd,
        )
    except PARSE_ERRORS as error:
        return LedgerDetails(fault=fault_text(error))


def _opened(trade: Json) -> TradeOpened:
    extensions = trade.get("clientExtensions") or {}
    return TradeOpened(
        trade_id=str(trade["tradeID"]),
        units=finite(trade["units"]),
        price=finite(trade["price"]),
        client_tag=str(extensions.get("tag", "")),
        charges=charges(trade),
    )


def _closed(trade: Json) -> TradeClosed:
    return TradeClosed(
        trade_id=str(trade["tradeID"]),
        units=finite(trade["units"]),
        price=finite(trade["price"]),
        realized_pl=finite(trade.get("realizedPL", "0")),
        charges=charges(trade),
    )


def _close_units(text: str) -> Decimal | None:
    return None if text == "ALL" else abs(finite(text))


def _optional(entry: Json, name: str) -> Decimal | None:
    return finite(entry[name]) if entry.get(name) is not None else None


def _readable_price(fill: Json) -> Decimal | None:
    """The price of a fill, which happened whether or not its price can be read."""
    try:
        return fill_price(fill)
    except PARSE_ERRORS:
        return None


def fill_price(fill: Json) -> Decimal | None:
    """Average price of the trades that a fill opened, reduced and closed.

    The fill's own ``price`` is deprecated and wrong for a fill at several prices; it is used
    only if no trade is listed.
    """
    parts = [
        part
        for part in (
            fill.get("tradeOpened"),
            fill.get("tradeReduced"),
            *(fill.get("tradesClosed") or ()),
        )
        if part and "price" in part
    ]
    units = [abs(finite(part["units"])) for part in parts]
    total = sum(units, Decimal(0))
    if total == 0:
        return finite(fill["price"]) if "price" in fill else None
    prices = [finite(part["price"]) for part in parts]
    if len(set(prices)) == 1:
        return prices[0]
    cash = sum((p * u for p, u in zip(prices, units, strict=True)), Decimal(0))
    return (cash / total).quantize(_PRICE_DIGITS).normalize()


def pending_result(client_order_id: str, order: Json) -> OrderResult | None:
    """The result of an order that is still pending; None once it has ended."""
    if order["state"] in ("PENDING", "TRIGGERED"):
        return OrderResult(client_order_id=client_order_id, state=OrderState.PENDING)
    return None


def ending_transaction(order: Json) -> str:
    """Id of the transaction that filled or cancelled an order."""
    key = "fillingTransactionID" if order["state"] == "FILLED" else "cancellingTransactionID"
    return str(order[key])

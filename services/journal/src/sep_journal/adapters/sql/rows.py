"""Rows of the tables to values, and back."""

import json
from decimal import Decimal
from typing import Any

from sqlalchemy import Result

from sep_journal.adapters.sql.tables import PARTS
from sep_journal.domain.accounts import Snapshot
from sep_journal.domain.booking import Booking, Execution, ExecutionKind
from sep_journal.domain.decisions import Decision, StoredDecision
from sep_journal.domain.exact import amount_text
from sep_journal.domain.ledger import Order
from sep_journal.domain.trades import CostParts, OrderLink, Trade

Row = dict[str, Any]
_AMOUNTS = ("pl", "financing", "commission", "fee", "half_spread", "conversion", "other")


def dicts(result: Result[Any]) -> list[Row]:
    """The rows of a result by column."""
    return [dict(row) for row in result.mappings()]


def price_text(price: Decimal | None) -> str:
    """A price or a number of units as the broker wrote it; empty without one."""
    return "" if price is None else format(price, "f")


def optional(text: str) -> Decimal | None:
    """A decimal, None for an empty text."""
    return Decimal(text) if text else None


def transaction_row(booking: Booking) -> Row:
    """The row of a booked transaction."""
    entry = booking.transaction
    return {
        "id": entry.id,
        "ts_ms": entry.ts_ms,
        "type": entry.type,
        "reason": entry.reason,
        "order_id": entry.order_id,
        "client_order_id": entry.client_order_id,
        "client_tag": entry.client_tag,
        "instrument": entry.instrument,
        "units": price_text(entry.units),
        "price": price_text(entry.price),
        "account_balance": price_text(entry.account_balance),
        "balance_change": amount_text(booking.change),
        "transfer": amount_text(booking.transfer),
        "fault": entry.fault,
    }


def order_row(order: Order) -> Row:
    """The row of a created order."""
    return {
        "id": order.id,
        "type": order.type,
        "client_order_id": order.client_order_id,
        "client_tag": order.client_tag,
        "instrument": order.instrument,
        "trigger_price": price_text(order.trigger_price),
    }


def order_of(row: Row) -> Order:
    """The order of a row."""
    return Order(**{**row, "trigger_price": optional(row["trigger_price"])})


def execution_row(execution: Execution) -> Row:
    """The row of an execution."""
    return {
        "trade_id": execution.trade_id,
        "transaction_id": execution.transaction_id,
        "seq": execution.seq,
        "kind": execution.kind.value,
        "ts_ms": execution.ts_ms,
        "instrument": execution.instrument,
        "reason": execution.reason,
        "client_order_id": execution.client_order_id,
        "own": execution.own,
        "units": price_text(execution.units),
        "price": price_text(execution.price),
        "rate": price_text(execution.rate),
        "trigger": price_text(execution.trigger),
        **{name: amount_text(getattr(execution, name)) for name in _AMOUNTS},
    }


def execution_of(row: Row) -> Execution:
    """The execution of a row."""
    values = dict(row)
    values["kind"] = ExecutionKind(values["kind"])
    values["units"] = Decimal(values["units"])
    for name in ("price", "rate", "trigger"):
        values[name] = optional(values[name])
    for name in _AMOUNTS:
        values[name] = Decimal(values[name])
    return Execution(**values)


def trade_row(trade: Trade) -> Row:
    """The row of a trade."""
    return {
        "id": trade.id,
        "instrument": trade.instrument,
        "units": price_text(trade.units),
        "open_units": amount_text(trade.open_units),
        "open_ms": trade.open_ms,
        "close_ms": trade.close_ms,
        "open_price": price_text(trade.open_price),
        "close_price": price_text(trade.close_price),
        "net_pl": amount_text(trade.net_pl),
        **{name: amount_text(getattr(trade.parts, name)) for name in PARTS},
        "decision_ids": json.dumps(trade.decision_ids) if trade.decision_ids else "",
        "exit": trade.exit,
        "own": trade.own,
    }


def parts_of(row: Row) -> CostParts:
    """The parts of a trade's row."""
    return CostParts(**{name: Decimal(row[name]) for name in PARTS})


def trade_of_row(row: Row) -> Trade:
    """The trade of a row."""
    return Trade(
        id=row["id"],
        instrument=row["instrument"],
        units=Decimal(row["units"]),
        open_units=Decimal(row["open_units"]),
        open_ms=row["open_ms"],
        close_ms=row["close_ms"],
        open_price=optional(row["open_price"]),
        close_price=optional(row["close_price"]),
        net_pl=Decimal(row["net_pl"]),
        parts=parts_of(row),
        decision_ids=tuple(json.loads(row["decision_ids"])) if row["decision_ids"] else (),
        exit=row["exit"],
        own=bool(row["own"]),
    )


def link_row(link: OrderLink) -> Row:
    """The row of an order's link to its decision."""
    return {
        "client_order_id": link.client_order_id,
        "decision_id": link.decision_id,
        "ts_ms": link.ts_ms,
        "trade_id": link.trade_id,
        "quote_mid": price_text(link.quote_mid),
        "signal_mid": price_text(link.signal_mid),
    }


def link_of(row: Row) -> OrderLink:
    """The link of a row."""
    values = dict(row)
    for name in ("quote_mid", "signal_mid"):
        values[name] = optional(values[name])
    return OrderLink(**values)


def decision_row(decision: Decision, seq: int) -> Row:
    """The row of a decision that repeats nothing."""
    return {
        "seq": seq,
        "id": decision.id,
        "ts_ms": decision.ts_ms,
        "event": decision.event,
        "kind": decision.kind,
        "instrument": decision.instrument,
        "reasons": json.dumps(decision.reasons),
        "count": 1,
        "last_ts_ms": decision.ts_ms,
        "last_id": decision.id,
        "quote_mid": price_text(decision.quote_mid),
        "signal_mid": price_text(decision.signal_mid),
        "record": decision.record,
    }


def stored_decision_of(row: Row) -> StoredDecision:
    """The decision of a row; a column that was not read stays empty."""
    names = StoredDecision.__dataclass_fields__
    values = {name: row[name] for name in names if name in row}
    return StoredDecision(**{**values, "reasons": tuple(json.loads(row["reasons"]))})


def snapshot_row(snapshot: Snapshot) -> Row:
    """The row of a snapshot."""
    return {
        "ts_ms": snapshot.ts_ms,
        "balance": price_text(snapshot.balance),
        "nav": price_text(snapshot.nav),
        "margin_used": price_text(snapshot.margin_used),
        "position_value": price_text(snapshot.position_value),
        "last_transaction_id": snapshot.last_transaction_id,
    }


def snapshot_of(row: Row) -> Snapshot:
    """The snapshot of a row."""
    return Snapshot(
        ts_ms=row["ts_ms"],
        balance=Decimal(row["balance"]),
        nav=Decimal(row["nav"]),
        margin_used=Decimal(row["margin_used"]),
        position_value=optional(row["position_value"]),
        last_transaction_id=row["last_transaction_id"],
    )

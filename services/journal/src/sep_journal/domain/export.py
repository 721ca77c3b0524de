"""Columns of exported files, and the cells of one entry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

from sep_journal.domain.exact import amount_text
from sep_journal.domain.trades import CostParts, Trade

Cell: TypeAlias = str | int | Decimal | None
"""Text, a count, an amount or price, or nothing."""
_PARTS = tuple(CostParts.__dataclass_fields__)


class ExportKind(StrEnum):
    """What a file lists."""

    TRADES = "trades"
    TRANSACTIONS = "transactions"
    DECISIONS = "decisions"


class ExportFormat(StrEnum):
    """The form of a file."""

    CSV = "csv"
    XLSX = "xlsx"


CONTENT_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The columns of a file, and how an entry fills them."""

    name: str
    columns: Sequence[str]
    cells: Callable[[Any], Sequence[Cell]]


def time_text(ts_ms: int | None) -> str:
    """RFC 3339 in UTC, with milliseconds; empty without a time."""
    if ts_ms is None:
        return ""
    at = datetime.fromtimestamp(ts_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ts_ms % 1000:03d}Z"


def _trade_cells(trade: Trade) -> Sequence[Cell]:
    return (
        trade.id,
        trade.instrument,
        trade.units,
        trade.open_units,
        time_text(trade.open_ms),
        time_text(trade.close_ms),
        trade.open_price,
        trade.close_price,
        trade.net_pl,
        *(getattr(trade.parts, part) for part in _PARTS),
        trade.exit,
        int(trade.own),
        " ".join(trade.decision_ids),
    )


def _decimal(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _transaction_cells(entry: Any) -> Sequence[Cell]:
    return (
        entry.id,
        time_text(entry.ts_ms),
        entry.type,
        entry.reason,
        entry.order_id,
        entry.client_order_id,
        entry.instrument,
        _decimal(entry.units),
        _decimal(entry.price),
        _decimal(entry.account_balance),
        _decimal(entry.balance_change),
        _decimal(entry.transfer),
        entry.fault,
    )


def _decision_cells(entry: Any) -> Sequence[Cell]:
    return (
        entry.id,
        time_text(entry.ts_ms),
        entry.event,
        entry.kind,
        entry.instrument,
        " ".join(entry.reasons),
        entry.count,
        time_text(entry.last_ts_ms),
        entry.last_id,
    )


SHEETS: Mapping[ExportKind, Sheet] = {
    ExportKind.TRADES: Sheet(
        name="trades",
        columns=(
            "id",
            "instrument",
            "units",
            "open_units",
            "open_time",
            "close_time",
            "open_price",
            "close_price",
            "net_pl",
            *_PARTS,
            "exit",
            "own",
            "decision_ids",
        ),
        cells=_trade_cells,
    ),
    ExportKind.TRANSACTIONS: Sheet(
        name="transactions",
        columns=(
            "id",
            "time",
            "type",
            "reason",
            "order_id",
            "client_order_id",
            "instrument",
            "units",
            "price",
            "account_balance",
            "balance_change",
            "transfer",
            "fault",
        ),
        cells=_transaction_cells,
    ),
    ExportKind.DECISIONS: Sheet(
        name="decisions",
        columns=(
            "id",
            "time",
            "event",
            "kind",
            "instrument",
            "reasons",
            "count",
            "last_time",
            "last_id",
        ),
        cells=_decision_cells,
    ),
}


def safe_text(text: str) -> str:
    """A text that no spreadsheet takes for a formula: client ids are chosen by other programs."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def cell_text(cell: Cell) -> str:
    """A cell of a text file; amounts and prices keep every digit."""
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return amount_text(cell)
    return safe_text(cell) if isinstance(cell, str) else str(cell)

"""Writes the ledger, decisions and snapshots; one transaction each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, delete, or_, select

from sep_journal.adapters.sql import rows
from sep_journal.adapters.sql.batches import chunks, insert_new, insert_rows
from sep_journal.adapters.sql.day_sums import (
    add_market_times,
    remake_ledger_days,
    remake_snapshot_days,
    remake_trade_days,
)
from sep_journal.adapters.sql.engine import reading, writing
from sep_journal.adapters.sql.progress import read_progress, write_progress
from sep_journal.adapters.sql.tables import (
    EXECUTIONS,
    LEDGER_DAYS,
    MARKET_TIMES,
    ORDER_LINKS,
    ORDERS,
    PROGRESS,
    SNAPSHOTS,
    TRADE_DAYS,
    TRADES,
    TRANSACTIONS,
)
from sep_journal.domain.accounts import Snapshot
from sep_journal.domain.booking import Balance, Execution, book
from sep_journal.domain.exact import amount_text
from sep_journal.domain.ledger import Order, Transaction
from sep_journal.domain.trades import OrderLink, by_trade, trade_of

Chunk = list[Any]
Closing = tuple[int, int, int, str]
"""What the sums of days are made from: id, opening, closing and result of a closed trade."""
_OF_LEDGER = (
    MARKET_TIMES,
    TRADE_DAYS,
    LEDGER_DAYS,
    TRADES,
    EXECUTIONS,
    ORDERS,
    TRANSACTIONS,
)


class LedgerWriter:
    """Takes in transactions, each once and in order, and makes the trades that they change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def last_id(self) -> int:
        """Id of the newest transaction that was taken in; 0 before the first."""
        with reading(self._engine) as connection:
            return int(read_progress(connection, "ledger") or 0)

    def append(self, transactions: Sequence[Transaction]) -> int:
        """Take in the next transactions; returns how many.

        What was taken in before is skipped. It stops before a gap.
        """
        with writing(self._engine) as connection:
            last = int(read_progress(connection, "ledger", lock=True) or 0)
            fresh = _contiguous(transactions, last)
            if fresh:
                self._book(connection, fresh)
                write_progress(connection, "ledger", str(fresh[-1].id))
            return len(fresh)

    def _book(self, connection: Connection, transactions: Sequence[Transaction]) -> None:
        orders = _orders_before(connection, transactions)
        orders |= {t.id: Order.of(t) for t in transactions if t.creates_order}
        created = [rows.order_row(orders[t.id]) for t in transactions if t.creates_order]
        amount = read_progress(connection, "balance") or "0"
        certain = (read_progress(connection, "balance_certain") or "1") == "1"
        balance = Balance(amount=rows.optional(amount) or Balance().amount, certain=certain)
        booked: list[dict[str, Any]] = []
        executions: list[Execution] = []
        for transaction in transactions:
            booking = book(transaction, orders, balance)
            balance = booking.balance
            booked.append(rows.transaction_row(booking))
            executions.extend(booking.executions)
        insert_rows(connection, TRANSACTIONS, booked)
        insert_rows(connection, ORDERS, created)
        remake_trades(connection, {e.trade_id for e in executions}, executions)
        insert_rows(connection, EXECUTIONS, [rows.execution_row(e) for e in executions])
        remake_ledger_days(connection, {t.ts_ms for t in transactions})
        write_progress(connection, "balance", amount_text(balance.amount))
        write_progress(connection, "balance_certain", "1" if balance.certain else "0")

    def append_snapshot(self, snapshot: Snapshot) -> None:
        """Take in a snapshot; a second one of the same ms is dropped."""
        with writing(self._engine) as connection:
            insert_new(connection, SNAPSHOTS, [rows.snapshot_row(snapshot)])
            remake_snapshot_days(connection, [snapshot.ts_ms])

    def clear_ledger(self) -> None:
        """Remove the ledger and all that is made from it; decisions and snapshots stay."""
        with writing(self._engine) as connection:
            for table in _OF_LEDGER:
                connection.execute(delete(table))
            names = ("ledger", "balance", "balance_certain")
            connection.execute(delete(PROGRESS).where(PROGRESS.c.name.in_(names)))


def _contiguous(transactions: Sequence[Transaction], last: int) -> list[Transaction]:
    found: list[Transaction] = []
    for transaction in transactions:
        if transaction.id == last + 1:
            found.append(transaction)
            last = transaction.id
        elif transaction.id > last:
            break
    return found


def _orders_before(connection: Connection, transactions: Sequence[Transaction]) -> dict[int, Order]:
    """The orders that the transactions name and that were created before them."""
    first = transactions[0].id
    named = {int(t.order_id) for t in transactions if t.order_id.isdigit()}
    wanted = sorted(order for order in named if order < first)
    return {
        row["id"]: rows.order_of(row)
        for part in chunks(wanted)
        for row in rows.dicts(connection.execute(select(ORDERS).where(ORDERS.c.id.in_(part))))
    }


def remake_trades(
    connection: Connection, trade_ids: Iterable[int], added: Iterable[Execution] = ()
) -> None:
    """Make trades anew from all of their executions and the orders behind them.

    Args:
        added: executions of these trades that the table has not yet.
    """
    news = dict(by_trade(added))
    for part in chunks(sorted(trade_ids)):
        found = connection.execute(select(EXECUTIONS).where(EXECUTIONS.c.trade_id.in_(part)))
        stored = [rows.execution_of(row) for row in rows.dicts(found)]
        executions = [*stored, *(e for trade_id in part for e in news.get(trade_id, ()))]
        links = links_by_key(connection, executions, part)
        made = [
            rows.trade_row(trade_of(own, links_of_trade(trade_id, own, links)))
            for trade_id, own in by_trade(executions)
        ]
        # Only a trade with stored executions can have a row: most of a rebuild's have none.
        known = sorted({e.trade_id for e in stored})
        before = _closed(connection, known)
        connection.execute(delete(TRADES).where(TRADES.c.id.in_(known)))
        insert_rows(connection, TRADES, made)
        after = {
            (row["id"], row["open_ms"], row["close_ms"], row["net_pl"])
            for row in made
            if row["close_ms"]
        }
        changed = before ^ after
        remake_trade_days(connection, {closed for _, _, closed, _ in changed})
        add_market_times(connection, [(opened, closed) for _, opened, closed, _ in changed])


def _closed(connection: Connection, trade_ids: Chunk) -> set[Closing]:
    columns = TRADES.c
    query = select(columns.id, columns.open_ms, columns.close_ms, columns.net_pl)
    found = connection.execute(query.where(columns.id.in_(trade_ids), columns.close_ms > 0))
    return {tuple(row) for row in found}


def links_of_trade(
    trade_id: int, executions: Sequence[Execution], links: Mapping[object, list[OrderLink]]
) -> list[OrderLink]:
    """The orders that may have opened or closed a trade."""
    found = list(links.get(trade_id, ()))
    for client_order_id in dict.fromkeys(e.client_order_id for e in executions):
        found += links.get(client_order_id, ())
    return found


def links_by_key(
    connection: Connection, executions: Sequence[Execution], trade_ids: Chunk
) -> dict[object, list[OrderLink]]:
    """Orders by their client id, and by the trade that they close."""
    found: dict[object, list[OrderLink]] = {}
    columns = ORDER_LINKS.c
    client_ids = sorted({e.client_order_id for e in executions if e.client_order_id})
    for part in chunks(client_ids):
        query = select(ORDER_LINKS).where(columns.client_order_id.in_(part))
        for row in rows.dicts(connection.execute(query)):
            found.setdefault(row["client_order_id"], []).append(rows.link_of(row))
    query = select(ORDER_LINKS).where(columns.trade_id.in_(trade_ids))
    for row in rows.dicts(connection.execute(query.order_by(columns.client_order_id))):
        found.setdefault(row["trade_id"], []).append(rows.link_of(row))
    return found


def trades_behind(connection: Connection, links: Sequence[OrderLink]) -> set[int]:
    """Trades that orders opened or closed."""
    client_ids = [link.client_order_id for link in links]
    trade_ids = [link.trade_id for link in links if link.trade_id]
    columns = EXECUTIONS.c
    query = select(columns.trade_id).where(
        or_(columns.client_order_id.in_(client_ids), columns.trade_id.in_(trade_ids))
    )
    return {row[0] for row in connection.execute(query)}

"""Reads what became of a decision's orders."""

from sqlalchemy import Engine, or_, select

from sep_journal.adapters.sql import rows
from sep_journal.adapters.sql.engine import reading
from sep_journal.adapters.sql.tables import EXECUTIONS, ORDER_LINKS, TRADES, TRANSACTIONS
from sep_journal.adapters.sql.writer import links_by_key, links_of_trade, trades_behind
from sep_journal.domain.decision_path import OrderTraces
from sep_journal.domain.trades import by_trade, link_of


def read_traces(engine: Engine, decision_id: str) -> OrderTraces:
    """The orders of a decision, their transactions, and the trades that they opened or closed."""
    columns = TRANSACTIONS.c
    with reading(engine) as connection:
        query = select(ORDER_LINKS).where(ORDER_LINKS.c.decision_id == decision_id)
        query = query.order_by(ORDER_LINKS.c.ts_ms, ORDER_LINKS.c.client_order_id)
        links = [rows.link_of(row) for row in rows.dicts(connection.execute(query))]
        if not links:
            return OrderTraces()
        trade_ids = sorted(trades_behind(connection, links))
        rows_of = connection.execute(select(EXECUTIONS).where(EXECUTIONS.c.trade_id.in_(trade_ids)))
        executions = [rows.execution_of(row) for row in rows.dicts(rows_of)]
        keyed = links_by_key(connection, executions, trade_ids)
        trades, fills = set(), set()
        for trade_id, own in by_trade(executions):
            candidates = links_of_trade(trade_id, own, keyed)
            for execution in own:
                link = link_of(execution, candidates)
                if link is not None and link.decision_id == decision_id:
                    trades.add(trade_id)
                    fills.add(execution.transaction_id)
        named = [link.client_order_id for link in links]
        query = select(columns.id, columns.ts_ms).where(
            or_(columns.client_order_id.in_(named), columns.id.in_(fills))
        )
        transactions = connection.execute(query.order_by(columns.id)).all()
        query = select(TRADES.c.id, TRADES.c.open_ms).where(TRADES.c.id.in_(trades))
        opened = connection.execute(query.order_by(TRADES.c.id)).all()
    return OrderTraces(
        orders=[(link.client_order_id, link.ts_ms) for link in links],
        transactions=[(number, at) for number, at in transactions],
        trades=[(number, at) for number, at in opened],
    )

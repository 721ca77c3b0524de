"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_AMOUNTS = (
    "net_pl",
    "signal",
    "half_spread",
    "delay",
    "slippage",
    "financing",
    "conversion",
    "commission",
    "other",
)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _amount(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="0")


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [_text(name) for name in names]


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "progress",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "transactions",
        _key("id"),
        _count("ts_ms"),
        *_texts("type", "reason", "order_id", "client_order_id", "client_tag", "instrument"),
        *_texts("units", "price", "account_balance"),
        _amount("balance_change"),
        _amount("transfer"),
        _text("fault"),
    )
    op.create_index("transactions_time", "transactions", ["ts_ms", "id"])
    op.create_index("transactions_instrument", "transactions", ["instrument", "ts_ms", "id"])
    op.create_index("transactions_type", "transactions", ["type", "ts_ms", "id"])
    op.create_table(
        "orders",
        _key("id"),
        *_texts("type", "client_order_id", "client_tag", "instrument", "trigger_price"),
    )
    _executions_and_trades()
    _decisions()
    op.create_table(
        "snapshots",
        _key("ts_ms"),
        *(_amount(name) for name in ("balance", "nav", "margin_used")),
        _text("position_value"),
        _count("last_transaction_id"),
    )


def _executions_and_trades() -> None:
    op.create_table(
        "executions",
        _key("trade_id"),
        _key("transaction_id"),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        _text("kind"),
        _count("ts_ms"),
        *_texts("instrument", "reason", "client_order_id"),
        sa.Column("own", sa.Boolean, nullable=False),
        _amount("units"),
        *_texts("price", "rate", "trigger"),
        *(_amount(name) for name in ("pl", "financing", "commission", "fee", "half_spread")),
        *(_amount(name) for name in ("conversion", "other")),
    )
    op.create_index("executions_client_order", "executions", ["client_order_id"])
    op.create_table(
        "trades",
        _key("id"),
        _text("instrument"),
        _amount("units"),
        _amount("open_units"),
        _count("open_ms"),
        sa.Column("close_ms", sa.BigInteger),
        *_texts("open_price", "close_price"),
        *(_amount(name) for name in _AMOUNTS),
        *_texts("decision_ids", "exit"),
        sa.Column("own", sa.Boolean, nullable=False),
    )
    op.create_index("trades_time", "trades", ["open_ms", "id"])
    op.create_index("trades_instrument", "trades", ["instrument", "open_ms", "id"])
    op.create_index("trades_closed", "trades", ["close_ms"])


def _decisions() -> None:
    op.create_table(
        "order_links",
        sa.Column("client_order_id", sa.Text, primary_key=True),
        _text("decision_id"),
        _count("ts_ms"),
        _count("trade_id"),
        *_texts("quote_mid", "signal_mid"),
    )
    op.create_index("order_links_trade", "order_links", ["trade_id"])
    op.create_table(
        "decisions",
        _key("seq"),
        _text("id"),
        _count("ts_ms"),
        *_texts("event", "kind", "instrument", "reasons"),
        _count("count"),
        _count("last_ts_ms"),
        *_texts("last_id", "quote_mid", "signal_mid", "record"),
    )
    op.create_index("decisions_id", "decisions", ["id"])
    op.create_index("decisions_last_id", "decisions", ["last_id"])
    op.create_index("decisions_time", "decisions", ["ts_ms", "seq"])
    op.create_index("decisions_instrument", "decisions", ["instrument", "seq"])


def downgrade() -> None:
    """Not supported: a backup from before the upgrade is what an older version reads."""
    raise NotImplementedError("restore a backup from before the upgrade")

"""The journal's tables.

Amounts, prices and units are decimal text, so that no database rounds them. Times are ms.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text

METADATA = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _amount(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="0")


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


PARTS = (
    "signal",
    "half_spread",
    "delay",
    "slippage",
    "financing",
    "conversion",
    "commission",
    "other",
)

PROGRESS = Table(
    "progress",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What was taken in: ``ledger`` (transaction id), ``balance``, ``decisions`` and ``kill_switch``
(stream ids), ``gates`` and ``weights`` (as last seen), ``event`` (id of the newest)."""

TRANSACTIONS = Table(
    "transactions",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _count("ts_ms"),
    _text("type"),
    _text("reason"),
    _text("order_id"),
    _text("client_order_id"),
    _text("client_tag"),
    _text("instrument"),
    _text("units"),
    _text("price"),
    _text("account_balance"),
    _amount("balance_change"),
    _amount("transfer"),
    _text("fault"),
    Index("transactions_time", "ts_ms", "id"),
    Index("transactions_instrument", "instrument", "ts_ms", "id"),
    Index("transactions_type", "type", "ts_ms", "id"),
    Index("transactions_client_order", "client_order_id"),
)

ORDERS = Table(
    "orders",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _text("type"),
    _text("client_order_id"),
    _text("client_tag"),
    _text("instrument"),
    _text("trigger_price"),
)

EXECUTIONS = Table(
    "executions",
    METADATA,
    Column("trade_id", BigInteger, primary_key=True, autoincrement=False),
    Column("transaction_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _text("kind"),
    _count("ts_ms"),
    _text("instrument"),
    _text("reason"),
    _text("client_order_id"),
    Column("own", Boolean, nullable=False),
    _amount("units"),
    _text("price"),
    _text("rate"),
    _text("trigger"),
    _amount("pl"),
    _amount("financing"),
    _amount("commission"),
    _amount("fee"),
    _amount("half_spread"),
    _amount("conversion"),
    _amount("other"),
    Index("executions_client_order", "client_order_id"),
)

TRADES = Table(
    "trades",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _text("instrument"),
    _amount("units"),
    _amount("open_units"),
    _count("open_ms"),
    Column("close_ms", BigInteger),
    _text("open_price"),
    _text("close_price"),
    _amount("net_pl"),
    *(_amount(part) for part in PARTS),
    _text("decision_ids"),
    _text("exit"),
    Column("own", Boolean, nullable=False),
    Index("trades_time", "open_ms", "id"),
    Index("trades_instrument", "instrument", "open_ms", "id"),
    Index("trades_closed", "close_ms"),
)

ORDER_LINKS = Table(
    "order_links",
    METADATA,
    Column("client_order_id", Text, primary_key=True),
    _text("decision_id"),
    _count("ts_ms"),
    _count("trade_id"),
    _text("quote_mid"),
    _text("signal_mid"),
    Index("order_links_trade", "trade_id"),
    Index("order_links_decision", "decision_id"),
)

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _text("id"),
    _count("ts_ms"),
    _text("event"),
    _text("kind"),
    _text("instrument"),
    _text("reasons"),
    _count("count"),
    _count("last_ts_ms"),
    _text("last_id"),
    _text("quote_mid"),
    _text("signal_mid"),
    _text("record"),
    Index("decisions_id", "id"),
    Index("decisions_last_id", "last_id"),
    Index("decisions_time", "ts_ms", "seq"),
    Index("decisions_instrument", "instrument", "seq"),
)

SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("ts_ms", BigInteger, primary_key=True, autoincrement=False),
    _amount("balance"),
    _amount("nav"),
    _amount("margin_used"),
    _text("position_value"),
    _count("last_transaction_id"),
)

LEDGER_DAYS = Table(
    "ledger_days",
    METADATA,
    Column("end_ms", BigInteger, primary_key=True, autoincrement=False),
    _text("balance"),
    _amount("transfers"),
)

TRADE_DAYS = Table(
    "trade_days",
    METADATA,
    Column("end_ms", BigInteger, primary_key=True, autoincrement=False),
    _count("trades"),
    _count("winners"),
    _amount("won"),
    _amount("lost"),
)
"""Results of closed trades by the day of their closing."""

SNAPSHOT_DAYS = Table(
    "snapshot_days",
    METADATA,
    Column("end_ms", BigInteger, primary_key=True, autoincrement=False),
    _amount("nav"),
    _count("exposures"),
    _amount("exposure_sum"),
)

MARKET_TIMES = Table(
    "market_times",
    METADATA,
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    _count("end_ms"),
)
"""When any trade was open that is closed now; the times are apart from each other."""

EVENTS = Table(
    "events",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _count("ts_ms"),
    _text("kind"),
    _text("instrument"),
    _text("reasons"),
    _text("data"),
)
NOTIFICATIONS = Table(
    "notifications",
    METADATA,
    Column("key", Text, primary_key=True),
    _count("ts_ms"),
    _text("kind"),
    _text("level"),
    _text("title"),
    _text("body"),
    _text("summary_key"),
    Index("notifications_digest", "level", "summary_key", "ts_ms"),
)
"""The outbox. ``summary_key`` is the daily summary that has a digest's line; empty before."""

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("destination", Text, primary_key=True),
    _count("ts_ms"),
    _count("due_ms"),
    _count("attempts"),
    Column("delivered_ms", BigInteger),
    _text("error"),
    Index("deliveries_due", "delivered_ms", "due_ms"),
)
"""One row for each message and destination; a destination is the digest of its URL."""

DIVERGENCE_DAYS = Table(
    "divergence_days",
    METADATA,
    Column("end_ms", BigInteger, primary_key=True, autoincrement=False),
    _amount("live_net"),
    _amount("replay_net"),
    _count("live_trades"),
    _count("replay_trades"),
)

DIVERGENCES = Table(
    "divergences",
    METADATA,
    Column("end_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _text("cause"),
    _amount("cash"),
    _text("instrument"),
    _count("ts_ms"),
    _text("what"),
    _text("trade_id"),
    _text("replay_trade_id"),
)

"""Sums of each trading day, and the times in the market."""

import sqlalchemy as sa
from alembic import op

from sep_journal.adapters.sql.day_sums import make_all

revision = "0006_day_sums"
down_revision = "0005_divergence"


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _text(name: str, default: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Create the tables, and make the days that are past."""
    op.create_table("ledger_days", _key("end_ms"), _text("balance", ""), _text("transfers", "0"))
    op.create_table(
        "trade_days",
        _key("end_ms"),
        _count("trades"),
        _count("winners"),
        _text("won", "0"),
        _text("lost", "0"),
    )
    op.create_table(
        "snapshot_days",
        _key("end_ms"),
        _text("nav", "0"),
        _count("exposures"),
        _text("exposure_sum", "0"),
    )
    op.create_table("market_times", _key("start_ms"), _count("end_ms"))
    make_all(op.get_bind())


def downgrade() -> None:
    """Not supported: a backup from before the upgrade is what an older version reads."""
    raise NotImplementedError("restore a backup from before the upgrade")

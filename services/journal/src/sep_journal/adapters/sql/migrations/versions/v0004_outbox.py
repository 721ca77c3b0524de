"""The outbox of notifications."""

import sqlalchemy as sa
from alembic import op

revision = "0004_outbox"
down_revision = "0003_events"


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False, server_default="") for name in names]


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    """Create its tables."""
    op.create_table(
        "notifications",
        sa.Column("key", sa.Text, primary_key=True),
        *_counts("ts_ms"),
        *_texts("kind", "level", "title", "body", "summary_key"),
    )
    op.create_index("notifications_digest", "notifications", ["level", "summary_key", "ts_ms"])
    op.create_table(
        "deliveries",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("destination", sa.Text, primary_key=True),
        *_counts("ts_ms", "due_ms", "attempts"),
        sa.Column("delivered_ms", sa.BigInteger),
        *_texts("error"),
    )
    op.create_index("deliveries_due", "deliveries", ["delivered_ms", "due_ms"])


def downgrade() -> None:
    """Not supported: a backup from before the upgrade is what an older version reads."""
    raise NotImplementedError("restore a backup from before the upgrade")

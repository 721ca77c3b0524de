"""The events."""

import sqlalchemy as sa
from alembic import op

revision = "0003_events"
down_revision = "0002_decision_paths"

_TEXTS = ("kind", "instrument", "reasons", "data")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("ts_ms", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False, server_default="") for name in _TEXTS),
    )

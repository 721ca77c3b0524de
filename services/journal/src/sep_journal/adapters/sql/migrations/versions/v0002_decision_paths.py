"""Indexes that follow a decision to its transactions."""

from alembic import op

revision = "0002_decision_paths"
down_revision = "0001"


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("transactions_client_order", "transactions", ["client_order_id"])
    op.create_index("order_links_decision", "order_links", ["decision_id"])

"""Days that were compared with their replay, and their differences."""

import sqlalchemy as sa
from alembic import op

revision = "0005_divergence"
down_revision = "0004_outbox"


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False, server_default="") for name in names]


def _amounts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False, server_default="0") for name in names]


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _keys(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(n, sa.BigInteger, primary_key=True, autoincrement=False) for n in names]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "divergence_days",
        *_keys("end_ms"),
        *_amounts("live_net", "replay_net"),
        *_counts("live_trades", "replay_trades"),
    )
    op.create_table(
        "divergences",
        *_keys("end_ms", "seq"),
        *_texts("cause"),
        *_amounts("cash"),
        *_texts("instrument"),
        *_counts("ts_ms"),
        *_texts("what", "trade_id", "replay_trade_id"),
    )


def downgrade() -> None:
    """Not supported: a backup from before the upgrade is what an older version reads."""
    raise NotImplementedError("restore a backup from before the upgrade")

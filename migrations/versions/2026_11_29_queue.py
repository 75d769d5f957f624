"""What a row of the outbox is to a work queue: whether it goes before others, and when the queue took it over.

Revision: 0013, after 0011.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INDEX = "ix_index_outbox_unpublished"


def upgrade() -> None:
    """Forward."""
    op.add_column("index_outbox", sa.Column("priority", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("index_outbox", sa.Column("published_at", sa.BigInteger(), nullable=True))
    unpublished = sa.text("published_at IS NULL")
    columns = ["priority", "message_serial"]
    op.create_index(INDEX, "index_outbox", columns, sqlite_where=unpublished, postgresql_where=unpublished)


def downgrade() -> None:
    """Back."""
    op.drop_index(INDEX, table_name="index_outbox")
    op.drop_column("index_outbox", "published_at")
    op.drop_column("index_outbox", "priority")

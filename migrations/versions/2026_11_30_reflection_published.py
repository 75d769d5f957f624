"""What a row of the reflection queue is to a work queue: whether it goes before others, and when it was taken over.

Revision: 0017, after 0015.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None

INDEX = "ix_reflection_queue_unpublished"


def upgrade() -> None:
    """Forward."""
    op.add_column("reflection_queue", sa.Column("priority", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("reflection_queue", sa.Column("published_at", sa.BigInteger(), nullable=True))
    live = sa.text("published_at IS NULL AND priority = 0")
    op.create_index(INDEX, "reflection_queue", ["message_serial"], sqlite_where=live, postgresql_where=live)


def downgrade() -> None:
    """Back."""
    op.drop_index(INDEX, table_name="reflection_queue")
    op.drop_column("reflection_queue", "published_at")
    op.drop_column("reflection_queue", "priority")

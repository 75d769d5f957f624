"""What a message is about: the entity that it opens with.

Revision: 0004, after 0003. Messages that were there before have none until `weavebot reindex`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("mentions", sa.Column("is_subject", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Back."""
    op.drop_column("mentions", "is_subject")

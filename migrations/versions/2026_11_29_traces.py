"""What a decision's pattern did, step by step: step names, counts and milliseconds.

Revision: 0008, after 0007. Answers that were there before have none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("decisions", sa.Column("trace", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Back."""
    op.drop_column("decisions", "trace")

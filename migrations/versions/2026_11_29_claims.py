"""Which process is at a row of the outbox or the inbox, and until when; for databases that several processes share.

Revision: 0008, after 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = ("index_outbox", "inbox")


def upgrade() -> None:
    """Forward."""
    for table in TABLES:
        op.add_column(table, sa.Column("claimed_by", sa.String(length=32), nullable=True))
        op.add_column(table, sa.Column("claimed_until", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Back."""
    for table in TABLES:
        op.drop_column(table, "claimed_until")
        op.drop_column(table, "claimed_by")

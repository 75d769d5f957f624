"""Which process is at a row of the outbox or the inbox, and until when; and what shows an answer is found by a step.

Revision: 0011, after 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = ("index_outbox", "inbox")


def upgrade() -> None:
    """Forward."""
    for table in TABLES:
        op.add_column(table, sa.Column("claimed_by", sa.String(length=32), nullable=True))
        op.add_column(table, sa.Column("claimed_until", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_send_outbox_answer_serial"), "send_outbox", ["answer_serial"])


def downgrade() -> None:
    """Back."""
    op.drop_index(op.f("ix_send_outbox_answer_serial"), table_name="send_outbox")
    for table in TABLES:
        op.drop_column(table, "claimed_until")
        op.drop_column(table, "claimed_by")

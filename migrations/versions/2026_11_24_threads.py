"""Sessions of threads.

Revision: 0007, after 0006. Messages of threads that were there before stay in the sessions that they are in.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("sessions", sa.Column("thread", sa.String(length=255), nullable=True))
    op.create_index(op.f("ix_sessions_room_id_thread"), "sessions", ["room_id", "thread"])


def downgrade() -> None:
    """Back."""
    op.drop_index(op.f("ix_sessions_room_id_thread"), table_name="sessions")
    op.drop_column("sessions", "thread")

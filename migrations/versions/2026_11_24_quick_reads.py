"""What every question reads is found by one step: votes' version, newest answers, terms; and which sources were down.

Revision: 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Texts that were embedded before have no terms yet; those are taken from the text when it is loaded."""
    op.add_column("tenants", sa.Column("votes_version", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("decisions", sa.Column("down", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("embeddings", sa.Column("terms", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_answers_tenant_id_serial"), "answers", ["tenant_id", "serial"])
    op.create_index(op.f("ix_answers_room_id_serial"), "answers", ["room_id", "serial"])
    op.create_index(op.f("ix_answers_thread"), "answers", ["thread"])


def downgrade() -> None:
    """Back."""
    for name in ("ix_answers_thread", "ix_answers_room_id_serial", "ix_answers_tenant_id_serial"):
        op.drop_index(op.f(name), table_name="answers")
    op.drop_column("embeddings", "terms")
    op.drop_column("decisions", "down")
    op.drop_column("tenants", "votes_version")

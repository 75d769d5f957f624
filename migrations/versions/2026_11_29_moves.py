"""How far a move of an embedded folder into this database has come.

Revision: 0015, after 0011. Empty but in a database that was moved to.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "moves",
        sa.Column("part", sa.String(64), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("reached", sa.Text()),
        sa.Column("moved", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sum", sa.String(32)),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("part", name="pk_moves"),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("moves")

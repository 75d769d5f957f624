"""What answers chose from.

Revision: 0006, after 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "pools",
        sa.Column("answer_serial", _key(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("serials", sa.LargeBinary(), nullable=False),
        sa.Column("x", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["answer_serial"], ["answers.serial"], name=op.f("fk_pools_answer_serial_answers"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("answer_serial", name=op.f("pk_pools")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("pools")

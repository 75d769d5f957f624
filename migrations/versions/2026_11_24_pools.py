"""What answers chose from, and which policy decides.

Revision: 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
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
    op.create_table(
        "promotions",
        sa.Column("serial", _key(), nullable=False),
        sa.Column("tenant_id", _key(), nullable=False),
        sa.Column("policy", sa.String(length=32), nullable=False),
        sa.Column("incumbent", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("promoted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_promotions_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_promotions")),
    )
    with op.batch_alter_table("promotions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_promotions_tenant_id"), ["tenant_id"], unique=False)


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("promotions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_promotions_tenant_id"))
    op.drop_table("promotions")
    op.drop_table("pools")

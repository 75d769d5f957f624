"""Promoted policies, and experiments by thread.

Revision: 0009, after 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "promotions",
        sa.Column("id", _key(), nullable=False),
        sa.Column("tenant_id", _key(), nullable=False),
        sa.Column("policy", sa.String(length=32), nullable=False),
        sa.Column("before", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("answer_serial", _key(), nullable=False),
        sa.Column("room_id", _key(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_promotions_tenant_id_tenants")),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_promotions_room_id_rooms")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_promotions_tenant_id_id"), "promotions", ["tenant_id", "id"])
    op.create_table(
        "experiments",
        sa.Column("id", _key(), nullable=False),
        sa.Column("tenant_id", _key(), nullable=False),
        sa.Column("first", sa.String(length=32), nullable=False),
        sa.Column("second", sa.String(length=32), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_experiments_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_experiments_tenant_id_ended_at"), "experiments", ["tenant_id", "ended_at"])
    op.add_column("decisions", sa.Column("experiment", _key(), nullable=True))
    op.add_column("decisions", sa.Column("arm_propensity", sa.Float(), nullable=True))
    op.add_column("decisions", sa.Column("unit", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Back."""
    for column in ("unit", "arm_propensity", "experiment"):
        op.drop_column("decisions", column)
    op.drop_index(op.f("ix_experiments_tenant_id_ended_at"), table_name="experiments")
    op.drop_table("experiments")
    op.drop_index(op.f("ix_promotions_tenant_id_id"), table_name="promotions")
    op.drop_table("promotions")

"""Settings of a whole team, and teams that put us out.

Revision: 0005, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "team_settings",
        sa.Column("tenant_id", _key(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", _key(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_team_settings_tenant_id_tenants")),
        sa.ForeignKeyConstraint(["changed_by"], ["people.id"], name=op.f("fk_team_settings_changed_by_people")),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_team_settings")),
    )
    op.create_table(
        "departures",
        sa.Column("tenant_id", _key(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_departures_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_departures")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("departures")
    op.drop_table("team_settings")

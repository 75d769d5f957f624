"""What waits to be answered, how far each account has read, and whom a reply was for.

Revision: 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "notes",
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name=op.f("pk_notes")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", _key(), nullable=False),
        sa.Column("room_id", _key(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("person_id", _key(), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("begun", sa.SmallInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_inbox_room_id_rooms")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_inbox_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("room_id", "kind", "event_id", name=op.f("uq_inbox_room_id_kind_event_id")),
    )
    op.create_index(op.f("ix_inbox_person_id"), "inbox", ["person_id"])
    with op.batch_alter_table("send_outbox") as table:
        table.add_column(sa.Column("person_id", _key(), nullable=True))
        table.create_foreign_key(op.f("fk_send_outbox_person_id_people"), "people", ["person_id"], ["id"])


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("send_outbox") as table:
        table.drop_constraint(op.f("fk_send_outbox_person_id_people"), type_="foreignkey")
        table.drop_column("person_id")
    op.drop_index(op.f("ix_inbox_person_id"), table_name="inbox")
    op.drop_table("inbox")
    op.drop_table("notes")

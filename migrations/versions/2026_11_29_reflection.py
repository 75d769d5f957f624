"""Memories that are derived from messages, what waits to be derived, and by which rules each room was read.

Revision: 0012, after 0011. The table of memories was never written to; it is made anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_index(op.f("ix_messages_session_id_serial"), "messages", ["session_id", "serial"])
    replies = sa.text("reply_to IS NOT NULL")
    op.create_index(
        "ix_messages_replies",
        "messages",
        ["room_id", "reply_to"],
        sqlite_where=replies,
        postgresql_where=replies,
    )
    op.drop_index(op.f("ix_memories_room_id"), table_name="memories")
    op.drop_table("memories")
    op.create_table(
        "memories",
        sa.Column("id", _key(), nullable=False),
        sa.Column("room_id", _key(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("aspect", sa.String(length=16), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("author_id", _key(), nullable=False),
        sa.Column("about_id", _key(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("message_serial", _key(), nullable=False),
        sa.Column("session_id", _key(), nullable=True),
        sa.Column("happened_on", sa.String(length=10), nullable=True),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("verb", sa.LargeBinary(), nullable=False),
        sa.Column("object", sa.LargeBinary(), nullable=False),
        sa.Column("subject_key", sa.String(length=80), nullable=False),
        sa.Column("object_key", sa.String(length=80), nullable=False),
        _points_to("memories", "room_id", "rooms.id"),
        _points_to("memories", "author_id", "people.id"),
        _points_to("memories", "about_id", "people.id"),
        _points_to("memories", "message_serial", "messages.serial", ondelete="CASCADE"),
        _points_to("memories", "session_id", "sessions.id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memories")),
        sa.UniqueConstraint(
            "message_serial", "aspect", "number", name=op.f("uq_memories_message_serial_aspect_number")
        ),
    )
    for columns in INDEXES:
        op.create_index(op.f(f"ix_memories_{'_'.join(columns)}"), "memories", list(columns))
    op.create_table(
        "memory_sources",
        sa.Column("memory_id", _key(), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("message_serial", _key(), nullable=False),
        _points_to("memory_sources", "memory_id", "memories.id", ondelete="CASCADE"),
        _points_to("memory_sources", "message_serial", "messages.serial", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("memory_id", "place", name=op.f("pk_memory_sources")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_memory_sources_message_serial"), "memory_sources", ["message_serial"])
    op.create_table(
        "reflection_queue",
        sa.Column("message_serial", _key(), autoincrement=False, nullable=False),
        sa.Column("todo", sa.SmallInteger(), nullable=False),
        *_waiting(),
        _points_to("reflection_queue", "message_serial", "messages.serial", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_serial", name=op.f("pk_reflection_queue")),
    )
    op.create_table(
        "session_queue",
        sa.Column("session_id", _key(), autoincrement=False, nullable=False),
        *_waiting(),
        _points_to("session_queue", "session_id", "sessions.id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_queue")),
    )
    op.create_table(
        "reflections",
        sa.Column("room_id", _key(), nullable=False),
        sa.Column("bit", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        _points_to("reflections", "room_id", "rooms.id"),
        sa.PrimaryKeyConstraint("room_id", "bit", name=op.f("pk_reflections")),
        sqlite_with_rowid=False,
    )


INDEXES = (("room_id", "subject_key"), ("room_id", "object_key"), ("author_id",), ("about_id",), ("session_id",))


def downgrade() -> None:
    """Back."""
    for table in ("reflections", "session_queue", "reflection_queue", "memory_sources", "memories"):
        op.drop_table(table)
    op.create_table(
        "memories",
        sa.Column("id", _key(), nullable=False),
        sa.Column("room_id", _key(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("author_id", _key(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("message_serial", _key(), nullable=False),
        _points_to("memories", "room_id", "rooms.id"),
        _points_to("memories", "author_id", "people.id"),
        _points_to("memories", "message_serial", "messages.serial", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memories")),
        sa.UniqueConstraint("message_serial", "kind", name=op.f("uq_memories_message_serial_kind")),
    )
    op.create_index(op.f("ix_memories_room_id"), "memories", ["room_id"])
    op.drop_index("ix_messages_replies", table_name="messages")
    op.drop_index(op.f("ix_messages_session_id_serial"), table_name="messages")


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _points_to(table: str, column: str, target: str, *, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{target.partition('.')[0]}")
    return sa.ForeignKeyConstraint([column], [target], name=name, ondelete=ondelete)


def _waiting() -> list[sa.Column[object]]:
    """What both queues know of a row."""
    return [
        sa.Column("turn", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("claimed_by", sa.String(length=32), nullable=True),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
    ]

"""The memory's tables. Message text and people's names live here and nowhere else."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    and_,
    false,
    text,
)

from memory.columns import CompressedText, Instant, key_type, metadata

tenants = Table(
    "tenants",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("platform", String(32), nullable=False),
    Column("external_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("votes_version", key_type(), nullable=False, server_default="0"),  # grows with every change of its votes
    UniqueConstraint("platform", "external_id"),
)

rooms = Table(
    "rooms",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("external_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("version", key_type(), nullable=False, default=0),  # grows with every change of the room's messages
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("tenant_id", "external_id"),
)

people = Table(
    "people",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("external_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("opted_out_at", Instant),
    UniqueConstraint("tenant_id", "external_id"),
    sqlite_autoincrement=True,  # a forgotten person's key is never given to somebody else
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("last_message_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("previous_id", ForeignKey("sessions.id")),
    Column("messages", key_type(), nullable=False, default=0),
    Column("thread", String(255)),  # of the room; None: its main conversation
    Index(None, "room_id", "started_at"),
    Index(None, "room_id", "thread"),
)

messages = Table(
    "messages",
    metadata,
    Column("serial", key_type(), primary_key=True),
    Column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("external_id", String(255), nullable=False),
    Column("author_id", ForeignKey("people.id"), nullable=False),
    Column("session_id", ForeignKey("sessions.id")),
    Column("text", CompressedText, nullable=False),
    Column("content_hash", LargeBinary(16), nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("reply_to", String(255)),
    Column("provenance", String(9), nullable=False),
    Column("revision", SmallInteger, nullable=False, default=1),
    Column("version", key_type(), nullable=False),  # the room's version when this row last changed
    UniqueConstraint("room_id", "external_id"),
    Index(None, "room_id", "version"),
    Index(None, "author_id"),
    Index(None, "content_hash"),
    Index(None, "session_id", "serial"),
    sqlite_autoincrement=True,  # a serial is never used twice: indexes are keyed by it
)

Index(
    "ix_messages_replies",
    messages.c.room_id,
    messages.c.reply_to,
    sqlite_where=messages.c.reply_to.is_not(None),
    postgresql_where=messages.c.reply_to.is_not(None),
)

message_revisions = Table(
    "message_revisions",
    metadata,
    Column("message_serial", ForeignKey("messages.serial", ondelete="CASCADE"), primary_key=True),
    Column("revision", SmallInteger, primary_key=True),
    Column("edited_at", Instant, nullable=False),  # the earlier text itself is gone: an edit replaces
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("room_id", ForeignKey("rooms.id"), primary_key=True),
    Column("external_id", String(255), primary_key=True),
    Column("serial", key_type()),  # None when the deletion came before its message
    Column("version", key_type(), nullable=False),
    Column("deleted_at", Instant, nullable=False),
    Index(None, "room_id", "version"),
)

reactions = Table(
    "reactions",
    metadata,
    Column("room_id", ForeignKey("rooms.id"), primary_key=True),
    Column("event_id", String(255), primary_key=True),
    Column("target", String(255), nullable=False),  # external id of the message that was reacted to
    Column("person_id", ForeignKey("people.id"), nullable=False),
    Column("emoji", String(64), nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("removed_at", Instant),
    Index(None, "room_id", "target"),
    Index(None, "person_id"),
)

models = Table(
    "models",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),  # name, revision and dimensions
    Column("current", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("content_hash", LargeBinary(16), primary_key=True),
    Column("model_id", ForeignKey("models.id"), primary_key=True),
    Column("vectors", LargeBinary, nullable=False),  # one record a chunk: scale, then int8
    Column("token_ids", LargeBinary, nullable=False),  # uint16
    Column("codes", LargeBinary, nullable=False),  # signs of the token states, packed
    Column("terms", LargeBinary),  # for search by words: see memory.lexicon; None: embedded before they were kept
    sqlite_with_rowid=False,
)

entities = Table(
    "entities",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("key", String(255), nullable=False),  # of a person: the id in people; names stay in people
    Column("label", String(255), nullable=False),
    UniqueConstraint("room_id", "kind", "key"),
)

mentions = Table(
    "mentions",
    metadata,
    Column("message_serial", ForeignKey("messages.serial", ondelete="CASCADE"), primary_key=True),
    Column("entity_id", ForeignKey("entities.id", ondelete="CASCADE"), primary_key=True),
    Column("is_subject", Boolean, nullable=False, server_default=false()),  # the message opens with it
    Index(None, "entity_id"),
    sqlite_with_rowid=False,
)

relations = Table(
    "relations",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("subject_id", ForeignKey("people.id"), nullable=False),
    Column("predicate", String(32), nullable=False),
    Column("object_id", ForeignKey("people.id"), nullable=False),
    Column("message_serial", ForeignKey("messages.serial", ondelete="CASCADE"), nullable=False),
    Column("observed_at", Instant, nullable=False),
    UniqueConstraint("message_serial", "predicate", "object_id"),
    Index(None, "room_id"),
)

memories = Table(
    "memories",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("aspect", String(16), nullable=False),  # see memory.reflection.models
    Column("number", SmallInteger, nullable=False),  # among those of its aspect from the message
    Column("author_id", ForeignKey("people.id"), nullable=False),  # of the message
    Column("about_id", ForeignKey("people.id")),  # the person that it tells of, when that is somebody else
    Column("created_at", Instant, nullable=False),  # when the message was sent
    Column("message_serial", ForeignKey("messages.serial", ondelete="CASCADE"), nullable=False),  # what it derives from
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE")),  # of a summary
    Column("happened_on", String(10)),  # ISO day
    Column("subject", CompressedText, nullable=False),
    Column("verb", CompressedText, nullable=False),
    Column("object", CompressedText, nullable=False),
    Column("subject_key", String(80), nullable=False),  # normal forms, as those of entities
    Column("object_key", String(80), nullable=False),
    UniqueConstraint("message_serial", "aspect", "number"),
    Index(None, "room_id", "subject_key"),
    Index(None, "room_id", "object_key"),
    Index(None, "author_id"),
    Index(None, "about_id"),
    Index(None, "session_id"),
)

memory_sources = Table(
    "memory_sources",
    metadata,
    Column("memory_id", ForeignKey("memories.id", ondelete="CASCADE"), primary_key=True),
    Column("place", SmallInteger, primary_key=True),
    Column("message_serial", ForeignKey("messages.serial", ondelete="CASCADE"), nullable=False),  # beside the first one
    Index(None, "message_serial"),
    sqlite_with_rowid=False,
)

reflection_queue = Table(
    "reflection_queue",
    metadata,
    Column("message_serial", ForeignKey("messages.serial", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("todo", SmallInteger, nullable=False),  # bits of the processors that have not read it
    Column("turn", SmallInteger, nullable=False, server_default="0"),  # grows when what it derives from has changed
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("since", Instant, nullable=False),
    Column("reason", String(255)),  # of the last failure
    Column("claimed_by", String(32)),
    Column("claimed_until", Instant),
    Column("priority", SmallInteger, nullable=False, server_default="0"),  # memory.models.Priority
    Column("published_at", Instant),  # when a queue took it over; see memory.relay
)
Index(  # of what is said now alone: history is read in the order of its key
    "ix_reflection_queue_unpublished",
    reflection_queue.c.message_serial,
    sqlite_where=and_(reflection_queue.c.published_at.is_(None), reflection_queue.c.priority == text("0")),
    postgresql_where=and_(reflection_queue.c.published_at.is_(None), reflection_queue.c.priority == text("0")),
)

session_queue = Table(
    "session_queue",
    metadata,
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("turn", SmallInteger, nullable=False, server_default="0"),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("since", Instant, nullable=False),
    Column("reason", String(255)),
    Column("claimed_by", String(32)),
    Column("claimed_until", Instant),
)

reflections = Table(
    "reflections",
    metadata,
    Column("room_id", ForeignKey("rooms.id"), primary_key=True),
    Column("bit", SmallInteger, primary_key=True, autoincrement=False),  # of a processor; 0: summaries of sessions
    Column("version", SmallInteger, nullable=False),  # by which every message was read that does not wait
    sqlite_with_rowid=False,
)

index_outbox = Table(
    "index_outbox",
    metadata,
    Column("message_serial", ForeignKey("messages.serial", ondelete="CASCADE"), primary_key=True),
    Column("revision", SmallInteger, primary_key=True),
    Column("attempts", SmallInteger, nullable=False, default=0),
    Column("claimed_by", String(32)),  # the process that is at it; see memory.leases
    Column("claimed_until", Instant),
    Column("priority", SmallInteger, nullable=False, server_default="0"),  # memory.models.Priority
    Column("published_at", Instant),  # when a queue took it over; see memory.relay
    sqlite_with_rowid=False,
)
Index(
    "ix_index_outbox_unpublished",
    index_outbox.c.priority,
    index_outbox.c.message_serial,
    sqlite_where=index_outbox.c.published_at.is_(None),
    postgresql_where=index_outbox.c.published_at.is_(None),
)

pseudonym_keys = Table(
    "pseudonym_keys",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("secret", LargeBinary(64), nullable=False),  # see memory.pseudonyms
    Column("created_at", Instant, nullable=False),
)

"""What the bot itself keeps: settings of rooms, an audit, runs of jobs, what waits to be answered and to be sent."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, SmallInteger, String, Table, Text, UniqueConstraint

from memory.columns import CompressedText, Instant, key_type, metadata

settings = Table(
    "settings",
    metadata,
    Column("room_id", ForeignKey("rooms.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", String(255), nullable=False),  # empty: taken back; when that was still counts
    Column("changed_at", Instant, nullable=False),
    Column("changed_by", ForeignKey("people.id")),
)

team_settings = Table(
    "team_settings",
    metadata,
    Column("tenant_id", ForeignKey("tenants.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", String(255), nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("changed_by", ForeignKey("people.id")),
)

departures = Table(
    "departures",
    metadata,
    Column("tenant_id", ForeignKey("tenants.id"), primary_key=True),
    Column("left_at", Instant, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("room_id", ForeignKey("rooms.id")),
    Column("person_id", ForeignKey("people.id")),  # None: the operator, on the command line
    Column("action", String(32), nullable=False),
    Column("detail", JSON, nullable=False),  # ids and counts; never a text, never a name
    Column("at", Instant, nullable=False),
    Index(None, "tenant_id", "at"),
)

job_runs = Table(
    "job_runs",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("job", String(32), nullable=False),
    Column("room_id", key_type(), nullable=False),  # 0: not of a room; so that the unique key holds on every database
    Column("due_at", Instant, nullable=False),
    Column("state", String(8), nullable=False),  # running, done, failed
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    UniqueConstraint("job", "room_id", "due_at"),
)

send_outbox = Table(
    "send_outbox",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("transaction_id", String(64), nullable=False),  # derived from the event that is replied to
    Column("in_reply_to", String(255)),
    Column("person_id", ForeignKey("people.id")),  # whom it replies to; None: nobody, or somebody forgotten
    Column("answer_serial", ForeignKey("answers.serial", ondelete="CASCADE")),  # the number that people see
    Column("answer_id", String(16)),
    Column("event_id", String(255)),  # what the platform called it; None until it was taken
    Column("created_at", Instant, nullable=False),
    Column("sent_at", Instant),
    UniqueConstraint("room_id", "transaction_id"),
    Index(None, "room_id", "event_id"),
    Index(None, "answer_serial"),  # what shows an answer that is to be withdrawn
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", key_type(), primary_key=True),  # the order in which they are carried out
    Column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("event_id", String(255), nullable=False),
    Column("person_id", ForeignKey("people.id")),
    Column("payload", CompressedText, nullable=False),  # JSON
    Column("begun", SmallInteger, nullable=False, default=0),  # how often it was begun
    Column("received_at", Instant, nullable=False),
    Column("claimed_by", String(32)),  # the process that is at it; see memory.leases
    Column("claimed_until", Instant),
    UniqueConstraint("room_id", "kind", "event_id"),
    Index(None, "person_id"),
)

notes = Table(
    "notes",
    metadata,
    Column("account", String(255), primary_key=True),  # platform and account
    Column("name", String(255), primary_key=True),
    Column("value", Text, nullable=False),
    Column("noted_at", Instant, nullable=False),
)

moves = Table(
    "moves",
    metadata,
    Column("part", String(64), primary_key=True),  # a table that is moved in, or the whole
    Column("source", String(64), nullable=False),  # the name of the data folder that it comes from
    Column("reached", Text),  # JSON: the key of the last row that was moved
    Column("moved", key_type(), nullable=False),  # rows
    Column("sum", String(32)),  # of a table: its checksum when both were compared
    Column("ended_at", Instant),  # of a table: compared with its source; of the whole: asked, too
)

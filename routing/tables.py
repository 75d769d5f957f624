"""Answers, decisions, votes, learner snapshots, digests, promotions and experiments."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

from memory.columns import CompressedText, Instant, key_type, metadata

answers = Table(
    "answers",
    metadata,
    Column("serial", key_type(), primary_key=True),
    Column("id", String(16), nullable=False, unique=True),  # what people and commands call it
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("asker_id", ForeignKey("people.id")),  # None: nobody in particular, or somebody forgotten
    Column("event_id", String(255)),  # the question's event: one answer each, also after a crash
    Column("thread", String(255)),
    Column("question", CompressedText, nullable=False),
    Column("text", CompressedText, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("abstained", Boolean, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("ms", Float, nullable=False),
    UniqueConstraint("room_id", "event_id"),
    Index(None, "tenant_id", "asked_at"),
    Index(None, "tenant_id", "serial"),  # the newest answer of a team, of a room, of a thread: asked for each question
    Index(None, "room_id", "asked_at"),
    Index(None, "room_id", "serial"),
    Index(None, "thread"),
    Index(None, "asker_id"),
    sqlite_autoincrement=True,  # decay counts answers by serial: one is never used twice
)

citations = Table(
    "citations",
    metadata,
    Column("answer_serial", ForeignKey("answers.serial", ondelete="CASCADE"), primary_key=True),
    Column("rank", SmallInteger, primary_key=True),  # 1 first
    Column("message_serial", ForeignKey("messages.serial"), nullable=False),
    Column("score", Float, nullable=False),
    Column("features", JSON, nullable=False),
    Index(None, "message_serial"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("answer_serial", ForeignKey("answers.serial", ondelete="CASCADE"), primary_key=True),
    Column("route", String(32), nullable=False),
    Column("route_version", SmallInteger, nullable=False),
    Column("policy", String(32), nullable=False),
    Column("propensity", Float, nullable=False),
    Column("propensities", JSON, nullable=False),
    Column("rule_route", String(32), nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("features_version", SmallInteger, nullable=False),
    Column("features", JSON, nullable=False),  # name: value
    Column("epsilon", Float, nullable=False),
    Column("seed", key_type(), nullable=False),
    Column("explored", Boolean, nullable=False),
    Column("runner_up", String(32)),
    Column("gap", Float, nullable=False),
    Column("contributions", JSON, nullable=False),
    Column("evidence", Float, nullable=False),
    Column("posterior", String(64), nullable=False),
    Column("solicited", Boolean, nullable=False),
    Column("down", JSON, nullable=False, server_default="[]"),  # sources known to be down: the mask of the choice
    Column("trace", JSON, nullable=False, server_default="{}"),  # what the pattern did: names of steps, numbers
    Column("experiment", key_type()),  # the experiment that chose the policy, if any
    Column("arm_propensity", Float),  # how likely it was to choose this policy
    Column("unit", String(16)),  # keyed hash of what was assigned as one: a thread, or somebody's day; None: forgotten
    Index(None, "route"),
)

votes = Table(
    "votes",
    metadata,
    Column("serial", key_type(), primary_key=True),  # the order of votes: a clock may go back
    Column("answer_serial", ForeignKey("answers.serial", ondelete="CASCADE"), nullable=False),
    Column("person_id", ForeignKey("people.id"), nullable=False),
    Column("emoji", String(64), nullable=False),  # normalised
    Column("cast_at", Instant, nullable=False),
    UniqueConstraint("answer_serial", "person_id", "emoji"),  # a vote is state: taking it back removes the row
    Index(None, "person_id"),
    sqlite_autoincrement=True,
)

pools = Table(
    "pools",
    metadata,
    Column("answer_serial", ForeignKey("answers.serial", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), nullable=False),  # what the question asks
    Column("version", SmallInteger, nullable=False),  # of the columns
    Column("serials", LargeBinary, nullable=False),  # int64, of the messages
    Column("x", LargeBinary, nullable=False),  # float16, (messages, columns), compressed
)

learner_snapshots = Table(
    "learner_snapshots",
    metadata,
    Column("tenant_id", ForeignKey("tenants.id"), primary_key=True),
    Column("learner", String(32), primary_key=True),
    Column("posterior", String(64), nullable=False),
    Column("answer_serial", key_type(), nullable=False),
    Column("taken_at", Instant, nullable=False),
    Column("state", LargeBinary, nullable=False),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", key_type(), primary_key=True),  # the newest of a team says what is in force
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("policy", String(32), nullable=False),
    Column("before", String(32), nullable=False),  # what was in force until then
    Column("reason", String(16), nullable=False),  # promoted, taken back, fallen back
    Column("answer_serial", key_type(), nullable=False),  # the newest answer then
    Column("room_id", ForeignKey("rooms.id")),  # where it was asked for; of a fall, where it is told
    Column("at", Instant, nullable=False),
    Index(None, "tenant_id", "id"),
    sqlite_autoincrement=True,
)

experiments = Table(
    "experiments",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("first", String(32), nullable=False),  # a policy for half of the threads
    Column("second", String(32), nullable=False),  # and one for the other half
    Column("key", LargeBinary, nullable=False),  # of the hash that assigns them
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index(None, "tenant_id", "ended_at"),
    sqlite_autoincrement=True,
)

digests = Table(
    "digests",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("content", CompressedText, nullable=False),  # JSON of ids and numbers; texts are read when it is shown
    Column("posted_at", Instant),
    UniqueConstraint("room_id", "until"),
)

"""The records of reflection; all frozen.

A memory is a subject, a verb and an object in the words of the message, so that it reads as a sentence and nothing in
it was made up.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Protocol

from memory.models import Floats, Mention

FIRST_PERSON: Final = frozenset({"i", "we", "my", "our", "i'm", "we're", "i've", "we've"})
"""Subjects that stand for whoever wrote the message, or for the team."""


class MemoryKind(enum.StrEnum):
    """The three kinds of long-term memory (Tulving 1972; Cohen and Squire 1980)."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"


class Aspect(enum.StrEnum):
    """What a memory is about; each belongs to one kind."""

    EVENT = "event"  # who did what when
    SUMMARY = "summary"  # of an ended session
    FACT = "fact"  # a thing is, has, costs
    RELATION = "relation"  # a person and a thing or another person
    PREFERENCE = "preference"
    HOWTO = "howto"
    COMMAND = "command"
    DECISION = "decision"


KIND: Final = {
    Aspect.EVENT: MemoryKind.EPISODIC,
    Aspect.SUMMARY: MemoryKind.EPISODIC,
    Aspect.FACT: MemoryKind.SEMANTIC,
    Aspect.RELATION: MemoryKind.SEMANTIC,
    Aspect.PREFERENCE: MemoryKind.SEMANTIC,
    Aspect.HOWTO: MemoryKind.PROCEDURAL,
    Aspect.COMMAND: MemoryKind.PROCEDURAL,
    Aspect.DECISION: MemoryKind.PROCEDURAL,
}


@dataclass(frozen=True, slots=True)
class Before:
    """The message that another one answers: the one that it replies to in its session, else the one before it there."""

    serial: int
    author: int
    text: str
    replied: bool  # said by the platform; False: it only stands before


@dataclass(frozen=True, slots=True)
class Material:
    """A message as the rules read it: its text, what indexing found in it, and what it answers.

    ``mentions`` of people carry their name as the label.
    """

    serial: int
    author: int
    text: str
    sent_at: datetime
    mentions: tuple[Mention, ...] = ()
    before: Before | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """A memory before it has a row.

    ``on`` is the first day that its words name, resolved against the message's own time. ``personal`` is what tells
    something about a person; ``of`` is the key of that person's entity when it is somebody else than the author.
    ``also`` are serials of messages that it derives from beside the one that was read.
    """

    aspect: Aspect
    subject: str
    verb: str
    object: str
    on: date | None = None
    personal: bool = False
    of: str | None = None
    also: tuple[int, ...] = ()


class Processor(Protocol):
    """Derives memories of one kind from a message. Pure: the same material, the same memories in the same order."""

    @property
    def name(self) -> str:
        """One word."""

    @property
    def bit(self) -> int:
        """Its place in the state of a message: a power of two, never given to another one."""

    @property
    def version(self) -> int:
        """Grows when the rules change; then the whole history is read again."""

    @property
    def aspects(self) -> frozenset[Aspect]:
        """What it derives from a message; rows of these aspects are its own."""

    def derive(self, material: Material) -> Sequence[Derived]:
        """The memories in a message, in the order of its words; empty when there are none."""


@dataclass(frozen=True, slots=True)
class Line:
    """A message of a session as the summary reads it. ``vector`` is of unit length, or empty when there is none."""

    serial: int
    author: int
    text: str
    vector: Floats | tuple[()]
    mentions: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """The most telling messages of a session, in its order, and what it was about (most telling first)."""

    serials: tuple[int, ...]
    topics: tuple[str, ...]

"""The records that cross the memory's edge; all frozen.

Ids: a *serial* is the integer key of a message row (ascending in order of admission); an *external id* is what the
platform or the import file calls it. Times are aware datetimes in UTC at the edges, POSIX seconds inside arrays.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Serials: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float32]
Halves: TypeAlias = NDArray[np.float16]


class Provenance(enum.StrEnum):
    """How an event reached us: *live* and *recovered* may trigger an answer, *history* only feeds memory."""

    LIVE = "live"
    RECOVERED = "recovered"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a call may read: one tenant, the rooms that the asker is in. An argument of every call."""

    tenant: int
    rooms: tuple[int, ...]
    asker: int | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """A team: the local one, a Matrix account's rooms, a Discord server."""

    id: int
    platform: str
    external_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who writes in a tenant's rooms."""

    id: int
    tenant: int
    external_id: str
    name: str
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """A place where people write. ``version`` grows with every change of its messages."""

    id: int
    tenant: int
    external_id: str
    name: str
    version: int
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as it comes in, before it is admitted.

    ``event_id`` names it in its room; ``author`` is the platform's id of the person, ``author_name`` what people see.
    ``thread`` names the thread of the room that it was written in.
    """

    event_id: str
    author: str
    author_name: str
    text: str
    sent_at: datetime
    reply_to: str | None = None
    provenance: Provenance = Provenance.LIVE
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was admitted."""

    serial: int
    room: int
    external_id: str
    author: int
    author_name: str
    text: str
    sent_at: datetime
    reply_to: str | None = None
    revision: int = 1
    session: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A stretch of conversation in a room, ended by silence, linked to the one before it."""

    id: int
    room: int
    started_at: datetime
    last_message_at: datetime
    ended_at: datetime | None
    previous: int | None
    messages: int


class EntityKind(enum.StrEnum):
    """What a node of the graph stands for."""

    PERSON = "person"
    NAME = "name"  # a proper noun: a place, a product, an organisation
    TOPIC = "topic"  # a tag that somebody wrote: decision 11 says why no other words
    CODE = "code"  # a quoted or code identifier
    LINK = "link"
    DATE = "date"  # an ISO day, resolved against the message's own time


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity named in a text. ``key`` is its normal form (same key, same node), ``label`` as it was written."""

    kind: EntityKind
    key: str
    label: str


@dataclass(frozen=True, slots=True)
class MessageLinks:
    """What ties a message to the graph of its room.

    ``author`` is a person with the name that people see as its label. ``reply_to`` is the serial of the message that
    this one replies to, in the same room; it need not be there (yet). ``subject`` is the key of the mention that the
    message opens with (`memory.extraction.entities.subject`).
    """

    serial: int
    author: Mention
    sent_at: datetime
    reply_to: int | None = None
    session: int | None = None
    mentions: tuple[Mention, ...] = ()
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Embedding:
    """What one forward pass of the model gives for one text.

    vectors: (chunks, dim) float32, unit length; one row for a text within 256 tokens, one per chunk for a longer one.
    token_ids: (tokens,) uint16, the model's vocabulary ids without special tokens, over all chunks in order.
    states: (tokens, state_dim) float32, centred and projected last hidden states of the same tokens, unit length.
    """

    vectors: Floats
    token_ids: NDArray[np.uint16]
    states: Floats


@dataclass(frozen=True, slots=True)
class RoomRow:
    """One message as the in-process arrays need it. ``embedding`` is None until the worker has seen it.

    ``codes`` holds the signs of the token states, packed: (tokens, state_dim / 8) uint8.
    """

    serial: int
    author: int
    sent_at: float
    text: str
    reply_to: int | None
    session: int | None
    vectors: Floats | None
    token_ids: NDArray[np.uint16] | None
    codes: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True)
class Expansion:
    """What joins a question without standing in it (query expansion): said before, or read off first evidence.

    terms: stems for the search by words with weights, beside 1 for the question's own. words: what is embedded behind
    the question. mentions: entities for the graph. people: ids with what naming them counts, beside 1 in the question.
    """

    terms: tuple[tuple[str, float], ...] = ()
    words: str = ""
    mentions: tuple[Mention, ...] = ()
    people: tuple[tuple[int, float], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms or self.words or self.mentions or self.people)

    def joined(self, other: Expansion) -> Expansion:
        """Both; where they weigh the same thing, the larger weight counts."""
        return Expansion(
            _heavier(self.terms, other.terms),
            " ".join(dict.fromkeys((*self.words.split(), *other.words.split()))),
            tuple(dict.fromkeys((*self.mentions, *other.mentions))),
            _heavier(self.people, other.people),
        )


K = TypeVar("K")


def _heavier(one: Sequence[tuple[K, float]], other: Sequence[tuple[K, float]]) -> tuple[tuple[K, float], ...]:
    weights = dict(one)
    for key, weight in other:
        weights[key] = max(weight, weights.get(key, 0.0))
    return tuple(weights.items())


@dataclass(frozen=True, slots=True)
class Query:
    """A question with everything that finding may use.

    ``asked_at``, in the timezone of whoever asks, anchors relative dates and tells days. ``people`` maps the
    lower-cased names and name parts of the people of the rooms to their ids. ``embedding`` is that of the question with
    those names cut; None when the model is not at hand. ``versions`` are the rooms' when the question was prepared:
    what has reached them is searched without asking again. ``expansion`` is what joined it.
    """

    text: str
    scope: Scope
    asked_at: datetime
    people: Mapping[str, int] = field(default_factory=dict)
    embedding: Embedding | None = None
    limit: int = 10
    versions: Mapping[int, int] = field(default_factory=dict)
    expansion: Expansion = field(default_factory=Expansion)


@dataclass(frozen=True, slots=True)
class Nominations:
    """What one source proposes in one room, best first: serials and the source's own scores (higher is better).

    ``instead_of`` names the store that should have been asked and did not answer, when another one was.
    """

    source: str
    serials: Serials
    scores: NDArray[np.float64]
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The pool of one room with the raw features of each message: columns of one length, keyed by feature name.

    The feature names and what they mean are listed in ``memory.ranking``. A missing value is NaN. ``messages`` is how
    many the room holds, ``found`` how many of them hold each of the question's terms, its people's names left out.
    ``missing`` are the sources that were asked and did not answer, and the stores that others stood in for.
    """

    room: int
    serials: Serials
    features: Mapping[str, NDArray[np.float64]]
    messages: int = 0
    found: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was found. ``score`` orders hits of one answer; ``why`` says in words what spoke for it."""

    serial: int
    room: int
    score: float
    features: Mapping[str, float]
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """Entities and relations from the question to a message, as labels: node, relation, node, ..., message."""

    serial: int
    steps: tuple[str, ...]
    score: float


PathType: TypeAlias = tuple[str, ...]
"""Where a path starts and the relations it takes, no node of it: ("hit", "mentions", "~about").

The start is "hit" (a message that was found), or "person", "name" or "date" (an entity of the question). A relation is
one of `memory.graph.CODES`; against its direction it has a tilde in front.
"""


@dataclass(frozen=True, slots=True)
class Walks:
    """How likely random walks along each type of path end in each message.

    chances: by path type (messages,) in [0, 1], parallel to ``serials``; types that lead to none of them are left out.
    """

    serials: Serials
    chances: Mapping[PathType, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphSum:
    """What tells two copies of a room's graph apart: messages, their ties to people and entities, and a checksum.

    The checksum is the sum over the messages of 31 times the serial plus the time in seconds modulo 1,000,003.
    """

    messages: int
    ties: int
    checksum: int


@dataclass(frozen=True, slots=True)
class GraphHealth:
    """What a graph server says of itself: product and version, and which of its constraints and indexes are missing."""

    server: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VectorSum:
    """What tells two copies of a room's vectors and words apart: messages, and the sum of their marks.

    A mark is a keyed number of a message's serial, its text and how many vectors it has (`memory.pseudonyms`).
    """

    messages: int
    checksum: int


@dataclass(frozen=True, slots=True)
class VectorHealth:
    """What a vector server says of itself: product and version, and which of its indexes are missing."""

    server: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a cache. ``tags`` name what the value is made of, so that it goes with any of that."""

    namespace: str
    key: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheHealth:
    """What a cache server says of itself: product and version, bytes in use, the most it may use (0: no limit).

    ``policy`` names what it gives up when it is full.
    """

    server: str
    used: int
    limit: int
    policy: str


@dataclass(frozen=True, slots=True)
class Context:
    """Evidence within a token budget, in time order. ``left_out`` counts hits that did not fit."""

    text: str
    tokens: int
    serials: tuple[int, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """What the journal did with a batch: serials of new messages, and how many were already known or tombstoned."""

    serials: tuple[int, ...]
    known: int = 0
    refused: int = 0
    reasons: Sequence[str] = ()


TRIES: Final = 5
"""Failures after which nobody tries an item again by himself."""


class WorkKind(enum.StrEnum):
    """What is to be done with a message; each kind has a queue and workers of its own."""

    INDEX = "index"
    REFLECT = "reflect"


class Priority(enum.IntEnum):
    """Lower goes first: what is said now before history that is imported."""

    LIVE = 0
    HISTORY = 1


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One revision of a message that waits for a kind of work. Numbers only: no text and no name enters a queue."""

    kind: WorkKind
    room: int
    serial: int
    revision: int
    priority: Priority = Priority.LIVE


@dataclass(frozen=True, slots=True)
class Taken:
    """An item that a worker has taken. ``tries`` counts how often it has failed; ``receipt`` is the queue's own."""

    item: WorkItem
    tries: int = 0
    receipt: object = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An item that failed too often, and why (the name of an error, never a text)."""

    item: WorkItem
    tries: int
    reason: str


@dataclass(frozen=True, slots=True)
class QueueState:
    """Of one kind: items that wait or are worked on, seconds that the oldest of them has been there, dead letters.

    ``oldest`` is None when nothing is there, or when the server does not tell. Not ``whole``: other workers may have
    items that are not counted.
    """

    depth: int
    oldest: float | None
    dead: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class QueueReport:
    """A queue and the rows before it. ``oldest`` is in seconds; the rates are per second, of this process alone.

    ``unpublished`` counts rows that the queue has not taken over; ``away`` says why the queue does not
    answer (then what it holds is not known), else it is empty.
    """

    depth: int
    oldest: float | None
    dead: int
    unpublished: int
    published_per_second: float
    done_per_second: float
    failed_per_second: float = 0.0
    away: str = ""

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to tell."""
        rates = self.published_per_second + self.done_per_second + self.failed_per_second
        return bool(self.depth or self.dead or self.unpublished or self.away or rates)

"""A question, a cheap look at the room, and the situation, in numbers: pure, named, printable, versioned.

Each number is a row of `COLUMNS`: how it is read, a frozen centre and spread (round numbers), what it says in words,
and whether it reads the question's text. Signs that are on or off are not centred, so that a sign that is off adds
exactly nothing to a decision. All are clipped to ±3 and scaled together so that the expected squared norm is 1.

Where a platform's policy forbids learning from message content, ``with_text=False`` leaves routing metadata only
(counts, lengths, scores, time, routes): the other columns are 0 and keep their places.

Any change of the columns raises `VERSION`; what was learned on another version is learned again from the votes. A
column that came later counts as 0 in what was logged before it (`brought_up`), so no vote is lost by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from routing.models import Features
from routing.questions import Kind, Reading
from routing.routes import BY_NAME

VERSION: Final = 2
CLIP: Final = 3.0
_LARGEST: Final = 1e9
AWAY: Final = "away"
ADDED: Final = MappingProxyType({AWAY: 2})
"""Columns that are not of the first version, each with the one that it came with; they stand last."""
LIKED: Final = 0.5
"""A reward above it means that the answer was liked."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a cheap look at the room tells before a route is chosen.

    top: cosine of the closest message, 0 … 1. gap: that minus the fifth closest. linked: entities of the question
    that the room's graph knows; degree: the mean number of messages that name them. messages, authors: how many the
    room has; mean_words: the mean length of its messages.
    """

    top: float = 0.0
    gap: float = 0.0
    linked: int = 0
    degree: float = 0.0
    messages: int = 0
    authors: int = 0
    mean_words: float = 0.0


@dataclass(frozen=True, slots=True)
class Situation:
    """When and in what course a question is asked.

    ``asked_at`` in the room's timezone. ``previous_route`` answered the question before in this thread and
    ``previous_reward`` is what its standing votes say (None: nobody voted). ``disliked`` are the routes whose answers
    to this very question stand voted down, by whoever asks it again. ``away`` are the sources that are down and the
    stores that rest.
    """

    asked_at: datetime
    previous_route: str | None = None
    previous_reward: float | None = None
    disliked: frozenset[str] = frozenset()
    away: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asking:
    """All that a feature or a rule may look at."""

    reading: Reading
    probe: Probe
    situation: Situation


@dataclass(frozen=True, slots=True)
class Column:
    """One feature: ``(value - centre) / spread``. ``words`` says what a value above 0 means, ``below`` one below."""

    name: str
    value: Callable[[Asking], float]
    words: str
    below: str = ""
    centre: float = 0.0
    spread: float = 1.0
    reads_text: bool = False


def features(reading: Reading, probe: Probe, situation: Situation, *, with_text: bool = True) -> Features:
    """The numbers of one question, always finite; ``with_text=False`` leaves routing metadata only."""
    asking = Asking(reading, probe, situation)
    raw = np.array([column.value(asking) if with_text or not column.reads_text else 0.0 for column in COLUMNS])
    bounded = np.clip(np.nan_to_num(raw), -_LARGEST, _LARGEST)
    standard = np.clip((bounded - _CENTRES) / _SPREADS, -CLIP, CLIP) * SCALE
    return Features(VERSION, NAMES, standard if with_text else np.where(_READS_TEXT, 0.0, standard))


def brought_up(row: Features) -> Features | None:
    """A logged row in the columns of now; those that came after it are 0. None for one that cannot be read any more."""
    known = tuple(name for name in NAMES if ADDED.get(name, 1) <= row.version)
    if row.version > VERSION or row.names != known:
        return None
    return Features(VERSION, NAMES, np.concatenate((row.x, np.zeros(len(NAMES) - len(known)))))


def away_in(row: Features) -> int:
    """How many stores and sources were down, 3 for more."""
    return round(row.as_mapping().get(AWAY, 0.0) / SCALE)


def in_words(name: str, x: float) -> str:
    """What the feature says about a question where it has the value ``x``."""
    column = _BY_NAME[name]
    return column.words if x >= 0 or not column.below else column.below


def is_on(row: Features, name: str) -> bool:
    """Whether a sign is on, or a measure above its centre."""
    return bool(row.x[row.names.index(name)] > 0)


def _kind(kind: Kind) -> Callable[[Asking], float]:
    return lambda asking: float(asking.reading.kind is kind)


def _followed(source: str) -> Callable[[Asking], float]:
    """Whether the route before in the thread used the source: a follow-up tends to need the same."""

    def value(asking: Asking) -> float:
        route = BY_NAME.get(asking.situation.previous_route or "")
        return float(route is not None and source in route.sources)

    return value


def _turn(asking: Asking, *, hours: float) -> float:
    """The time asked as an angle; ``hours`` make one turn (24: a day, 168: a week, which starts on Monday)."""
    at = asking.situation.asked_at
    return 2 * math.pi * (at.weekday() * 24 + at.hour + at.minute / 60) / hours


def _voted(asking: Asking, *, liked: bool) -> float:
    reward = asking.situation.previous_reward
    return float(reward is not None and (reward > LIKED) is liked)


_KIND_WORDS: Final = {
    Kind.WHO: "the question asks who",
    Kind.WHEN: "the question asks when",
    Kind.WHERE: "the question asks where",
    Kind.WHY: "the question asks why",
    Kind.HOW: "the question asks how",
    Kind.WHAT: "the question asks what",
    Kind.LIST: "the question asks for several things",
    Kind.YES_NO: "the question asks yes or no",
}


def _log(value: float) -> float:
    return math.log1p(max(value, 0.0)) if math.isfinite(value) else 0.0


_QUESTION: Final = (
    *(Column(f"kind_{kind.value}", _kind(kind), words, reads_text=True) for kind, words in _KIND_WORDS.items()),
    Column("hops", lambda a: float(min(a.reading.hops, 3)), "one fact leads to another", spread=1.5, reads_text=True),
    Column("temporal", lambda a: float(a.reading.temporal), "the question names a time", reads_text=True),
    Column("comparison", lambda a: float(a.reading.comparison), "the question compares", reads_text=True),
    Column("newest", lambda a: float(a.reading.newest), "the question asks for the newest", reads_text=True),
    Column("code", lambda a: float(a.reading.code), "the question names code or a ticket", reads_text=True),
    Column("quoted", lambda a: float(a.reading.quoted), "the question quotes", reads_text=True),
    Column("follow_up", lambda a: float(a.reading.follow_up), "the question follows up", reads_text=True),
    Column("named", lambda a: float(min(len(a.reading.named), 2)), "the question names somebody here", reads_text=True),
    Column(
        "proper", lambda a: float(min(a.reading.proper, 4)), "the question names names", spread=2.0, reads_text=True
    ),
    Column(
        "words",
        lambda a: _log(a.reading.words),
        "the question is long",
        "the question is short",
        centre=2.3,
        spread=0.4,
    ),
)

_PROBE: Final = (
    Column("top", lambda a: a.probe.top, "a message lies close", "no message lies close", 0.5, 0.15),
    Column("gap", lambda a: a.probe.gap, "one message stands out", "many messages fit alike", 0.1, 0.07),
    Column("linked", lambda a: float(min(a.probe.linked, 4)), "the graph knows the question's names", spread=1.5),
    Column("degree", lambda a: _log(a.probe.degree), "the question's names come up often", spread=3.0),
    Column("messages", lambda a: _log(a.probe.messages), "the room is large", "the room is small", 6.5, 1.5),
    Column("authors", lambda a: _log(a.probe.authors), "many people write here", "few people write here", 1.8, 0.7),
    Column(
        "mean_words",
        lambda a: _log(a.probe.mean_words),
        "messages here are long, as documents are",
        "messages here are short, as in a chat",
        centre=3.2,
        spread=0.6,
    ),
)

_SITUATION: Final = (
    Column(
        "hour_sin",
        lambda a: math.sin(_turn(a, hours=24)),
        "the first half of the day",
        "the second half of the day",
        spread=3,
    ),
    Column("hour_cos", lambda a: math.cos(_turn(a, hours=24)), "the night", "the middle of the day", spread=3),
    Column("week_sin", lambda a: math.sin(_turn(a, hours=168)), "early in the week", "late in the week", spread=3),
    Column("week_cos", lambda a: math.cos(_turn(a, hours=168)), "around the start of the week", "mid-week", spread=3),
    Column("previous_vector", _followed("vector"), "the answer before was found by meaning"),
    Column("previous_keyword", _followed("keyword"), "the answer before was found by words"),
    Column("previous_graph", _followed("graph"), "the answer before was found along names"),
    Column("previous_recent", _followed("recent"), "the answer before was among the newest"),
    Column("previous_liked", lambda a: _voted(a, liked=True), "the answer before was liked"),
    Column("previous_disliked", lambda a: _voted(a, liked=False), "the answer before was not liked"),
    Column(AWAY, lambda a: float(min(len(a.situation.away), 3)), "a store or a source was down"),
)

COLUMNS: Final[tuple[Column, ...]] = (*_QUESTION, *_PROBE, *_SITUATION)
"""All features, in order; at most 45."""

NAMES: Final = tuple(column.name for column in COLUMNS)
TEXT_NAMES: Final = frozenset(column.name for column in COLUMNS if column.reads_text)
"""The features that read the question's text; the others are routing metadata."""

SCALE: Final = 0.3
"""One over the root of the mean squared norm before it, about 11 on questions of QMSum and of the demo room."""

_BY_NAME: Final = {column.name: column for column in COLUMNS}
_CENTRES: Final[NDArray[np.float64]] = np.array([column.centre for column in COLUMNS])
_SPREADS: Final[NDArray[np.float64]] = np.array([column.spread for column in COLUMNS])
_READS_TEXT: Final[NDArray[np.bool_]] = np.array([column.reads_text for column in COLUMNS])

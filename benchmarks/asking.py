"""Asking rooms without a database: every text is embedded once, any part of any room can be asked, with any route.

What is asked is what the program would rank: the candidates of the route's sources, described by `memory.ranking` and
ordered by the route's fusion, as nobody has voted yet. The graph is left out; a route that uses it is asked without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.rooms import Message, Question, Room
from memory import closer, ranking
from memory.adapters.sentence_transformers import SentenceTransformerEmbedder
from memory.embedding import pack_states
from memory.models import Candidates, Embedding, Query, RoomRow, Scope
from memory.room import RoomView
from routing import fusion
from routing.confidence import SHOWN, Asked, signals
from routing.weights import START

_POOL = 200
_BATCH = 512
_SEARCHES = {"keyword": ranking.keyword, "vector": ranking.vector}


@dataclass(frozen=True, slots=True)
class Route:
    """Sources and a fusion."""

    sources: tuple[str, ...] = ("vector", "keyword")
    fusion: str = "learned"


CHAT = Route()
ROUTES: Mapping[str, Route] = {
    "keyword": Route(("keyword",), "weighted"),
    "vector": Route(("vector",), "weighted"),
    "balance": Route(fusion="weighted"),
    "blend": Route(fusion="rrf"),
}
"""The other ways to ask, by the names of the menu."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question can be asked: a room, a part of one, or several in one; its messages are numbered from 1."""

    name: str
    messages: tuple[Message, ...]
    asked_at: datetime

    @classmethod
    def of(cls, room: Room) -> Place:
        """A whole room; message ids get its name, so that several rooms can be put together."""
        name = room.name
        renamed = tuple(
            replace(m, id=f"{name}/{m.id}", reply_to=f"{name}/{m.reply_to}" if m.reply_to else None)
            for m in room.messages
        )
        return cls(name, renamed, max(m.sent_at for m in renamed))

    def part(self, start: int, length: int) -> Place:
        """``length`` messages in a row from about ``start`` on."""
        first = max(0, min(start, len(self.messages) - length))
        name = f"{self.name}[{first}:{first + length}]"
        return replace(self, name=name, messages=self.messages[first : first + length])

    def without(self, ids: frozenset[str]) -> Place:
        """Without the messages of these ids and those beside them."""
        gone = {i + k for i, m in enumerate(self.messages) if m.id in ids for k in (-1, 0, 1)}
        kept = tuple(m for i, m in enumerate(self.messages) if i not in gone)
        return replace(self, name=f"{self.name} without {sorted(ids)}", messages=kept)

    @property
    def authors(self) -> tuple[str, ...]:
        """Everybody who writes here, in order of appearance."""
        return tuple(dict.fromkeys(m.author for m in self.messages))

    @property
    def people(self) -> dict[str, int]:
        """What `Query.people` holds."""
        return ranking.names(list(enumerate(self.authors)))


def together(name: str, places: Sequence[Place]) -> Place:
    """Several places as one room, one after the other; asked when the last one is."""
    return Place(name, tuple(m for place in places for m in place.messages), places[-1].asked_at)


@dataclass(frozen=True, slots=True)
class Case:
    """A question asked in a place. ``evidence`` are the ids of messages that answer it; none where nothing does."""

    kind: str
    place: Place
    question: Question
    evidence: frozenset[str] = frozenset()
    route: Route = CHAT


@dataclass(frozen=True, slots=True)
class Outcome:
    """What asking gave: the signals, and whether a message that answers the question was among the first three."""

    case: Case
    query: Query
    candidates: Candidates
    fused: NDArray[np.float64]
    signals: Mapping[str, float]
    hit: bool


class Library:
    """Texts with their embeddings; message texts are kept in the form in which rooms hold them."""

    def __init__(self) -> None:
        self._questions: dict[str, Embedding] = {}
        self._texts: dict[str, Embedding] = {}
        self._codes: dict[str, NDArray[np.uint8]] = {}

    def read(self, cases: Sequence[Case]) -> None:
        """Embeds what the cases need and is not there yet."""
        texts = {m.text for place in {c.place.name: c.place for c in cases}.values() for m in place.messages}
        questions = {_cut(case) for case in cases}
        asyncio.run(self._read(sorted(texts - self._texts.keys()), sorted(questions - self._questions.keys())))

    async def _read(self, texts: Sequence[str], questions: Sequence[str]) -> None:
        embedder = SentenceTransformerEmbedder()
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            for text, found in zip(batch, await embedder.embed(batch), strict=True):
                self._codes[text] = pack_states(found.states)
                self._texts[text] = Embedding(found.vectors.copy(), found.token_ids.copy(), found.states[:0])
        for text, found in zip(questions, await embedder.embed(questions), strict=True):
            self._questions[text] = found
        await embedder.close()

    def ask(self, cases: Iterable[Case]) -> Iterator[Outcome]:
        """Every case, place by place."""
        for _, some in groupby(sorted(cases, key=lambda case: case.place.name), key=lambda case: case.place.name):
            here = list(some)
            view = RoomView.of(self._rows(here[0].place))
            people = here[0].place.people
            yield from (self._asked(case, view, people) for case in here)

    def _rows(self, place: Place) -> Iterator[RoomRow]:
        author = {name: i for i, name in enumerate(place.authors)}
        serial = {m.id: i for i, m in enumerate(place.messages, 1)}
        for i, m in enumerate(place.messages, 1):
            known = self._texts[m.text]
            yield RoomRow(
                serial=i,
                author=author[m.author],
                sent_at=m.sent_at.timestamp(),
                text=m.text,
                reply_to=serial.get(m.reply_to or ""),
                session=None,
                vectors=known.vectors,
                token_ids=known.token_ids,
                codes=self._codes[m.text],
            )

    def _asked(self, case: Case, view: RoomView, people: Mapping[str, int]) -> Outcome:
        query = Query(case.question.text, Scope(1, (1,)), case.place.asked_at, people, self._questions[_cut(case)])
        said = [_SEARCHES[source](view, query, _POOL) for source in case.route.sources]
        serials = np.unique(np.concatenate([n.serials for n in (*said, ranking.dated(view, query, _POOL))]))
        described = closer.described(view, query, ranking.features(view, query, serials, room=1))
        candidates = ranking.with_sources(described, said)
        fused = fusion.FUSIONS[case.route.fusion](candidates, START)
        first = candidates.serials[fusion.order(fused)[:SHOWN]]
        hit = any(case.place.messages[int(serial) - 1].id in case.evidence for serial in first)
        found = signals(Asked.of(query, candidates), candidates, fused) if len(candidates.serials) else {}
        return Outcome(case, query, candidates, fused, found, hit)


BINS: Final = 10


def bins(values: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """The places of the values in ten bins of equal size, lowest first."""
    return np.array_split(np.argsort(values, kind="stable"), BINS)


def calibration_error(values: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """ECE: the distance between a bin's mean value and the share of it that was right, averaged by the bins' sizes."""
    gaps = [len(b) * abs(float(values[b].mean()) - float(right[b].mean())) for b in bins(values) if len(b)]
    return sum(gaps) / len(values) if len(values) else float("nan")


def _cut(case: Case) -> str:
    return ranking.cut_names(case.question.text, case.place.people)

"""Is the evidence found? Rooms through the program's own front door, beside BM25, MiniLM and their plain fusion.

recall@k is the mean over questions of |evidence among the first k| / |evidence|; hit@5 the share of questions with any
evidence among the first five (for rooms whose evidence is a long span). *recall within N tokens* asks the same of the
context that an answer carries. Nothing is fitted on these rooms.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.harness import ASKED_AT, Row, fresh_app, load, show, write
from benchmarks.rooms import Question, Room, rooms
from bot.app import App
from memory import ranking
from memory.embedding import pack_states
from memory.models import Nominations, Query, RoomRow, Scope
from memory.models import Room as KeptRoom
from memory.room import RoomView
from routing.fusion import rrf
from routing.routes import DOCUMENTS

DEPTHS = (1, 5, 10, 20)
BUDGETS = (500, 1_000, 2_000, 4_000)
_POOL = 200


@dataclass(slots=True)
class Scores:
    """Recall of every question asked of one system, by what it is told apart by."""

    by: dict[str, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, question: Question, room: str, found: Sequence[str], more: Mapping[str, float] | None = None) -> None:
        """Notes what was found for a question, best first."""
        evidence = question.evidence
        figures = {f"R@{k}": len(evidence & set(found[:k])) / len(evidence) for k in DEPTHS}
        figures["hit@5"] = float(bool(evidence & set(found[:5])))
        figures["P@10"] = len(evidence & set(found[:10])) / 10
        figures |= more or {}
        for key in ("all", question.category, f"room {room}"):
            self.by[key].append(figures)

    def mean(self, key: str = "all") -> dict[str, float]:
        """Percentages."""
        rows = self.by[key]
        return {name: 100 * float(np.mean([row[name] for row in rows])) for name in rows[0]} | {"n": float(len(rows))}


async def measure(app: App, room: Room, kept: KeptRoom, scores: dict[str, Scores], *, graph: bool) -> None:
    """Asks every answerable question of a room, of the program and of the baselines."""
    scope = Scope(app.tenant, (kept.id,))
    bare = await Bare.of(app, room)
    for seed, question in enumerate(room.questions):
        if not question.evidence:
            continue
        answer = await app.shuttle.weave(question.text, scope, asked_at=ASKED_AT, limit=max(DEPTHS), seed=seed)
        cited = [citation.message_id for citation in answer.citations]
        within = await _within(app, question, scope, answer.decision.route)
        scores["weavebot"].add(question, room.name, cited, within)
        if graph:
            found = await app.shuttle.find(question.text, scope, DOCUMENTS, asked_at=ASKED_AT, limit=max(DEPTHS))
            ids = await _ids(app, [hit.serial for hit in found.hits[: max(DEPTHS)]])
            scores["weavebot, graph route"].add(question, room.name, ids)
        for name, found_ids in (await bare.find(app, question)).items():
            scores[name].add(question, room.name, found_ids)


async def _within(app: App, question: Question, scope: Scope, route: str) -> dict[str, float]:
    found = await app.shuttle.find(question.text, scope, route, asked_at=ASKED_AT, limit=max(DEPTHS))
    messages = await app.engine.read([hit.serial for hit in found.hits])
    ranked = [messages[hit.serial] for hit in found.hits]
    recall = {}
    for budget in BUDGETS:
        context = await app.engine.context(ranked, budget)
        held = {messages[serial].external_id for serial in context.serials}
        recall[f"{budget:,} tokens"] = len(question.evidence & held) / len(question.evidence)
    return recall


async def _ids(app: App, serials: Sequence[int]) -> list[str]:
    messages = await app.engine.read(serials)
    return [messages[serial].external_id for serial in serials]


@dataclass(frozen=True, slots=True)
class Bare:
    """The baselines: BM25 and MiniLM on "author: text" and the question as it is, and both by reciprocal rank."""

    ids: list[str]
    view: RoomView

    @classmethod
    async def of(cls, app: App, room: Room) -> Bare:
        """The room, one message a document."""
        said = [message for message in room.messages if message.text.strip()]
        texts = [f"{message.author}: {message.text}" for message in said]
        embedded = await app.embedder.embed(texts)
        rows = [
            RoomRow(i, 0, 0.0, text, None, None, one.vectors, one.token_ids, pack_states(one.states))
            for i, (text, one) in enumerate(zip(texts, embedded, strict=True))
        ]
        return cls([message.id for message in said], RoomView.of(rows))

    async def find(self, app: App, question: Question) -> dict[str, list[str]]:
        """What each baseline finds, best first."""
        [embedding] = await app.embedder.embed([question.text])
        query = Query(question.text, Scope(0, (0,)), ASKED_AT, {}, embedding)
        scored = ranking.bm25(self.view, ranking.query_terms(query))
        best = np.argsort(-scored, kind="stable")[:_POOL]
        words = Nominations("keyword", self.view.serials[best], scored[best])
        meaning = ranking.vector(self.view, query, _POOL)
        pool = np.union1d(words.serials, meaning.serials)
        both = ranking.with_sources(ranking.features(self.view, query, pool), [words, meaning])
        fused = both.serials[np.argsort(-rrf(both), kind="stable")]
        lists = {"BM25": words.serials, "MiniLM": meaning.serials, "RRF of both": fused}
        return {name: [self.ids[i] for i in serials[: max(DEPTHS)]] for name, serials in lists.items()}


def report(name: str, scores: dict[str, Scores], columns: Sequence[str]) -> dict[str, Any]:
    """Prints a set's tables and gives its figures."""
    figures = {system: {key: one.mean(key) for key in one.by} for system, one in scores.items()}
    rows = [Row(system, _picked(one["all"], columns)) for system, one in figures.items()]
    show(f"{name}: {figures['weavebot']['all']['n']:.0f} questions", rows)
    ours = figures["weavebot"]
    if len(ours) > 2:
        show(f"{name}: weavebot by category and room", [Row(k, _picked(v, (*columns, "n"))) for k, v in ours.items()])
    return figures


def _picked(figures: Mapping[str, float], columns: Sequence[str]) -> dict[str, float]:
    return {column: figures[column] for column in columns if column in figures}


async def main(sets: Sequence[str]) -> None:
    """All sets."""
    results = {}
    for name in sets:
        given = rooms(name)
        if given is None:
            continue
        scores: dict[str, Scores] = defaultdict(Scores)
        async with fresh_app() as app:
            for room in given:
                await measure(app, room, await load(app, room), scores, graph=name == "hotpotqa")
        columns = ("hit@5", "P@10", "R@10") if name == "qmsum" else tuple(f"R@{k}" for k in DEPTHS)
        results[name] = report(name, dict(scores), (*columns, *(f"{budget:,} tokens" for budget in BUDGETS)))
    if results:
        write("retrieval", results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=["locomo", "qmsum", "hotpotqa", "demo"])
    asyncio.run(main(parser.parse_args().sets))

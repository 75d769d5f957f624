"""Do learned paths find evidence that similarity and PageRank miss? The HotpotQA room, five folds by question.

Every question is asked through the program's route along shared names; the labels of four folds teach, those of the
fifth are asked about. Systems, in the same run on the same hits:

* PageRank: the formula and z(log ppr), the program's graph route without paths
* learned paths: the same with what paths are worth, as the program ranks (a bounded bonus within the best 2k hits)
* learned paths over names alone: without days, sessions and neighbours, which in this room stand for how the data set
  was put together (a question's passages come one after the other)
* learned paths that cannot tell what a message is about from what it mentions
* one weight for all paths: similarity and the sum of all walks, learned in the same way; what types add is the rest

and learning from simulated votes instead of labels: a share of the answers is voted on, a tenth of them wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import ASKED_AT, Row, fresh_app, load
from benchmarks.rooms import rooms
from bot.app import App
from memory.models import PathType, Query, Scope
from memory.models import Room as KeptRoom
from routing import finding, questions
from routing.models import Reward
from routing.paths.abstract import cluster_of
from routing.paths.evidence import SIMILARITY, Cited, chances_of, items_of, tallied
from routing.paths.finding import worth
from routing.paths.learner import PathModel, taught
from routing.paths.utility import POOL, ranked
from routing.paths.weights import Item
from routing.routes import DOCUMENTS, route_named

Array = NDArray[np.float64]

ASKED: Final = 10
DEPTH: Final = 5
FOLDS: Final = 5
SPLITS: Final = 5
"""Times that the questions are dealt to folds anew."""

SHOWN: Final = 3
RATES: Final = (0.2, 1.0)
WRONG: Final = 0.1
THUMB: Final = 0.25  # the weight of a plain thumb's reward
LIKED: Final = 0.83  # and its value
_NAMES: Final = frozenset({"hit", "name", "person", "date", "mentions", "about", "wrote"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One question's best hits: which are evidence, their scores by similarity, and the walks that lead to them."""

    cluster: str
    evidence: NDArray[np.bool_]
    needed: int
    similarity: Array
    chances: tuple[Mapping[PathType, float], ...]

    def changed(self, of: Callable[[Mapping[PathType, float]], Mapping[PathType, float]]) -> Asked:
        """With other walks."""
        return replace(self, chances=tuple(of(one) for one in self.chances))

    def recall(self, scores: Array) -> float:
        """Of the evidence, the share among the first five."""
        best = np.argsort(-scores, kind="stable")[:DEPTH]
        return float(self.evidence[best].sum() / self.needed)


async def ask(app: App, kept: KeptRoom, room_questions: Sequence[tuple[str, frozenset[str]]]) -> list[Asked]:
    """Every question on the graph route, before anything was learned."""
    scope = Scope(app.tenant, (kept.id,))
    found = []
    for text, evidence in room_questions:
        query = await app.engine.prepare(text, scope, ASKED_AT, ASKED)
        found.append(await _ask(app, query, evidence))
    return found


async def _ask(app: App, query: Query, evidence: frozenset[str]) -> Asked:
    said = await finding.find(app.engine, query, route_named(DOCUMENTS), (), finding.Taught(paths=PathModel()))
    hits = said.hits[: POOL * ASKED]
    messages = await app.engine.read([hit.serial for hit in hits])
    return Asked(
        cluster_of(questions.read(query.text, query.people)),
        np.array([messages[hit.serial].external_id in evidence for hit in hits]),
        len(evidence),
        np.array([hit.features[SIMILARITY] for hit in hits]),
        tuple(chances_of(hit.features) for hit in hits),
    )


def from_labels(asked: Mapping[int, Asked]) -> dict[tuple[int, int], Item]:
    """Each cited message, labelled."""
    return {
        (number, rank): Item(
            one.cluster, one.chances[rank], float(one.similarity[rank]), float(one.evidence[rank]), 1.0
        )
        for number, one in asked.items()
        for rank in range(min(ASKED, len(one.evidence)))
        if one.chances[rank]
    }


def from_votes(asked: Mapping[int, Asked], rate: float, chance: np.random.Generator) -> dict[tuple[int, int], Item]:
    """A thumb for evidence among the first three, one voter in five picks evidence instead; some are wrong."""
    rewards, picked, cited = {}, {}, []
    for number, one in asked.items():
        if chance.random() >= rate:
            continue
        cited += [
            Cited(number, rank + 1, one.cluster, float(one.similarity[rank]), one.chances[rank])
            for rank in range(min(ASKED, len(one.evidence)))
        ]
        wrong = bool(chance.random() < WRONG)
        places = np.flatnonzero(one.evidence[:ASKED] != wrong)
        if chance.random() < 0.2 and len(places):
            picked[number] = {int(places[0]) + 1: 1}
        else:
            good = bool(one.evidence[:SHOWN].any()) != wrong
            rewards[number] = Reward(number, LIKED if good else 1 - LIKED, THUMB)
    return items_of(cited, rewards, picked)


Lesson = Callable[[Mapping[int, Asked], np.random.Generator], dict[tuple[int, int], Item]]


def folded(asked: Sequence[Asked], lesson: Lesson, seed: int) -> Array:
    """(questions,) recall@5 of each question, taught by the other folds."""
    dealt = np.random.default_rng(seed).permutation(len(asked))
    found = np.zeros(len(asked))
    for fold in range(FOLDS):
        held = set(dealt[fold::FOLDS].tolist())
        items = lesson({i: one for i, one in enumerate(asked) if i not in held}, np.random.default_rng([seed, fold]))
        model = taught(tallied(items.values()), items)
        for number in held:
            found[number] = asked[number].recall(_scores(asked[number], model))
    return found


def _scores(one: Asked, model: PathModel) -> Array:
    pool = np.arange(len(one.similarity))
    return ranked(one.similarity, pool, worth(model, one.cluster, one.chances))


def names_alone(chances: Mapping[PathType, float]) -> dict[PathType, float]:
    """Paths over people, names and mentioned dates."""
    return {path: value for path, value in chances.items() if {step.lstrip("~") for step in path} <= _NAMES}


def untold(chances: Mapping[PathType, float]) -> dict[PathType, float]:
    """As if what a message is about were a mention."""
    found: dict[PathType, float] = {}
    for path, value in chances.items():
        plain = tuple(step.replace("about", "mentions") for step in path)
        found[plain] = found.get(plain, 0.0) + value
    return found


def as_one(chances: Mapping[PathType, float]) -> dict[PathType, float]:
    """Every walk the same."""
    return {("hit", "any"): sum(chances.values())} if chances else {}


async def measure() -> tuple[list[Row], bool] | None:
    """A row a system, and whether learned paths beat PageRank with an interval above 0; None without the room."""
    given = rooms("hotpotqa")
    if given is None:
        return None
    async with fresh_app() as app:
        kept = await load(app, given[0])
        asked = await ask(app, kept, [(q.text, q.evidence) for q in given[0].questions if q.evidence])
    base = np.array([one.recall(one.similarity) for one in asked])

    def labels(taught_by: Mapping[int, Asked], _: np.random.Generator) -> dict[tuple[int, int], Item]:
        return from_labels(taught_by)

    rows = [Row("PageRank (the graph route, no paths)", {"recall@5": 100 * float(base.mean())})]
    systems: dict[str, tuple[Sequence[Asked], Lesson]] = {
        "learned paths": (asked, labels),
        "… over names alone": ([one.changed(names_alone) for one in asked], labels),
        "… that do not tell about from mentions": ([one.changed(untold) for one in asked], labels),
        "… all of one type": ([one.changed(as_one) for one in asked], labels),
    }
    for rate in RATES:
        lesson: Lesson = lambda some, chance, rate=rate: from_votes(some, rate, chance)  # type: ignore[misc]  # noqa: E731
        systems[f"learned paths, {rate:.0%} vote, {WRONG:.0%} of them wrongly"] = (asked, lesson)
    met = True
    for name, (some, lesson) in systems.items():
        found = np.mean([folded(some, lesson, seed) for seed in range(SPLITS)], axis=0)
        low, high = bootstrap(found - base)
        gain = f"{100 * float((found - base).mean()):+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
        rows.append(Row(name, {"recall@5": 100 * float(found.mean()), "gain over PageRank": gain}))
        met = met and (name not in {"learned paths", "… over names alone"} or low > 0)
    return rows, met


def bootstrap(differences: Array) -> tuple[float, float]:
    """The 95 % interval of the mean over questions, by 10,000 resamples."""
    chance = np.random.default_rng(0)
    means = differences[chance.integers(len(differences), size=(10_000, len(differences)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)

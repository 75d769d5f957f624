"""Which paths lead from a head to its tail? UMLS and Kinship on MINERVA's splits: tail queries, filtered ranks.

Walks of at most two relations, either way, features sqrt(P(walk along the type ends in e)), the 1,600 types that tell
tails from other ends best, a logistic model a query relation: the objective of `routing.paths.weights` (L-BFGS, because
there are many types), with the Q of a type, the share of its walks that were rewarded, as the prior mean of its weight.
While a training triple is learned from, its own edge is masked, both ways, exactly; the query relation itself is no
path. An end counts as wrong unless the graph ties it to the head by the query relation; nothing of dev or test is
looked at. Rewards are labelled triples, not emoji: "20 %, 10 % wrong" rewards a fifth of them, a tenth of those at a
wrong tail.

Beside it, in the same run: personalised PageRank that is blind to relations (restart 0.5), and the hit rate of each
type combined by noisy-or.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array

from benchmarks.rooms import data_folder
from routing.paths.weights import prior_of

Array = NDArray[np.float32]
Ints = NDArray[np.int64]

TYPES: Final = 1600
PRECISION: Final = 1.0
"""Of the weights' priors. This and the number of types were chosen on Kinship's dev split."""

ROUNDS: Final = 100
NEGATIVES: Final = 4
"""Other ends a positive, for choosing the types."""

RESTART: Final = 0.5
SHRINKING: Final = 5.0
_SPREAD: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A graph with its questions.

    edges: (2 relations, entities, entities) 0 or 1, each relation forwards and then all of them backwards. triples: by
    split (n, 3) head, relation, tail. known: (relations, entities, entities) every triple of every split.
    """

    edges: Array
    triples: Mapping[str, Ints]
    known: NDArray[np.bool_]

    @property
    def relations(self) -> int:
        """How many there are, directions not counted."""
        return len(self.known)

    @property
    def steps(self) -> Array:
        """(2 relations, entities, entities) the chance of each step along each relation."""
        return stepped(self.edges)

    def inverse(self, relation: int) -> int:
        """The other direction."""
        return (relation + self.relations) % (2 * self.relations)


def stepped(edges: Array) -> Array:
    """Rows divided by their sums; rows of zeros stay."""
    degree = edges.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(edges, degree, out=np.zeros_like(edges), where=degree > 0))


def read(name: str) -> Knowledge | None:
    """The graph of that name; None where the folder does not hold it."""
    folder = data_folder() / "kg" / name
    if not folder.exists():
        return None
    lines = {split: _lines(folder / f"{split}.txt") for split in ("train", "dev", "test")}
    entities = {
        e: i for i, e in enumerate(sorted({end for rows in lines.values() for h, _, t in rows for end in (h, t)}))
    }
    relations = {r: i for i, r in enumerate(sorted({r for _, r, _ in lines["train"]}))}
    triples = {
        split: np.array([(entities[h], relations[r], entities[t]) for h, r, t in rows if r in relations])
        for split, rows in lines.items()
    }
    heads, kinds, tails = triples["train"].T
    edges = np.zeros((2 * len(relations), len(entities), len(entities)), dtype=np.float32)
    edges[kinds, heads, tails] = 1
    edges[kinds + len(relations), tails, heads] = 1
    known = np.zeros((len(relations), len(entities), len(entities)), dtype=np.bool_)
    for rows in triples.values():
        known[rows[:, 1], rows[:, 0], rows[:, 2]] = True
    return Knowledge(edges, triples, known)


def _lines(file: Path) -> list[tuple[str, str, str]]:
    rows = (line.split("\t") for line in file.read_text("utf-8").splitlines() if line)
    return [(head, relation, tail) for head, relation, tail in rows]


def rewarded(graph: Knowledge, share: float, wrong: float, chance: np.random.Generator) -> Ints:
    """The training triples that are learned from: a share of them, of which some point at a random tail."""
    triples = graph.triples["train"]
    taken = triples[chance.permutation(len(triples))[: round(share * len(triples))]].copy()
    astray = chance.random(len(taken)) < wrong
    taken[astray, 2] = chance.integers(graph.edges.shape[1], size=int(astray.sum()))
    return taken


# -- masking: while a triple is learned from, its edge is not there ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Masked:
    """The two rows of steps that change when each of some triples (head, tail) of one relation is taken away."""

    heads: Ints
    tails: Ints
    relation: int
    inverse: int
    onward: Array  # (triples, entities): from the head along the relation
    back: Array  # (triples, entities): from the tail against it

    @classmethod
    def of(cls, graph: Knowledge, relation: int, triples: Ints) -> Masked:
        """Triples that are no edge (wrong rewards) change nothing."""
        heads, tails = triples[:, 0], triples[:, 2]
        each, inverse = np.arange(len(triples)), graph.inverse(relation)
        onward, back = graph.edges[relation, heads].copy(), graph.edges[inverse, tails].copy()
        onward[each, tails] = 0
        back[each, heads] = 0
        return cls(heads, tails, relation, inverse, stepped(onward), stepped(back))

    def first(self, steps: Array, relation: int) -> Array:
        """(triples, entities) the chance of each first step from the head."""
        rows = self.onward if relation == self.relation else steps[relation, self.heads]
        if relation == self.inverse:
            loops = self.heads == self.tails
            rows = np.where(loops[:, None], self.back, rows)
        return rows

    def second(self, steps: Array, reached: Array, relation: int) -> Array:
        """(triples, entities) one step further from what a first step reached."""
        ends = reached @ steps[relation]
        each = np.arange(len(self.heads))
        for changed, at, rows in ((self.relation, self.heads, self.onward), (self.inverse, self.tails, self.back)):
            if relation == changed:
                ends = ends + reached[each, at][:, None] * (rows - steps[relation, at])
        return np.asarray(np.maximum(ends, 0))

    def into(self, steps: Array, ends: Ints) -> Array:
        """(triples, entities, relations) the chance of each second step that ends in each triple's own end."""
        each = np.arange(len(ends))
        columns = steps.transpose(2, 1, 0)[ends].copy()
        columns[each, self.heads, self.relation] = self.onward[each, ends]
        columns[each, self.tails, self.inverse] = self.back[each, ends]
        return columns


def walks(steps: Array, masked: Masked, path: tuple[int, ...]) -> Array:
    """(triples, entities) the chance that a walk along a path ends in each entity."""
    reached = masked.first(steps, path[0])
    return reached if len(path) == 1 else masked.second(steps, reached, path[1])


def chosen(steps: Array, masked: Masked, chance: np.random.Generator) -> list[tuple[int, ...]]:
    """The types of path that tell tails from other ends best, by how many deviations their means lie apart."""
    count, kinds = len(masked.heads), len(steps)
    others = chance.integers(steps.shape[1], size=(count, NEGATIVES))
    ends = np.concatenate([masked.tails[:, None], others], axis=1)  # (triples, 1 + negatives)
    first = np.stack([masked.first(steps, relation) for relation in range(kinds)], axis=1)
    one = np.take_along_axis(first, ends[:, None, :].repeat(kinds, axis=1), axis=2)
    two = np.stack([first @ masked.into(steps, ends[:, i]) for i in range(ends.shape[1])], axis=-1)
    features = np.sqrt(np.concatenate([one, two.reshape(count, kinds * kinds, -1)], axis=1))
    apart = features[:, :, 0].mean(axis=0) - features[:, :, 1:].mean(axis=(0, 2))
    score = np.abs(apart) / (features.std(axis=(0, 2)) + _SPREAD)
    score[masked.relation] = 0.0  # the query relation itself is no path
    best = np.argsort(-score, kind="stable")[:TYPES]
    return [(int(i),) if i < kinds else divmod(int(i) - kinds, kinds) for i in best if score[i] > 0]


# -- systems: scores of all entities as the tail of each query --------------------------------------------------------

Scorer = Callable[[int, Ints], NDArray[np.float64]]
"""From a relation and heads to (heads, entities)."""


def learned(graph: Knowledge, triples: Ints, chance: np.random.Generator) -> tuple[Scorer, Scorer]:
    """The log-linear model, and the noisy-or of hit rates, both learned from rewarded triples."""
    steps = graph.steps
    models = {
        relation: _model(graph, steps, relation, triples[triples[:, 1] == relation], chance)
        for relation in range(graph.relations)
    }

    def features(relation: int, heads: Ints) -> Array:
        back = graph.inverse(relation)
        plain = Masked(heads, heads, relation, back, steps[relation, heads], steps[back, heads])  # nothing is masked
        return np.stack([walks(steps, plain, path) for path in models[relation][0]], axis=-1)

    def linear(relation: int, heads: Ints) -> NDArray[np.float64]:
        paths, weights, _ = models[relation]
        if not paths:
            return np.zeros((len(heads), steps.shape[1]))
        return np.asarray(np.sqrt(features(relation, heads)) @ weights)

    def noisy(relation: int, heads: Ints) -> NDArray[np.float64]:
        paths, _, rates = models[relation]
        if not paths:
            return np.zeros((len(heads), steps.shape[1]))
        return np.asarray(-np.log1p(-np.minimum(features(relation, heads) * rates, 1 - 1e-6)).sum(axis=-1))

    return linear, noisy


def _model(
    graph: Knowledge, steps: Array, relation: int, triples: Ints, chance: np.random.Generator
) -> tuple[list[tuple[int, ...]], NDArray[np.float64], NDArray[np.float64]]:
    """Types, weights and hit rates of one query relation."""
    nothing = np.zeros(0)
    if not len(triples):
        return [], nothing, nothing
    masked = Masked.of(graph, relation, triples)
    paths = chosen(steps, masked, chance)
    if not paths:
        return [], nothing, nothing
    chances = np.stack([walks(steps, masked, path) for path in paths], axis=-1)
    each = np.arange(len(triples))
    hits = chances[each, masked.tails].sum(axis=0, dtype=np.float64)
    tries = chances.sum(axis=(0, 1), dtype=np.float64)
    usual = hits.sum() / max(tries.sum(), 1e-9)
    rates = (hits + SHRINKING * usual) / (tries + SHRINKING)
    counted = graph.edges[relation, masked.heads] == 0
    counted[each, masked.tails] = True
    return paths, _weights(np.sqrt(chances), masked.tails, counted, rates, usual), rates


def _weights(
    features: Array, tails: Ints, counted: NDArray[np.bool_], rates: NDArray[np.float64], usual: float
) -> NDArray[np.float64]:
    y = np.zeros(counted.shape)
    y[np.arange(len(tails)), tails] = 1.0
    rows, right = features[counted], y[counted]
    prior = prior_of({(str(i),): float(rate) for i, rate in enumerate(rates)}, float(usual))
    mean = np.array([0.0, *prior.values()])
    precision = np.array([_SPREAD, *([PRECISION] * len(rates))])

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = rows @ at[1:].astype(np.float32) + at[0]
        off = 1.0 / (1.0 + np.exp(-np.clip(z, -40, 40))) - right
        slope = np.array([off.sum(), *(off.astype(np.float32) @ rows)])
        value = (np.logaddexp(0.0, z) - right * z).sum() + 0.5 * precision @ (at - mean) ** 2
        return float(value), slope + precision * (at - mean)

    return np.asarray(minimize(loss, mean, jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS}).x[1:])


def pagerank(graph: Knowledge) -> Scorer:
    """Personalised PageRank over all edges, whatever their relation."""
    whole = stepped(graph.edges.sum(axis=0))
    walk = csr_array(whole.T.astype(np.float64))

    def scorer(relation: int, heads: Ints) -> NDArray[np.float64]:
        del relation
        start = np.zeros((whole.shape[0], len(heads)))
        start[heads, np.arange(len(heads))] = 1.0
        here = start
        for _ in range(30):
            here = RESTART * start + (1 - RESTART) * (walk @ here)
        return np.asarray(here.T)

    return scorer


def ranks(graph: Knowledge, scorer: Scorer, split: str = "test") -> NDArray[np.float64]:
    """The filtered rank of each query's tail; ties count half."""
    return np.concatenate(list(_ranks(graph, scorer, graph.triples[split])))


def _ranks(graph: Knowledge, scorer: Scorer, triples: Ints) -> Iterator[NDArray[np.float64]]:
    for relation in np.unique(triples[:, 1]).tolist():
        asked = triples[triples[:, 1] == relation]
        scores = scorer(relation, asked[:, 0])
        each, tails = np.arange(len(asked)), asked[:, 2]
        own = scores[each, tails].copy()
        scores = np.where(graph.known[relation, asked[:, 0]], -np.inf, scores)
        yield 1.0 + (scores > own[:, None]).sum(axis=1) + 0.5 * (scores == own[:, None]).sum(axis=1)


def figures(found: NDArray[np.float64]) -> dict[str, float]:
    """MRR and hits at 1, 3, 10."""
    return {"MRR": float((1 / found).mean()), **{f"H@{k}": float((found <= k).mean()) for k in (1, 3, 10)}}

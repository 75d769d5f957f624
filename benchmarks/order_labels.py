"""How well could the order be learned? Every label of the other rooms, several rankers, each room left out in turn.

    python -m benchmarks.order_labels                   LoCoMo, the demo room, the written rooms, QMSum's replies
    python -m benchmarks.order_labels --sets locomo     one set, and where the evidence lies that is missed

*start* is what ships, *linear* the product's learner (`routing.weights`) on every label; both rest on our own rooms, so
where these are measured the first is left out and the second has no directions. The others stand on the linear score:
*net* adds to it what a small network makes of the columns (listwise softmax, the mean of a few starts), *half a net*
half of that, *trees* are gradient-boosted trees (scikit-learn) over the columns and that score, *together* is the mean
of linear, net and trees, each standardised. How long the net is taught was chosen on our own rooms. Scores are spaced
as `routing.fusion` spaces them. The demo room is one, so its questions are halved; QMSum's meetings are taken in five
groups. Differences to *linear* are paired by question. Nothing that ships is fitted here.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.harness import Row, interval, show, write
from benchmarks.learning_curve import PLAIN, POOL, PRIOR, Asked, all_labels
from benchmarks.pools import Pool, pools
from memory.ranking import standardised
from routing.fusion import formula, order
from routing.weights import TEMPERATURE, directions_shipped

Array: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = list[Array]

SETS: Final = ("locomo", "demo", "written", "replies")
OURS: Final = frozenset({"demo", "written"})
SEVERAL: Final = "multi_hop"
BUDGET: Final = 2_000
GROUPS: Final = 5
FIRST: Final = 80  # candidates of a question, by the linear score, that net and trees are taught on
NETS: Final = 3
HIDDEN: Final = 16
STEPS: Final = 75
PLACES: Final = (10, 20, 50, POOL)


@dataclass(frozen=True, slots=True)
class Judged:
    """A question ready to be ranked, with its pool. kept: the place in the pool of each candidate that is ranked."""

    asked: Asked
    pool: Pool
    kept: NDArray[np.int64]

    @classmethod
    def of(cls, pool: Pool) -> Judged:
        """The candidates that `Asked` takes of a pool."""
        return cls(Asked.of(pool), pool, np.sort(order(formula(pool.candidates))[:POOL]))

    def measured(self, score: Array) -> tuple[float, float, float]:
        """recall@10, evidence among the first three, recall within `BUDGET` tokens."""
        first = self.spaced(score)
        rest = np.argsort(-score, kind="stable")
        whole = np.concatenate([first, rest[~np.isin(rest, first)]])
        proves = self.asked.evidence[first]
        found = float(proves[:10].sum()) / self.asked.labelled
        return found, float(proves[:3].any()), self.pool.recall_within(self.kept[whole], BUDGET)

    def spaced(self, score: Array, depth: int = 50) -> NDArray[np.int64]:
        """The first places by a score."""
        return Asked(
            self.asked.room,
            self.asked.category,
            self.asked.kind,
            score[:, None],
            self.asked.evidence,
            self.asked.rows,
            self.asked.labelled,
        ).first(np.ones(1), depth)


Ranker: TypeAlias = Callable[[Sequence[Asked], Sequence[Asked], Scores, Scores], Scores]
"""From questions with labels, questions to rank, and the linear scores of both, to the scores of the latter."""


def net(labelled: Sequence[Asked], ranked: Sequence[Asked], known: Scores, linear: Scores) -> Scores:
    """The linear score and what small networks add to it."""
    found = [_net(labelled, ranked, known, linear, seed) for seed in range(NETS)]
    return [np.asarray(np.mean(scores, axis=0)) for scores in zip(*found, strict=True)]


def _net(labelled: Sequence[Asked], ranked: Sequence[Asked], known: Scores, linear: Scores, seed: int) -> Scores:
    torch.manual_seed(seed)
    columns = labelled[0].x.shape[1]
    rows = []
    for one, score in zip(labelled, known, strict=True):
        first = np.argsort(-score, kind="stable")[:FIRST]
        if one.evidence[first].any():
            rows.append((one.x[first], one.evidence[first], score[first]))
    x, wanted, base = np.zeros((len(rows), FIRST, columns)), np.zeros((len(rows), FIRST)), np.zeros((len(rows), FIRST))
    base[:] = -60.0  # a place that is empty
    for i, (columns_of, proves, score) in enumerate(rows):
        x[i, : len(score)], wanted[i, : len(score)], base[i, : len(score)] = columns_of, proves / proves.sum(), score
    given, goal, stands = (torch.tensor(part, dtype=torch.float32) for part in (_held(x), wanted, TEMPERATURE * base))
    last = torch.nn.Linear(HIDDEN, 1)
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    layers = torch.nn.Sequential(torch.nn.Linear(columns, HIDDEN), torch.nn.Tanh(), torch.nn.Dropout(0.2), last)
    steps = torch.optim.AdamW(layers.parameters(), lr=0.01, weight_decay=1e-3)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        some = torch.randint(0, len(rows), (128,), generator=draw)
        chance = torch.log_softmax(stands[some] + layers(given[some]).squeeze(-1), 1)
        loss = -(goal[some] * chance).sum(1).mean()
        steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
    layers.eval()
    with torch.no_grad():
        added = [layers(torch.tensor(_held(one.x), dtype=torch.float32)).squeeze(-1).numpy() for one in ranked]
    return [score + more.astype(np.float64) / TEMPERATURE for score, more in zip(linear, added, strict=True)]


def _held(x: Array) -> Array:
    return np.clip(x, -5.0, 5.0)


def trees(labelled: Sequence[Asked], ranked: Sequence[Asked], known: Scores, linear: Scores) -> Scores:
    """The log-odds by boosted trees that a candidate is evidence."""
    x, proves = [], []
    for one, score in zip(labelled, known, strict=True):
        first = np.argsort(-score, kind="stable")[:FIRST]
        x.append(np.column_stack((one.x, score))[first])
        proves.append(one.evidence[first])
    model = HistGradientBoostingClassifier(
        max_iter=100,
        learning_rate=0.06,
        max_leaf_nodes=8,
        min_samples_leaf=40,
        l2_regularization=10.0,
        early_stopping=False,
        random_state=0,
    ).fit(np.concatenate(x), np.concatenate(proves))
    return [model.decision_function(np.column_stack((one.x, score))) for one, score in zip(ranked, linear, strict=True)]


RANKERS: Final[Mapping[str, Ranker]] = {"net": net, "trees": trees}


def together(parts: Sequence[Scores], linear: Scores) -> Scores:
    """The mean of rankers, each standardised, as spread as the linear score, which spacing counts on."""
    means = [np.mean([standardised(score) for score in some], axis=0) for some in zip(*parts, strict=True)]
    return [mean * float(score.std()) for mean, score in zip(means, linear, strict=True)]


def folds(judged: Sequence[Judged]) -> Iterator[tuple[list[Judged], list[Judged]]]:
    """What is taught on, what is measured: each room in turn, each group of many rooms, each half of a single one."""
    names = sorted({one.asked.room for one in judged})
    if len(names) == 1:
        yield list(judged[1::2]), list(judged[::2])
        yield list(judged[::2]), list(judged[1::2])
        return
    groups = [names[i::GROUPS] for i in range(GROUPS)] if len(names) > 2 * GROUPS else [[name] for name in names]
    for group in groups:
        yield (
            [one for one in judged if one.asked.room not in group],
            [one for one in judged if one.asked.room in group],
        )


def ranked(judged: Sequence[Judged], *, ours: bool) -> tuple[list[Judged], dict[str, Scores]]:
    """Every question with its score by each ranker, which never saw its room. ours: what ships was fitted on them."""
    directions = directions_shipped()[: 0 if ours else None]
    questions: list[Judged] = []
    scores: dict[str, Scores] = {}
    for taught, measured in folds(judged):
        labelled, rest = [one.asked for one in taught], [one.asked for one in measured]
        weights = all_labels(labelled, PLAIN, directions)
        known, linear = ([one.x @ weights.of(one.kind) for one in some] for some in (labelled, rest))
        found = {} if ours else {"start": [one.x @ PRIOR.weights for one in rest]}
        found |= {"linear": linear}
        found |= {name: ranker(labelled, rest, known, linear) for name, ranker in RANKERS.items()}
        found["half a net"] = [(one + other) / 2 for one, other in zip(linear, found["net"], strict=True)]
        found["together"] = together([found[name] for name in ("linear", *RANKERS)], linear)
        questions += measured
        for name, some in found.items():
            scores.setdefault(name, []).extend(some)
    return questions, scores


def where(questions: Sequence[Judged], scores: Scores) -> dict[str, float]:
    """Of the evidence of questions that need several messages, which part lies where, in percent."""
    parts: dict[str, float] = defaultdict(float)
    asked = [(one, score) for one, score in zip(questions, scores, strict=True) if one.asked.category == SEVERAL]
    for one, score in asked:
        proves = one.asked.evidence[one.spaced(score, POOL)]
        share, last = 100 / one.asked.labelled / len(asked), 0
        for place in PLACES:
            parts[f"to {place}"] += share * float(proves[last:place].sum())
            last = place
        parts["nominated, not ranked"] += share * float(one.pool.evidence.sum() - proves.sum())
        parts["not nominated"] += share * float(one.asked.labelled - one.pool.evidence.sum())
    return dict(parts)


def report(name: str) -> dict[str, Any] | None:
    """Measures a set and prints its table; None where its rooms are missing."""
    given = pools(name)
    if given is None:
        return None
    questions, scores = ranked([Judged.of(pool) for pool in given], ours=name in OURS)
    measured = {
        ranker: np.array([one.measured(score) for one, score in zip(questions, some, strict=True)])
        for ranker, some in scores.items()
    }
    several = np.array([one.asked.category == SEVERAL for one in questions])
    rows = []
    for ranker, table in measured.items():
        recall, three, within = 100 * table.mean(axis=0)
        lead = interval((100 * (table[:, 0] - measured["linear"][:, 0])).tolist())
        rows.append(
            Row(
                ranker,
                {
                    "recall@10": f"{recall:.1f}",
                    "over linear": "{:+.1f} [{:+.1f}, {:+.1f}]".format(*lead),
                    "multi-hop": f"{100 * table[several, 0].mean():.1f}" if several.any() else "",
                    "first three": f"{three:.1f}",
                    f"{BUDGET:,} tokens": f"{within:.1f}",
                },
            )
        )
    show(f"{name}: {len(questions)} questions, rooms that nothing was learned in", rows)
    places = where(questions, scores["linear"]) if several.any() else {}
    if places:
        show(f"{name}: where evidence of multi-hop questions lies, linear, %", [Row("", places)])
    return {"rankers": {row.name: dict(row.figures) for row in rows}, "multi-hop evidence": places}


def main() -> None:
    """Every set; JSON to ``benchmarks/out/order-labels.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    found = {name: one for name in parser.parse_args().sets if (one := report(name)) is not None}
    write("order-labels", found)


if __name__ == "__main__":
    main()

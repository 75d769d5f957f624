"""Does the order of messages get better with votes, in rooms that nobody voted in? The learning curve.

    python -m benchmarks.learning_curve             LoCoMo, each room measured with the votes of the four others;
                                                    and QMSum's replies, measured on LoCoMo
    python -m benchmarks.learning_curve --sets written
                                                    the six rooms that were written for this, in the same way
    python -m benchmarks.learning_curve --sets demo the demo room: two halves of its questions

Questions of the other rooms are drawn with replacement and answered with the weights that the votes before have
taught. A fifth of the answers get a vote: 👍 when a message that proves the answer is among the first three shown, else
👎. One voter in five also picks the first shown message that proves it. A tenth of the votes and picks say the
opposite (a wrong pick is any other message that was shown). Votes come late (50 answers on average, one in twenty
after 1,000), one in twenty is taken back. Whoever votes is drawn by Zipf's law from forty people; caps and newcomers'
weights are the product's. After every hundred answers, later after a quarter more, the weights are learned again, as
the product learns them. The start and the directions that ship (`routing.weights`) come from the demo room and the
written rooms; where one of these is measured, they are fitted again without it.

Three starts: the shipped prior, the formula alone, and plain reciprocal rank fusion of BM25 and
MiniLM on single messages. The ceiling of each is what all labels of the same rooms teach the same learner. Candidates
and their columns come from the engine, asked once (`benchmarks.pools`). Intervals are 95 %, over seeds, paired.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Row, console, interval, show, write
from benchmarks.pools import Pool, pools
from benchmarks.simulator import MONDAY, Crowd, stream
from memory.ranking import standardised
from memory.room import DECAY, WINDOW
from routing import weights as learner
from routing.fusion import LEARNED, NEAR, columns, formula, order
from routing.lessons import Pick, Shown, lessons
from routing.models import Vote
from routing.questions import Kind

Array: TypeAlias = NDArray[np.float64]

CHECKPOINTS: Final = (0, 50, 100, 200, 500, 1000, 2000, 5000)
SEEDS: Final = 20
REFRESH: Final = 100
DEPTH: Final = 10
POOL: Final = 150  # of a question's candidates, by the formula: the others never reach the first ten
KEPT: Final = 30
PICKS: Final = 0.2
CROWD: Final = Crowd()
PART: Final = 0.5
"""How much of what all labels would change of the formula is in the start. Rooms that were not fitted on rise until
three quarters of it, LoCoMo and QMSum until half; the whole costs LoCoMo 1 point (docs/learning.md)."""

OF_THE_ROOM: Final = frozenset({"age", "place", "talk_size"})
"""Columns that say where in a room people asked about something, which holds for that room alone."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a room, ready to be ranked: x (candidates, columns), evidence and rows (candidates,)."""

    room: str
    category: str
    kind: Kind
    x: Array
    evidence: NDArray[np.bool_]
    rows: Array
    labelled: int

    @classmethod
    def of(cls, pool: Pool, extra: Callable[[Pool], Array] | None = None) -> Asked:
        """The first candidates of a pool; ``extra`` gives a column of its own."""
        keep = np.sort(order(formula(pool.candidates))[:POOL])
        x = columns(pool.candidates)
        if extra is not None:
            x = np.column_stack([x, extra(pool)])
        rows = pool.candidates.features["row"]
        return cls(pool.room, pool.category, pool.kind, x[keep], pool.evidence[keep], rows[keep], pool.labelled)

    def first(self, w: Array, depth: int = DEPTH) -> NDArray[np.int64]:
        """The first places under weights, spaced as `routing.fusion` spaces them."""
        left, near, taken = self.x @ w, np.zeros(len(self.rows)), []
        for _ in range(min(depth, len(self.rows))):
            best = int(np.argmax(left + near))
            taken.append(best)
            left[best] = -np.inf
            gaps = np.abs(self.rows - self.rows[best])
            beside = gaps <= WINDOW
            near[beside] = np.minimum(near[beside], NEAR * DECAY ** gaps[beside])
        return np.array(taken, dtype=np.int64)

    def kept(self, shown: NDArray[np.int64], w: Array) -> NDArray[np.int64]:
        """What an answer keeps of its pool: what was shown, then the next by score, `KEPT` in all."""
        score = self.x @ w
        score[shown] = np.inf
        rest = np.argsort(-score, kind="stable")[len(shown) : KEPT]
        return np.concatenate([shown, rest])

    def recall(self, weights: learner.Weights) -> float:
        """recall@10 under the weights of its kind."""
        return float(self.evidence[self.first(weights.of(self.kind))].sum()) / self.labelled


@dataclass(frozen=True, slots=True)
class Start:
    """A start of the learner: its prior mean, and the column that it needs beside those of the product."""

    name: str
    weights: Array
    extra: Callable[[Pool], Array] | None = None


def plain_rrf(pool: Pool) -> Array:
    """The z of 1 / (60 + rank by BM25) + 1 / (60 + rank by cosine), of single messages, over the pool."""
    total = np.zeros(len(pool.candidates.serials))
    for name in ("bm25", "d"):
        place = np.empty(len(total))
        place[np.argsort(-np.nan_to_num(pool.candidates.features[name], nan=-1.0), kind="stable")] = np.arange(
            len(total)
        )
        total += 1.0 / (61 + place)
    return standardised(total)


PRIOR: Final = Start("shipped prior", learner.START)
PLAIN: Final = Start("the formula", learner.PLAIN)
RRF: Final = Start("plain RRF", np.append(np.zeros(len(LEARNED)), 2.0), plain_rrf)
STARTS: Final[Mapping[str, Start]] = {"shipped": PRIOR, "formula": PLAIN, "rrf": RRF}


# -- votes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ballot:
    """One vote on what was shown: from when to when it stands, what it says, and the pick that came with it."""

    vote: Vote
    comes: int
    goes: int
    shown: Shown
    picked: int | None


class Voters:
    """A stream of questions with its voters; learns as the product does."""

    def __init__(self, asked: Sequence[Asked], start: Start, directions: Array, seed: int) -> None:
        self._asked = asked
        self._start = start
        self._directions = directions
        self._coins = stream(CROWD, questions=len(asked), routes=1, length=CHECKPOINTS[-1], seed=seed)
        self._rng = np.random.default_rng([seed, 7])
        self._ballots: list[Ballot] = []
        self.weights = learner.Weights(start.weights)

    def answer(self, t: int) -> None:
        """Question ``t`` is answered; whoever votes on it makes up their mind."""
        coins = self._coins
        picks, errs, luck = self._rng.random() < PICKS, self._rng.random() < CROWD.wrong, self._rng.random()
        if coins.reacts[t] >= CROWD.rate:
            return
        asked = self._asked[int(coins.question[t])]
        shown = asked.first(self.weights.of(asked.kind))
        proves = asked.evidence[shown]
        vote = Vote(
            answer=t,
            person=int(coins.voter[t]),
            emoji="👍" if bool(proves[: learner.SHOWN].any()) != bool(coins.errs[t]) else "👎",
            cast_at=MONDAY + timedelta(days=float(coins.comes[t]) / coins.a_day),
            is_asker=bool(coins.voter[t] == coins.asker[t]),
        )
        said = Shown(asked.kind, asked.x[asked.kept(shown, self.weights.of(asked.kind))])
        picked = _pick(proves, errs=errs, luck=luck) if picks else None
        self._ballots.append(Ballot(vote, int(coins.comes[t]), int(coins.goes[t]), said, picked))

    def learn(self, t: int) -> None:
        """The weights that the votes standing at ``t`` teach."""
        standing = [ballot for ballot in self._ballots if ballot.comes <= t < ballot.goes]
        people, counts = np.unique(self._coins.asker[:t], return_counts=True)
        found = lessons(
            [ballot.vote for ballot in standing],
            [Pick(ballot.vote, ballot.picked) for ballot in standing if ballot.picked is not None],
            {ballot.vote.answer: ballot.shown for ballot in standing},
            dict(zip(people.tolist(), counts.tolist(), strict=True)),
        )
        self.weights = learner.learn(found, start=self._start.weights, directions=self._directions)


def _pick(proves: NDArray[np.bool_], *, errs: bool, luck: float) -> int | None:
    """The first shown message that proves the answer, or by mistake another one; None where there is none."""
    among = np.flatnonzero(~proves if errs else proves)
    if not len(among):
        return None
    return int(among[int(luck * len(among))] if errs else among[0])


# -- the curve --------------------------------------------------------------------------------------------------------


def all_labels(asked: Sequence[Asked], start: Start, directions: Array) -> learner.Weights:
    """What every label of these questions teaches the same learner: one lesson a question, over its whole pool."""
    return learner.learn(lessons_of(asked), start=start.weights, directions=directions)


def direction_of(asked: Sequence[Asked]) -> Array:
    """(columns,) what every label of these questions would change of the formula."""
    held = np.array([name in OF_THE_ROOM for name in LEARNED])
    return learner.direction(lessons_of(asked), learner.PLAIN, held) - learner.PLAIN


def lessons_of(asked: Sequence[Asked]) -> list[learner.Lesson]:
    """Labels as lessons: one a question, over its whole pool."""
    return [
        learner.Lesson(i, one.kind, one.x, one.evidence.astype(np.float64), 1.0, labels=True)
        for i, one in enumerate(asked)
        if one.evidence.any()
    ]


def follow(split: Split, seed: int) -> list[float]:
    """One seed: recall@10 on the measured questions at each checkpoint."""
    voters = Voters(split.voted, split.start, split.directions, seed)
    curve = []
    for t in range(CHECKPOINTS[-1] + 1):
        if t in CHECKPOINTS or t % max(REFRESH, t // 4 // REFRESH * REFRESH) == 0:
            voters.learn(t)
        if t in CHECKPOINTS:
            curve.append(recall(split.measured, voters.weights))
        if t < CHECKPOINTS[-1]:
            voters.answer(t)
    return curve


def recall(measured: Sequence[Asked], weights: learner.Weights) -> float:
    """Mean recall@10."""
    return float(np.mean([one.recall(weights) for one in measured]))


@dataclass(frozen=True, slots=True)
class Split:
    """The questions voted on, those measured, and the directions, in which nothing of the latter may be."""

    name: str
    voted: list[Asked]
    measured: list[Asked]
    directions: Array
    start: Start


def start_of(asked: Sequence[Asked]) -> Array:
    """(columns,) the start that these questions give, as what ships is fitted."""
    return np.asarray(learner.PLAIN + PART * direction_of(asked))


def splits(name: str, start: Start) -> Iterator[Split]:
    """The splits of a set; none where rooms are missing."""
    shipped = learner.directions_shipped()
    if name == "replies":
        replies, other = pools("replies"), pools("locomo")
        if replies is not None and other is not None:
            yield Split("locomo", _ready(replies, start), _ready(other, start), shipped, start)
        return
    given = pools(name)
    asked = _ready(given, start) if given is not None else []
    if name == "demo":
        begin = _without(start, _bare("written"))
        for half in (0, 1):
            yield Split(f"half {half}", asked[1 - half :: 2], asked[half::2], shipped[1:], begin)
        return
    bare = _bare(name) if name == "written" else []
    for room in sorted({one.room for one in asked}):
        others = [one for one in bare if one.room != room]
        directions = np.stack([shipped[0], direction_of(others)]) if others else shipped
        begin = _without(start, [*others, *_bare("demo")]) if others else start
        voted, measured = ([one for one in asked if (one.room == room) is here] for here in (False, True))
        yield Split(room, voted, measured, directions, begin)


def _without(start: Start, rest: Sequence[Asked]) -> Start:
    """A start that was fitted, fitted on the rest alone."""
    return replace(start, weights=start_of(rest)) if start is PRIOR else start


@cache
def _bare(name: str) -> list[Asked]:
    return [Asked.of(pool) for pool in pools(name) or ()]


def _ready(given: Sequence[Pool], start: Start) -> list[Asked]:
    return [Asked.of(pool, start.extra) for pool in given]


def curve(name: str, start: Start, seeds: int) -> dict[str, Any] | None:
    """All seeds on one set and start; each measured question counts alike. None where rooms are missing."""
    values: list[Array] = []
    sizes, labels = [], []
    for split in splits(name, start):
        voted, measured = len(split.voted), len(split.measured)
        console.print(f"{name}, {start.name}: {voted} questions voted on, {measured} measured ({split.name})")
        sizes.append(len(split.measured))
        labels.append(recall(split.measured, all_labels(split.voted, split.start, split.directions)))
        values.append(np.array([follow(split, seed) for seed in range(seeds)]))
    if not values:
        return None
    share = np.array(sizes) / sum(sizes)
    by_seed = 100 * np.tensordot(share, np.array(values), axes=1)  # (seeds, checkpoints)
    gains = by_seed - by_seed[:, :1]
    ceiling = 100 * float(share @ np.array(labels))
    return {
        "set": name,
        "start": start.name,
        "checkpoints": list(CHECKPOINTS),
        "recall": by_seed.mean(axis=0).tolist(),
        "gain": [interval(column) for column in gains.T],
        "all labels": ceiling,
        "share of the gain of all labels": (
            (by_seed.mean(axis=0) - by_seed[0, 0]) / (ceiling - by_seed[0, 0])
        ).tolist(),
    }


def report(found: Mapping[str, Any]) -> None:
    """One table."""
    rows = [
        Row(
            f"{n:,} answers",
            {"recall@10": r, "gain": f"{g:+.2f}", "95 %": f"[{low:+.2f}, {high:+.2f}]", "of all": f"{s:.0%}"},
        )
        for n, r, (g, low, high), s in zip(
            found["checkpoints"],
            found["recall"],
            found["gain"],
            found["share of the gain of all labels"],
            strict=True,
        )
    ]
    rows.append(Row("all labels", {"recall@10": found["all labels"]}))
    show(f"{found['set']}, from {found['start']}", rows)


def main() -> None:
    """Every curve; JSON to ``benchmarks/out/learning-curve.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["locomo", "replies", "written"])
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    found = []
    for name in arguments.sets:
        for start in (STARTS[chosen] for chosen in arguments.starts):
            one = curve(name, start, arguments.seeds)
            if one is not None:
                report(one)
                found.append(one)
    write("learning-curve", {"curves": found})


if __name__ == "__main__":
    main()

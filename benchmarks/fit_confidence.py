"""Fit what `routing.confidence` reads, and write ``routing/calibration.json``.

``python -m benchmarks.fit_confidence`` fits on QMSum's meetings (MIT licence) and on our own demo room, on nothing
else. Each question is asked in whole rooms, in parts of them (4 to 256 messages) and in many rooms put into one (up to
20,000 messages), so that the size of a room is learned too:

- *answerable*: in its own room against a room of the same size that shares no speaker with it;
- *right*: in its own room, with the route of chat and, for less weight, with the others; the label says whether a
  message that answers is among the first three. QMSum names whole stretches of a meeting as evidence; questions whose
  stretch is longer than 25 turns are left out here, since hitting somewhere in it says little about hitting a message.

Every kind of case has the weight that `WEIGHTS` gives it, whatever its number of cases; together they weigh as much as
there are different questions, so that asking one in many rooms does not make the fit surer of itself. The line is where
6 % of the answerable questions would be refused. ``--check`` fits on one source and measures on the other instead.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.asking import ROUTES, Case, Library, Outcome, Place, calibration_error, together
from benchmarks.rooms import Question, rooms
from routing.confidence import CLIP, FITTED, Calibration

ANSWERABLE: Final = ("words", "meaning", "known", "strange_names", "size")
RIGHT: Final = ("lead", "words", "length", "few")

PRIOR: Final = 0.95
"""One question in twenty is asked in the wrong room: a guess in round numbers, to be replaced by what votes say."""

REFUSED: Final = 0.06
"""The share of answerable questions that may be refused, on the rooms fitted on; other rooms may see up to 10 %."""

PENALTY: Final = 0.3
"""Inverse strength of the L2 penalty: the best of 1, 0.3, 0.1, 0.03 fitted on one source and measured on the other."""

LONGEST_EVIDENCE: Final = 25
SIZES: Final = (4, 8, 16, 32, 64, 128, 256)
LEAST_PART: Final = 32  # of a meeting: fewer turns of a long stretch do not hold its answer

WEIGHTS: Final[Mapping[str, float]] = {
    "whole": 2.0,
    "part": 1.0,
    "among some": 1.0,
    "among all": 1.0,
    **{f"by {route}": 0.5 for route in ROUTES},
}
"""Of a kind of case within its source; the routes count for *right* alone."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """One case as the fit sees it. ``source`` is demo or qmsum; ``owned`` says that it was asked in its own room."""

    source: str
    kind: str
    question: str
    owned: bool
    hit: bool
    brief: bool  # its evidence is short enough for *right*
    signals: Mapping[str, float]


def main() -> None:
    """Ask, fit, write, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=FITTED)
    parser.add_argument("--check", action="store_true", help="fit on one source, measure on the other, write nothing")
    arguments = parser.parse_args()
    samples = collect()
    if arguments.check:
        check(samples)
        return
    fitted = fit(samples)
    arguments.out.write_text(json.dumps(fitted, indent=1) + "\n", "utf-8")
    print(f"written {arguments.out}: {arguments.out.stat().st_size:,} bytes, from {len(samples):,} cases")


# -- cases ------------------------------------------------------------------------------------------------------------


def collect() -> list[Sample]:
    """Every case, asked."""
    cases = list(build())
    library = Library()
    library.read(cases)
    return [_sample(outcome) for outcome in library.ask(cases) if outcome.signals]


def _sample(outcome: Outcome) -> Sample:
    source, kind = outcome.case.kind.split(": ")
    evidence = outcome.case.evidence
    brief = source == "demo" or len(evidence) <= LONGEST_EVIDENCE
    key = outcome.case.question.id
    return Sample(source, kind, key, bool(evidence), outcome.hit, brief, outcome.signals)


def build() -> Iterator[Case]:
    """All cases of both sources. Raises SystemExit when QMSum is not there."""
    meetings, demo = rooms("qmsum"), rooms("demo")
    if meetings is None or demo is None:
        raise SystemExit("the fit needs QMSum's meetings: set WEAVEBOT_BENCH_DATA to a folder that has them")
    places = {room.name: Place.of(room) for room in [*demo, *meetings]}
    for source, some in (("demo", demo), ("qmsum", meetings)):
        for room in some:
            home = places[room.name]
            asked = [question for question in room.questions if question.evidence]
            strangers = [place for place in places.values() if _strangers(place, home)]
            yield from _cases(source, home, asked, strangers)


def _strangers(one: Place, other: Place) -> bool:
    """Whether nobody writes in both: meetings of one series are about the same things."""
    return {a.lower() for a in one.authors}.isdisjoint(a.lower() for a in other.authors)


def _cases(source: str, home: Place, asked: Sequence[Question], strangers: Sequence[Place]) -> Iterator[Case]:
    chance = random.Random(home.name)  # noqa: S311 - a sample, no secret
    some = chance.sample(strangers, min(8, len(strangers)))
    big = {"among some": some}
    if source == "demo":
        big["among all"] = list(strangers)
    mixed = {
        kind: (together(f"{kind}+{home.name}", [*p, home]), together(f"{kind}-{home.name}", p))
        for kind, p in big.items()
    }
    for question in asked:
        evidence = frozenset(f"{home.name}/{key}" for key in question.evidence)
        yield Case(f"{source}: whole", home, question, evidence)
        for place in chance.sample(strangers, 2):
            yield Case(f"{source}: whole", place, question)
        for kind, (with_home, without) in mixed.items():
            yield Case(f"{source}: {kind}", with_home, question, evidence)
            yield Case(f"{source}: {kind}", without, question)
        for name, route in ROUTES.items():
            yield Case(f"{source}: by {name}", home, question, evidence, route)
        yield from _parts(source, home, question, evidence, strangers, chance)


def _parts(
    source: str,
    home: Place,
    question: Question,
    evidence: frozenset[str],
    strangers: Sequence[Place],
    chance: random.Random,
) -> Iterator[Case]:
    """A part of the room that holds a message of the evidence, and as large a part of another room."""
    if source == "qmsum" and len(evidence) > LONGEST_EVIDENCE:
        return
    held = [i for i, message in enumerate(home.messages) if message.id in evidence]
    sizes = [size for size in SIZES if size < len(home.messages) and (source == "demo" or size >= LEAST_PART)]
    for _ in range(2):
        size = chance.choice(sizes)
        here = home.part(chance.choice(held) - chance.randrange(size), size)
        inside = evidence & {message.id for message in here.messages}
        yield Case(f"{source}: part", here, question, inside)
        other = chance.choice([place for place in strangers if len(place.messages) > size])
        yield Case(f"{source}: part", other.part(chance.randrange(len(other.messages)), size), question)


# -- fit --------------------------------------------------------------------------------------------------------------


def fit(samples: Sequence[Sample]) -> dict[str, Any]:
    """The content of ``calibration.json``."""
    rooms_asked = [s for s in samples if not s.kind.startswith("by ")]
    answered = [s for s in samples if s.owned and s.brief]
    answerable = logistic(rooms_asked, ANSWERABLE, [s.owned for s in rooms_asked])
    right = logistic(answered, RIGHT, [s.hit for s in answered])
    fitted = {
        "made_by": "python -m benchmarks.fit_confidence",
        "fitted_on": "QMSum validation meetings (MIT) and bot/demo",
        "questions": len({s.question for s in rooms_asked}),
        "cases": len(samples),
        "prior": PRIOR,
        "line": 0.0,
        "answerable": answerable,
        "right": right,
    }
    owned = [s for s in rooms_asked if s.owned]
    scores = np.array([Calibration.read(fitted).can_answer(s.signals) for s in owned])
    fitted["line"] = round(quantile(scores, weights(owned), REFUSED), 4)
    return fitted


def logistic(samples: Sequence[Sample], names: Sequence[str], labels: Sequence[bool]) -> dict[str, Any]:
    """A weighted logistic regression on standardised, clipped signals, as `Logistic.read` takes it."""
    x = np.array([[s.signals[name] for name in names] for s in samples])
    w = weights(samples)
    there = np.where(np.isfinite(x), w[:, None], 0.0)
    centre = (there * np.nan_to_num(x)).sum(0) / there.sum(0)
    spread = np.sqrt((there * np.nan_to_num(x - centre) ** 2).sum(0) / there.sum(0))
    z = np.clip(np.nan_to_num((x - centre) / spread), -CLIP, CLIP)
    model = LogisticRegression(C=PENALTY, max_iter=1000).fit(z, np.array(labels), sample_weight=w)
    rows = zip(names, centre, spread, model.coef_[0], strict=True)
    return {
        "intercept": round(float(model.intercept_[0]), 4),
        "signals": {
            name: {"centre": round(float(c), 4), "spread": round(float(s), 4), "weight": round(float(b), 4)}
            for name, c, s, b in rows
        },
    }


def weights(samples: Sequence[Sample]) -> Floats:
    """The weight of each sample: `WEIGHTS`, shared among those of its kind, source and side.

    A side (owned or not) weighs as much as there are questions, in sum.
    """
    keys = [(s.source, s.kind, s.owned) for s in samples]
    counts = {key: keys.count(key) for key in set(keys)}
    raw = np.array([WEIGHTS[kind] / counts[source, kind, owned] for source, kind, owned in keys])
    sides = len({s.owned for s in samples})
    total = sides * len({s.question for s in samples})
    return np.asarray(raw * (total / raw.sum()), dtype=np.float64)


def quantile(values: Floats, weight: Floats, share: float) -> float:
    """The value below which that share of the weight lies."""
    order = np.argsort(values)
    below = np.cumsum(weight[order]) / weight.sum()
    return float(values[order][np.searchsorted(below, share)])


# -- check ------------------------------------------------------------------------------------------------------------


def check(samples: Sequence[Sample]) -> None:
    """Fits on one source and prints, for the other and each kind of case, how right and how sure it was."""
    for source, other in (("demo", "qmsum"), ("qmsum", "demo")):
        calibration = Calibration.read(fit([s for s in samples if s.source == source]))
        print(f"fitted on {source}, measured on {other}")
        for kind in WEIGHTS:
            here = [s for s in samples if (s.source, s.kind) == (other, kind)]
            if here:
                _print_check(kind, here, calibration)


def _print_check(kind: str, here: Sequence[Sample], calibration: Calibration) -> None:
    owned = [s for s in here if s.owned]
    judged = [s for s in owned if s.brief]
    p = np.clip([calibration.right.probability(s.signals) for s in judged], 1e-6, 1 - 1e-6)
    hit = np.array([s.hit for s in judged])
    loss = -np.where(hit, np.log(p), np.log(1 - p)).mean()
    refused = {side: _refused([s for s in here if s.owned == side], calibration) for side in (True, False)}
    print(
        f"  {kind:12s} right: {hit.mean():.2f} said {p.mean():.2f}, log loss {loss:.3f}"
        f", ECE {calibration_error(p, hit):.3f} | abstains: own {refused[True]:.1%}, wrong {refused[False]:.1%}"
    )


def _refused(some: Sequence[Sample], calibration: Calibration) -> float:
    return (
        float(np.mean([calibration.can_answer(s.signals) < calibration.line for s in some])) if some else float("nan")
    )


if __name__ == "__main__":
    main()

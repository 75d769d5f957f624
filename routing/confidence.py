"""How sure an answer may be: two probabilities read off the list of results, never off the texts.

**Can this room answer the question at all?** Decided by how close the best results come in words and meaning, by the
share of the question's words that anybody here has used, and by names that nobody here has heard of. Below the *line*
the bot abstains.

**Is the right message among the first three?** Given that the room can answer, decided mostly by how far those three
stand out from the rest.

They are apart because they fail apart: in a strange room one message may stand out far and mean nothing, and in the
right room the answer may hide among ten messages that are all to the point. The value of an answer is their product,
the probability that one of the first three citations answers the question, where one question in ten is asked in the
wrong room (``prior``). What nothing here can see is a question about what the room does talk about and never answers:
telling it needs reading.

Both are logistic regressions (so Platt's scaling of a weighted sum) over the numbers of `SIGNALS`, fitted on rooms of
two kinds; ``calibration.json`` holds them and names the command that makes it. A number that is missing counts as an
average one, and none counts more than three spreads, so that a strange room cannot push a probability to its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory.models import Candidates, Query
from memory.ranking import cut_names, idf, standardised
from memory.text import STOP, stem, words
from routing.fusion import AS_IT_IS, FORMULA

Floats: TypeAlias = NDArray[np.float64]

FITTED: Final = Path(__file__).with_name("calibration.json")

SHOWN: Final = 3
"""How many of the first messages are shown in every answer; the value speaks of these."""

CLIP: Final = 3.0
_FIELD: Final = 10
"""The messages that the first three are compared with end here."""

SIGNALS: Final[Mapping[str, str]] = {
    "words": "best windowed MaxSim of the first three: the question's words, or their like, are met there",
    "meaning": "best cosine of the first three",
    "known": "share of the question's idf mass that the room's vocabulary holds",
    "strange_names": "1 when a capitalised word inside the question is used by nobody in the room",
    "lead": "score of the best of the first three less that of the best of the others, by the formula",
    "word_lead": "best MaxSim of the first three less the mean of the seven behind them",
    "length": "log(1 + distinct terms of the question): more words pin an answer down",
    "size": "log of the room's messages: among more of them something comes close by chance",
}
"""What the two probabilities are read from."""

_CAPITAL: Final = re.compile(r"(?<=[\w,;:'\"\u2019\u201c(] )[\"'\u201c(]?([A-Z][\w'\u2019-]+)")


@dataclass(frozen=True, slots=True)
class Confidence:
    """``value``: the probability, in [0, 1], that one of the first three citations answers the question.

    ``reasons``: one or two short phrases. ``abstains``: the room does not seem able to answer the question at all.
    """

    value: float
    reasons: tuple[str, ...]
    abstains: bool


@dataclass(frozen=True, slots=True)
class Logistic:
    """p = 1 / (1 + exp(-(intercept + Σ weight · clip((x - centre) / spread)))) over the named signals."""

    names: tuple[str, ...]
    centre: Floats
    spread: Floats
    weight: Floats
    intercept: float

    def terms(self, signals: Mapping[str, float]) -> Floats:
        """(names,) what each signal adds to the sum; 0 for one that is missing."""
        x = np.array([signals[name] for name in self.names])
        return self.weight * np.clip(np.nan_to_num((x - self.centre) / self.spread), -CLIP, CLIP)

    def probability(self, signals: Mapping[str, float], shift: float = 0.0) -> float:
        """In (0, 1); ``shift`` is added to the intercept, in nats."""
        return float(1.0 / (1.0 + np.exp(-(self.intercept + shift + self.terms(signals).sum()))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted artefact. ``answerable`` was fitted on as many wrong rooms as right ones; ``prior`` says how many
    questions are asked in the right one. ``line``: a lower probability of being answerable, under the prior, abstains.
    """

    answerable: Logistic
    right: Logistic
    prior: float
    line: float

    @classmethod
    def read(cls, fitted: Mapping[str, Any]) -> Calibration:
        """From the content of ``calibration.json``. Raises KeyError when a part is missing."""
        return cls(_logistic(fitted["answerable"]), _logistic(fitted["right"]), fitted["prior"], fitted["line"])

    def can_answer(self, signals: Mapping[str, float]) -> float:
        """The probability that the room can answer the question."""
        return self.answerable.probability(signals, float(np.log(self.prior / (1.0 - self.prior))))


@cache
def shipped() -> Calibration:
    """The calibration that comes with the program."""
    return Calibration.read(json.loads(FITTED.read_text("utf-8")))


def assess(query: Query, candidates: Candidates, fused: Floats, calibration: Calibration | None = None) -> Confidence:
    """How sure an answer from these candidates, ordered by their fused scores, may be.

    ``fused`` may be on any scale: only its order is read. Without any candidate the value is 0 and the bot abstains.
    """
    if not len(candidates.serials):
        return Confidence(0.0, ("nothing was found",), abstains=True)
    fitted = calibration or shipped()
    found = signals(query, candidates, fused)
    answerable = fitted.can_answer(found)
    right = fitted.right.probability(found)
    abstains = answerable < fitted.line
    return Confidence(answerable * right, _reasons(query, candidates, found, fitted, abstains=abstains), abstains)


def signals(query: Query, candidates: Candidates, fused: Floats) -> dict[str, float]:
    """The numbers of `SIGNALS`; NaN for one that cannot be had, as without an embedding. At least one candidate."""
    order = np.argsort(-fused, kind="stable")
    first, field = order[:SHOWN], order[SHOWN:_FIELD]
    met, close = candidates.features["mw"], candidates.features["d"]
    scores = _plain(candidates)
    unknown = _unknown(candidates)
    return {
        "words": _best(met[first]),
        "meaning": _best(close[first]),
        "known": _known(candidates),
        "strange_names": float(any(stem(name) in unknown for name, _ in _capitals(query))),
        "lead": _best(scores[first]) - _best(scores[order[SHOWN:]]),
        "word_lead": _best(met[first]) - _mean(met[field]),
        "length": float(np.log1p(len(candidates.found))),
        "size": float(np.log(max(1, candidates.messages))),
    }


def _plain(candidates: Candidates) -> Floats:
    """The formula's sum without what it takes off neighbours: on one scale, whatever fusion ordered the list."""
    total = np.zeros(len(candidates.serials))
    for name, weight in FORMULA.items():
        column = candidates.features.get(name)
        if column is not None:
            total += weight * (np.nan_to_num(column) if name in AS_IT_IS else standardised(column))
    return total


def _best(values: Floats) -> float:
    there = values[np.isfinite(values)]
    return float(there.max()) if len(there) else float("nan")


def _mean(values: Floats) -> float:
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else float("nan")


def _known(candidates: Candidates) -> float:
    counts = np.array(list(candidates.found.values()), dtype=np.int32)
    if not len(counts):
        return float("nan")  # a question of stop words says nothing about the room
    mass = idf(counts, candidates.messages)
    return float(mass[counts > 0].sum() / max(float(mass.sum()), 1e-9))


def _unknown(candidates: Candidates) -> frozenset[str]:
    """The question's terms that no message holds."""
    return frozenset(term for term, count in candidates.found.items() if not count)


def _capitals(query: Query) -> list[tuple[str, str]]:
    """Words of a name inside the question that is no person's here: the word and how it was written."""
    written = [match[1] for match in _CAPITAL.finditer(cut_names(query.text, query.people))]
    return [(word, text) for text in written for word in words(text) if word not in STOP]


# -- reasons ----------------------------------------------------------------------------------------------------------

_MOST_REASONS: Final = 2
_CLEAR: Final = 0.25
"""Nats: what moves the odds by less is not worth a word."""

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "meaning": ("it is close to the question", "nothing comes close to the question"),
    "words": ("it meets the question word by word", "much of the question is not met"),
    "lead": ("the best match stands out", "several messages fit about equally well"),
    "word_lead": ("the best match stands out", "several messages fit about equally well"),
    "length": ("the question is precise", "the question is short"),
}
"""What a signal says where it speaks for the answer, and where it speaks against it."""


def _reasons(
    query: Query, candidates: Candidates, found: Mapping[str, float], fitted: Calibration, *, abstains: bool
) -> tuple[str, ...]:
    """What moved the probabilities most: against the answer when it abstains, else for it, the strongest first."""
    models = (fitted.answerable,) if abstains else (fitted.answerable, fitted.right)
    moved: dict[str, float] = {}
    for model in models:
        for name, amount in zip(model.names, model.terms(found), strict=True):
            moved[name] = moved.get(name, 0.0) + float(amount)
    against = abstains or sum(moved.values()) < 0
    speaking = sorted((-amount if against else amount, name) for name, amount in moved.items())[::-1]
    phrases = [_phrase(query, candidates, name, against=against) for amount, name in speaking if amount > _CLEAR]
    if not against:
        phrases = [_agreeing(candidates, fitted), *phrases]
    return tuple(dict.fromkeys(phrase for phrase in phrases if phrase))[:_MOST_REASONS]


def _phrase(query: Query, candidates: Candidates, name: str, *, against: bool) -> str:
    said: Callable[[], str]
    return ""

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

from memory.extraction.dates import DateSpan, spans
from memory.models import Candidates, Query
from memory.ranking import cut_names, idf, standardised
from memory.text import stem, terms, words
from routing.fusion import AS_IT_IS, FORMULA

Floats: TypeAlias = NDArray[np.float64]

FITTED: Final = Path(__file__).with_name("calibration.json")

SHOWN: Final = 3
"""How many of the first messages are shown in every answer; the value speaks of these."""

CLIP: Final = 3.0
_FEW: Final = 30

SIGNALS: Final[Mapping[str, str]] = {
    "words": "best windowed MaxSim of the first three: the question's words, or their like, are met there",
    "meaning": "best cosine of the first three",
    "known": "share of the question's idf mass that the room's vocabulary holds",
    "strange_names": "1 when a capitalised word inside the question is used by nobody in the room",
    "lead": "root of the gap between the best of the first three and the best of the others, by the formula, signed",
    "length": "log(1 + distinct terms of the question): more words pin an answer down",
    "size": "log of the room's messages: among more of them something comes close by chance",
    "few": "log(1 + 30 / messages): three of a few messages are soon the right ones",
}
"""What the two probabilities are read from."""

_CAPITAL: Final = re.compile(r"(?<=[\w,;:'\"\u2019)] )[\"'\u201c(]?[A-Z][\w'\u2019-]+")


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
    first, others = order[:SHOWN], order[SHOWN:]
    met, close = candidates.features["mw"], candidates.features["d"]
    scores = _plain(candidates)
    ahead = _best(scores[first]) - _best(scores[others])
    asked = _Asked.of(query, candidates)
    return {
        "words": _best(met[first]),
        "meaning": _best(close[first]),
        "known": asked.known,
        "strange_names": float(bool(asked.strange_names)),
        "lead": float(np.sign(ahead) * np.sqrt(abs(ahead))),
        "length": float(np.log1p(len(candidates.found))),
        "size": float(np.log(max(1, candidates.messages))),
        "few": float(np.log1p(_FEW / max(1, candidates.messages))),
    }


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question's words against the room's: ``strange`` ones nobody here has used.

    Dates are taken out: when a message was sent is no word of it. A day or month counts as known when something was
    sent then, as strange when nothing was, and not at all when it lies ahead.
    """

    known: float  # share of the idf mass, NaN without any word
    strange: tuple[str, ...]  # terms, the most specific first
    strange_names: tuple[str, ...]  # as they were written

    @classmethod
    def of(cls, query: Query, candidates: Candidates) -> _Asked:
        rest, dates = _without_dates(query)
        text = cut_names(rest, query.people)
        counts = {term: candidates.found[term] for term in dict.fromkeys(terms(text)) if term in candidates.found}
        held = [*counts.values()]
        if any(span.grain != "year" and span.start <= query.asked_at.date() for span in dates):
            held.append(int(np.count_nonzero(candidates.features["date"] > 0)))
        mass = idf(np.array(held, dtype=np.int32), candidates.messages)
        known = float(mass[np.array(held) > 0].sum() / mass.sum()) if held else float("nan")
        strange = tuple(sorted((term for term, count in counts.items() if not count), key=len, reverse=True))
        names = [match[0] for match in _CAPITAL.finditer(text) if any(stem(word) in strange for word in words(match[0]))]
        return cls(known, strange, tuple(dict.fromkeys(names)))


def _without_dates(query: Query) -> tuple[str, list[DateSpan]]:
    text, dates = query.text, spans(query.text, query.asked_at)
    for span in dates:
        text = text.replace(span.text, " ")
    return text, dates


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

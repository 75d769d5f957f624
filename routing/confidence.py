"""How sure an answer may be: two probabilities read off the list of results, never off the texts.

**Can this room answer the question at all?** Decided by how close the best results come in words and meaning, by the
share of the question's words that anybody here has used, and by names that nobody here has heard of. Below the *line*
the bot abstains.

**Is the right message among the first three?** Given that the room can answer: decided mostly by how far those three
stand out from the rest.

They are apart because they fail apart: in a strange room one message may stand out far and mean nothing, and in the
right room the answer may hide among ten messages that are all to the point. The value of an answer is their product,
the probability that one of the first three citations answers the question, where one question in twenty is asked in the
wrong room (``prior``). What nothing here can see is a question about what the room does talk about and never answers:
telling that needs reading, so such questions get too high a value.

Both are logistic regressions (so Platt's scaling of a weighted sum) over numbers of `SIGNALS`, fitted on rooms of very
different kinds; ``calibration.json`` holds them and names the command that makes it. A number that is missing counts as
an average one, and none counts more than three spreads, so that a strange room cannot push a probability to its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory.extraction.dates import DateSpan, spans
from memory.models import Candidates, Query
from memory.ranking import cut_names, idf
from memory.text import stem, terms, words
from routing.fusion import columns
from routing.weights import START

Floats: TypeAlias = NDArray[np.float64]

FITTED: Final = Path(__file__).with_name("calibration.json")

SHOWN: Final = 3
"""How many of the first messages every answer shows; the value speaks of these."""

DOUBTFUL: Final = 0.6
"""Below this value the reasons say what speaks against the answer."""

CLIP: Final = 3.0
_FEW: Final = 30

SIGNALS: Final[Mapping[str, str]] = {
    "words": "best windowed MaxSim of the first three: the question's words, or their like, are met there",
    "meaning": "best cosine of the first three",
    "known": "share of the question's idf mass that the room's vocabulary holds; see `Asked`",
    "strange_names": "1 when nobody in the room has used a capitalised word of the question",
    "size": "log of the room's messages: among more of them something comes close by chance",
    "lead": "root of the gap between the best of the first three and the best of the others, by `START`, signed",
    "length": "log(1 + distinct terms of the question): more words pin an answer down",
    "few": "log(1 + 30 / messages): three of a few messages are soon the right ones",
}
"""What the probabilities are read from. None depends on a fusion's scale; all are computed in the candidates alone."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """``value``: the probability, in [0, 1], that one of the first three citations answers the question.

    ``reasons``: up to two short phrases, what weighed most first. ``abstains``: the room seems unable to answer.
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

    @classmethod
    def read(cls, fitted: Mapping[str, Any]) -> Logistic:
        """From ``{"intercept": …, "signals": {name: {"centre": …, "spread": …, "weight": …}}}``; raises KeyError."""
        rows = fitted["signals"]
        centre, spread, weight = (
            np.array([row[key] for row in rows.values()]) for key in ("centre", "spread", "weight")
        )
        return cls(tuple(rows), centre, spread, weight, float(fitted["intercept"]))

    def terms(self, signals: Mapping[str, float]) -> dict[str, float]:
        """What each signal adds to the sum, in nats; 0 for one that is missing."""
        x = np.array([signals[name] for name in self.names])
        z = np.clip(np.nan_to_num((x - self.centre) / self.spread), -CLIP, CLIP)
        return dict(zip(self.names, (self.weight * z).tolist(), strict=True))

    def probability(self, signals: Mapping[str, float], shift: float = 0.0) -> float:
        """In (0, 1); ``shift`` nats are added to the intercept."""
        return float(1.0 / (1.0 + np.exp(-(self.intercept + shift + sum(self.terms(signals).values())))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted artefact.

    ``answerable`` was fitted on as many questions in wrong rooms as in right ones; ``prior`` is the share of questions
    that are asked in the right one. A probability of being answerable below ``line``, under the prior, abstains.
    """

    answerable: Logistic
    right: Logistic
    prior: float
    line: float

    @classmethod
    def read(cls, fitted: Mapping[str, Any]) -> Calibration:
        """From the content of ``calibration.json``. Raises KeyError when a part is missing."""
        answerable, right = (Logistic.read(fitted[name]) for name in ("answerable", "right"))
        return cls(answerable, right, float(fitted["prior"]), float(fitted["line"]))

    def can_answer(self, signals: Mapping[str, float]) -> float:
        """The probability that the room can answer the question."""
        return self.answerable.probability(signals, float(np.log(self.prior / (1.0 - self.prior))))


@cache
def shipped() -> Calibration:
    """The calibration that comes with the program."""
    return Calibration.read(json.loads(FITTED.read_text("utf-8")))


def assess(query: Query, candidates: Candidates, fused: Floats, calibration: Calibration | None = None) -> Confidence:
    """How sure an answer from these candidates, in the order of their fused scores, may be.

    ``fused`` may be on any scale: only its order is read. Without any candidate the value is 0 and the bot abstains.
    """
    if not len(candidates.serials):
        return Confidence(0.0, ("nothing was found",), abstains=True)
    fitted = calibration or shipped()
    asked = Asked.of(query, candidates)
    found = signals(asked, candidates, fused)
    answerable = fitted.can_answer(found)
    value = answerable * fitted.right.probability(found)
    abstains = answerable < fitted.line
    doubtful = abstains or value < DOUBTFUL
    reasons = _against(asked, found, fitted) if doubtful else _for(candidates, fused, found, fitted)
    return Confidence(value, reasons, abstains)


@dataclass(frozen=True, slots=True)
class Asked:
    """The question's words against the room's; a *strange* one was used by nobody here.

    Dates are taken out first, since when a message was sent is no word of it. A day, week or month counts as one more
    known term when something was sent then, as a strange one when nothing was, and not at all when it lies ahead.
    """

    known: float  # share of the idf mass; NaN for a question of stop words, which says nothing about the room
    strange: tuple[str, ...]  # words as they were written, longest first
    strange_names: tuple[str, ...]  # those with a capital inside the question
    idle_date: bool  # a date on which nobody wrote

    @classmethod
    def of(cls, query: Query, candidates: Candidates) -> Asked:
        """Reads the question against ``candidates.found``."""
        rest, dates = _without_dates(query)
        text = cut_names(rest, query.people)
        counts = {term: candidates.found[term] for term in dict.fromkeys(terms(text)) if term in candidates.found}
        held = list(counts.values())
        sent_then = int(np.count_nonzero(candidates.features["date"] > 0))
        past = any(span.grain != "year" and span.start <= query.asked_at.date() for span in dates)
        held += [sent_then] if past else []
        strange = {word for word in words(text) if counts.get(stem(word)) == 0}
        names = dict.fromkeys(name for name in _CAPITAL.findall(text) if strange.intersection(words(name)))
        longest_first = sorted(strange, key=lambda word: (-len(word), word))
        return cls(_share(held, candidates.messages), tuple(longest_first), tuple(names), past and not sent_then)


_CAPITAL: Final = re.compile(r"(?<=[\w,;:'\"\u2019)] )[\"'\u201c(]?([A-Z][\w'\u2019-]{1,39})")


def _without_dates(query: Query) -> tuple[str, list[DateSpan]]:
    text, dates = query.text, spans(query.text, query.asked_at)
    for span in dates:
        text = text.replace(span.text, " ")
    return text, dates


def _share(held: list[int], messages: int) -> float:
    """The share of idf mass of terms that any message holds."""
    if not held:
        return float("nan")
    counts = np.array(held, dtype=np.int32)
    mass = idf(counts, messages)
    return float(mass[counts > 0].sum() / max(float(mass.sum()), 1e-9))


def signals(asked: Asked, candidates: Candidates, fused: Floats) -> dict[str, float]:
    """The numbers of `SIGNALS`; NaN for one that cannot be had, as without an embedding. At least one candidate."""
    order = np.argsort(-fused, kind="stable")
    first = order[:SHOWN]
    scores = _plain(candidates)
    ahead = _best(scores[first]) - _best(scores[order[SHOWN:]])
    return {
        "words": _best(candidates.features["mw"][first]),
        "meaning": _best(candidates.features["d"][first]),
        "known": asked.known,
        "strange_names": float(bool(asked.strange_names)),
        "size": float(np.log(max(1, candidates.messages))),
        "lead": float(np.sign(ahead) * np.sqrt(abs(ahead))),
        "length": float(np.log1p(len(candidates.found))),
        "few": float(np.log1p(_FEW / max(1, candidates.messages))),
    }


def _plain(candidates: Candidates) -> Floats:
    """The sum that nobody has voted on yet, whatever fusion ordered the list: scores of all lists on one scale."""
    return np.asarray(columns(candidates) @ START)


def _best(values: Floats) -> float:
    there = values[np.isfinite(values)]
    return float(there.max()) if len(there) else float("nan")


# -- reasons ----------------------------------------------------------------------------------------------------------

_MOST: Final = 2

_FIELD: Final = 5
"""Among so many of the first messages those that agree are counted."""

_FOR: Final[Mapping[str, str]] = {
    "lead": "the best match stands out",
    "words": "the question's words are met",
    "meaning": "it is close in meaning",
    "known": "the room knows these words",
    "length": "the question is precise",
}
_AGAINST: Final[Mapping[str, str]] = {
    "words": "nothing comes close",
    "meaning": "nothing comes close",
    "lead": "several messages fit about equally well",
    "length": "the question is short",
}


def _against(asked: Asked, found: Mapping[str, float], fitted: Calibration) -> tuple[str, ...]:
    """What lowered the odds most; what the room has never heard of comes first, as the plainest reason."""
    moved = _moved(found, fitted)
    worst = sorted((name for name in moved if moved[name] < 0), key=lambda name: moved[name])
    return _first(*(_strange(asked, name) for name in worst), *(_AGAINST.get(name, "") for name in worst))


def _for(candidates: Candidates, fused: Floats, found: Mapping[str, float], fitted: Calibration) -> tuple[str, ...]:
    """What raised the odds most."""
    moved = _moved(found, fitted)
    best = sorted((name for name in _FOR if moved[name] > 0), key=lambda name: -moved[name])
    return _first(_agreeing(candidates, fused, fitted), *(_FOR[name] for name in best)) or ("it is the closest match",)


def _moved(found: Mapping[str, float], fitted: Calibration) -> dict[str, float]:
    """What each signal adds to the two sums, in nats."""
    answerable, right = fitted.answerable.terms(found), fitted.right.terms(found)
    return {name: answerable.get(name, 0.0) + right.get(name, 0.0) for name in SIGNALS}


def _first(*phrases: str) -> tuple[str, ...]:
    """The first few that say something, each once."""
    return tuple(dict.fromkeys(phrase for phrase in phrases if phrase))[:_MOST]


def _strange(asked: Asked, name: str) -> str:
    """What the room has never heard of, in words; empty when it is not that."""
    if name == "strange_names" and asked.strange_names:
        listed = " and ".join(f"\u201c{one}\u201d" for one in asked.strange_names[:2])
        several = len(asked.strange_names) > 1
        return f"the names {listed} are not known here" if several else f"the name {listed} is not known here"
    if name == "known" and asked.idle_date:
        return "nobody wrote anything then"
    others = [word for word in asked.strange if not any(word in words(one) for one in asked.strange_names)]
    return f"nobody here uses the word \u201c{others[0]}\u201d" if name == "known" and others else ""


def _agreeing(candidates: Candidates, fused: Floats, fitted: Calibration) -> str:
    """How many of the first messages are closer, in words and in meaning, than midway between right and wrong rooms."""
    bars = dict(zip(fitted.answerable.names, fitted.answerable.centre.tolist(), strict=True))
    first = np.argsort(-fused, kind="stable")[:_FIELD]
    close = (candidates.features["mw"][first] > bars["words"]) & (candidates.features["d"][first] > bars["meaning"])
    count = int(np.count_nonzero(close))
    return f"{count} messages speak of it" if count > 1 else ""

"""Public routing labels as a bandit: per question, which of three ways of retrieving answered it (MBA-RAG).

Every way was run on every question, so any policy can be replayed. The value is correct minus 0.02 a step (0, 1 and
4.7 steps). Rules and features read the question alone: what shows here is how the learner learns, not our engine.
"""

from __future__ import annotations

import json

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.rooms import data_folder
from benchmarks.simulator import Array, Outcomes
from routing.models import Route
from routing.policies.linear import Design
from routing.questions import Kind, Reading, read

STEP_COST = 0.02
LONG = 20
ROUTES = (
    Route("none", (), "no retrieval", "none", 0.0, "no retrieval", prior=0.35),
    Route("single", ("text",), "single step", "single", STEP_COST, "one retrieval", prior=0.60),
    Route("multi", ("steps",), "multi step", "multi", 4.7 * STEP_COST, "retrieval in steps", prior=0.60),
)
_SINGLE, _MULTI = 1, 2
_KINDS = (Kind.WHO, Kind.WHEN, Kind.WHERE, Kind.WHAT, Kind.HOW, Kind.LIST)


def outcomes() -> tuple[Outcomes, Design]:
    """The labels as a table of outcomes, and the model that fits it. Raises OSError when the file is not there."""
    path = data_folder() / "routes" / "mba-rag-train.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [row["inputs"] for row in rows]
    right = np.array([[way in row["labels"] for way in range(len(ROUTES))] for row in rows])
    readings = [read(text) for text in texts]
    x = _features(texts, readings)
    table = Outcomes(
        rooms=("public",) * len(rows),
        questions=tuple(str(i) for i in range(len(rows))),
        routes=tuple(route.name for route in ROUTES),
        quality=right.astype(np.float64),
        proven=right,
        x=x,
        advised=np.array([_MULTI if r.hops > 1 or r.words >= LONG else _SINGLE for r in readings]),
        features_version=1,
    )
    return table, Design(ROUTES, x.shape[1])


def _features(texts: list[str], readings: list[Reading]) -> Array:
    """(questions, 44): 12 signs of the question and 32 components of its words, mean squared norm 1."""
    hand = np.array([_signs(reading) for reading in readings])
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2).fit_transform(texts)
    parts = TruncatedSVD(32, random_state=0).fit_transform(words)
    both = np.column_stack((hand, parts))
    standard = np.clip((both - both.mean(axis=0)) / both.std(axis=0), -3, 3)
    scaled: Array = standard / np.sqrt((standard**2).sum(axis=1).mean())
    return scaled


def _signs(reading: Reading) -> list[float]:
    kinds = [float(reading.kind is kind) for kind in _KINDS]
    flags = [float(reading.temporal), float(reading.comparison), float(reading.quoted)]
    return [*kinds, *flags, float(np.log1p(reading.words)), float(min(reading.hops, 3)), float(min(reading.proper, 4))]

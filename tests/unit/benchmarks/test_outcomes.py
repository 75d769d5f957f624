"""Fusion is held against the better source, and only where the sources differ."""

from __future__ import annotations

import numpy as np

from benchmarks.outcomes import where_sources_differ
from benchmarks.simulator import Outcomes
from routing.routes import BALANCE, BLEND, CHAT, DOCUMENTS, KEYWORD, LINKED, VECTOR

ROUTES = (KEYWORD, VECTOR, BALANCE, BLEND, CHAT, LINKED, DOCUMENTS)


def table(rows: list[list[float]]) -> Outcomes:
    """Recalls by route, a row a question."""
    quality = np.array(rows)
    return Outcomes(
        rooms=("room",) * len(rows),
        questions=tuple(str(i) for i in range(len(rows))),
        routes=ROUTES,
        quality=quality,
        proven=quality > 0,
        x=np.zeros((len(rows), 1)),
        advised=np.zeros(len(rows), dtype=np.int64),
        features_version=1,
    )


def test_where_they_agree_counts_nothing() -> None:
    agreed = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    words, meaning = [1.0, 0.0, 1.0, 1.0, 1.0, 0.5, 0.0], [0.0, 1.0, 1.0, 0.0, 1.0, 0.5, 0.0]
    best, *fused = where_sources_differ(table([agreed, words, words, words, meaning]))
    assert (best.name, best.figures["questions"], best.figures["recall@10"]) == (f"{KEYWORD} alone", "4", 75.0)
    gains = {row.name: str(row.figures["over the best alone"]).split()[0] for row in fused}
    assert gains == {BALANCE: "+33%", BLEND: "+0%", CHAT: "+33%", LINKED: "-33%", DOCUMENTS: "-100%"}

"""Arrays that the steps of a question share."""

from __future__ import annotations

import numpy as np
import pytest

from memory.recall import Recall


def test_what_is_kept_is_not_made_again_and_cannot_be_written_to() -> None:
    recall, made = Recall(2), []

    def make() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        made.append(1)
        return np.zeros(3)

    assert recall.get("a", make) is recall.get("a", make)
    assert len(made) == 1
    with pytest.raises(ValueError, match="read-only"):
        recall.get("a", make)[0] = 1.0


def test_the_least_recently_used_leaves_first() -> None:
    recall = Recall(2)
    first = recall.get("a", lambda: np.zeros(1))
    recall.get("b", lambda: np.zeros(1))
    assert recall.get("a", lambda: np.ones(1)) is first
    recall.get("c", lambda: np.zeros(1))
    assert recall.get("a", lambda: np.ones(1)) is first
    assert recall.get("b", lambda: np.ones(1))[0] == 1.0

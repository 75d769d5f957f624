"""The rooms of moods and of a shift do what they say, so that the learners in them are judged by the right votes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.router_changes import (
    RIGHT,
    SHIFT,
    UNASKED,
    WORSE,
    AskingRoom,
    ShiftingRoom,
    mood_of,
    moody,
    worse,
)
from benchmarks.router_policies import Ours
from benchmarks.simulator import Crowd, Outcomes, stream


def world(*, right: bool, questions: int = 200) -> Outcomes:
    """One route that is always right, or never."""
    proven = np.full((questions, 1), right)
    return Outcomes(
        rooms=("room",) * questions,
        questions=tuple(str(i) for i in range(questions)),
        routes=("only",),
        quality=proven.astype(np.float64),
        proven=proven,
        x=np.zeros((questions, 1)),
        advised=np.zeros(questions, dtype=np.int64),
        features_version=1,
    )


class TestMoods:
    def test_unasked_the_best_route_looks_worst(self) -> None:
        outcomes, _, coins = moody(0)
        assert outcomes.quality.mean(axis=0) == pytest.approx(RIGHT, abs=0.03)
        right, (bad, good) = np.array(RIGHT), coins.chance.T
        liked = right * good / (right * good + (1 - right) * bad)
        assert int(liked.argmin()) == int(right.argmax())
        assert np.array_equal(coins.chance, UNASKED)

    def test_one_answer_in_twenty_asks_and_most_of_those_asked_vote(self) -> None:
        outcomes, _, coins = moody(1)
        room = AskingRoom.of(coins, outcomes, 1)
        for t in range(len(coins)):
            room.answer(t, 0)
        votes = list(room.standing(10**6))
        asked = [vote for vote in votes if vote.solicited]
        assert all(room.asks[vote.answer] == vote.solicited for vote in votes)
        assert len(asked) == pytest.approx(0.05 * 0.6 * 0.95 * len(coins), rel=0.15)  # one in twenty is taken back
        assert np.mean([vote.emoji == "👍" for vote in asked]) == pytest.approx(RIGHT[0], abs=0.08)

    def test_what_is_counted_are_right_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("benchmarks.router_changes.MOODY", 1_000)
        right, best = mood_of(0, Ours)
        assert min(RIGHT) - 0.05 < right < max(RIGHT) + 0.05
        assert 0 <= best <= 1


class TestShift:
    def test_one_route_gets_its_share_of_right_answers_wrong(self) -> None:
        after = worse(world(right=True), 0, seed=0)
        assert after.quality.mean() == pytest.approx(1 - WORSE, abs=0.1)
        assert np.array_equal(after.proven, after.quality > 0)
        assert worse(world(right=False), 0, seed=0).quality.max() == 0

    def test_votes_speak_of_the_world_in_which_the_answer_was_given(self) -> None:
        coins = stream(
            Crowd(rate=0.999999, wrong=0.0, late=0.0, removed=0.0),
            questions=200,
            routes=1,
            length=SHIFT + 100,
            seed=0,
        )
        room = ShiftingRoom(coins, world(right=True), [], replace(world(right=False)))
        for t in range(SHIFT - 100, SHIFT + 100):
            room.answer(t, 0)
        said = {vote.answer: vote.emoji for vote in room.standing(10**6)}
        assert {said[t] for t in said if t < SHIFT} == {"👍"}
        assert {said[t] for t in said if t >= SHIFT} == {"👎"}

"""What votes teach the order: nothing without evidence, in the right direction, within bounds, and never a trace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.fusion import LEARNED
from routing.questions import Kind
from routing.weights import (
    BOUND,
    FIRMNESS,
    LEAST,
    PLAIN,
    START,
    UNTAUGHT,
    Array,
    Lesson,
    directions_shipped,
    learn,
    picked,
    precision,
    rated,
)

LENGTH = LEARNED.index("length")


def pool(seed: int, candidates: int = 12) -> Array:
    """Columns as they are after standardising, in the order of the formula."""
    x = np.random.default_rng(seed).standard_normal((candidates, len(LEARNED)))
    return x[np.argsort(-(x @ START))]


def answered(count: int, weight: float = 4.0, kind: Kind = Kind.WHO) -> list[Lesson]:
    """Picks by people to whom the longest message is the right one, in proportion."""
    found = []
    for i in range(count):
        x = pool(i)
        right = int(np.argmax(x @ START + weight * x[:, LENGTH]))
        lesson = picked(i, kind, x, right, 1.0)
        assert lesson is not None
        found.append(lesson)
    return found


def answered_by(w: Array, count: int) -> list[Lesson]:
    """Picks by people who order as these weights do."""
    lessons = (picked(i, Kind.WHO, pool(i), int(np.argmax(pool(i) @ w)), 1.0) for i in range(count))
    return [one for one in lessons if one is not None]


class TestLearning:
    def test_without_votes_it_is_the_start(self) -> None:
        assert learn([]).common.tolist() == START.tolist()
        assert UNTAUGHT.of(Kind.WHO).tolist() == START.tolist()

    def test_a_few_votes_move_nothing(self) -> None:
        few = learn(answered(2 * LEAST - 2))
        assert few.common.tolist() == START.tolist()
        assert few.lessons == 2 * LEAST - 2

    def test_votes_that_agree_move_the_weight_that_they_speak_for(self) -> None:
        taught = learn(answered(120))
        moved = taught.common - START
        assert moved[LENGTH] > 0.5
        assert int(np.argmax(np.abs(moved))) == LENGTH

    def test_votes_at_random_move_nothing(self) -> None:
        rng = np.random.default_rng(3)
        noise = [picked(i, Kind.WHO, pool(i), int(rng.integers(10)), 1.0) for i in range(60)]
        assert learn([one for one in noise if one is not None]).common.tolist() == START.tolist()

    def test_a_kind_of_question_may_differ_and_others_follow_the_common_weights(self) -> None:
        taught = learn([*answered(100), *answered(100, weight=0.0, kind=Kind.WHEN)])
        assert taught.of(Kind.WHO)[LENGTH] > taught.of(Kind.WHEN)[LENGTH]
        assert taught.of(Kind.WHY).tolist() == taught.common.tolist()

    def test_no_weight_leaves_its_bound(self) -> None:
        taught = learn(answered(1500, weight=40.0))
        for weights in (taught.common, taught.of(Kind.WHO)):
            assert np.abs(weights - START).max() <= BOUND + 1e-12


class TestRatings:
    def test_a_rating_speaks_of_the_first_three(self) -> None:
        lesson = rated(1, Kind.WHO, pool(1), y=0.8, trust=1.0)
        assert lesson is not None
        assert lesson.said.tolist() == [0.8] * 3 + [1 - 0.8] * 9

    def test_what_says_nothing_is_no_lesson(self) -> None:
        assert rated(1, Kind.WHO, pool(1), y=0.8, trust=0.0) is None
        assert rated(1, Kind.WHO, pool(1, 3), y=0.8, trust=1.0) is None
        assert picked(1, Kind.WHO, pool(1), 12, 1.0) is None
        assert picked(1, Kind.WHO, pool(1), 0, 0.0) is None

    def test_dislike_moves_away_from_what_the_first_have(self) -> None:
        rows = []
        for i in range(300):
            x = pool(i)
            x[:, LENGTH] = np.where(np.arange(12) < 3, 2.0, 0.0) * (i % 2)
            rows.append(rated(2 * i + i % 3, Kind.WHO, x, y=0.2 if i % 2 else 0.8, trust=1.0))
        taught = learn([row for row in rows if row is not None])
        assert taught.common[LENGTH] < -0.1


class TestExactness:
    @given(st.permutations(range(40)))
    @settings(max_examples=10, deadline=None)
    def test_the_order_of_votes_means_nothing(self, turn: list[int]) -> None:
        votes = answered(40)
        assert np.array_equal(learn(votes).common, learn([votes[i] for i in turn]).common)

    def test_a_vote_taken_back_leaves_nothing(self) -> None:
        votes, more = answered(60), answered(70)[60:]
        assert np.abs(learn(votes).common - learn([*votes, *more][:60]).common).max() <= 1e-8
        assert learn([*votes, *more]).digest != learn(votes).digest == learn(list(reversed(votes))).digest


class TestStart:
    def test_it_leads_from_the_formula_towards_what_each_of_our_rooms_taught(self) -> None:
        moved = START - PLAIN
        assert 0 < np.abs(moved).max() < BOUND
        for d in directions_shipped():
            assert moved @ d / (np.linalg.norm(moved) * np.linalg.norm(d)) > 0.5

    def test_it_says_nothing_of_where_in_a_room_people_ask(self) -> None:
        assert all(START[LEARNED.index(name)] == 0 for name in ("age", "place", "talk_size"))


class TestPrior:
    @pytest.mark.parametrize("firmness", FIRMNESS)
    def test_along_the_directions_of_our_own_rooms_the_hold_is_weaker(self, firmness: float) -> None:
        directions = directions_shipped()
        hold = precision(START, firmness, directions)
        across = np.linalg.svd(np.stack([*directions, START]))[2][-1]  # nor as sharp as the start
        for d in directions:
            assert d @ hold @ d / (d @ d) < 0.5 * firmness
        assert np.isclose(across @ hold @ across, firmness)
        assert (np.linalg.eigvalsh(hold) > 0).all()

    def test_columns_that_a_benchmark_adds_are_held_like_others(self) -> None:
        assert np.isclose(precision(np.append(START, 0.0), 12.0, directions_shipped())[-1, -1], 12.0)

    def test_a_few_votes_lead_further_along_the_directions_than_across(self) -> None:
        directions = directions_shipped()
        taught = learn(answered_by(START + directions[0], 120))
        moved = taught.common - START
        along = np.linalg.lstsq(directions.T, moved, rcond=None)[0] @ directions
        assert np.linalg.norm(along) > 2 * np.linalg.norm(moved - along)

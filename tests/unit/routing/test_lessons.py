"""From votes and picks to lessons: who counts how much."""

from __future__ import annotations

import numpy as np
import pytest

from routing.fusion import LEARNED
from routing.lessons import PICKS_OF_A_PERSON, RATING, Pick, Shown, lessons
from routing.questions import Kind
from routing.weights import START, learn
from tests.unit.routing.voting import vote

ESTABLISHED = {1: 10, 2: 10, 3: 10, 4: 10}


def shown(answer: int, candidates: int = 12) -> Shown:
    """A pool in the order of the formula."""
    x = np.random.default_rng(answer).standard_normal((candidates, len(LEARNED)))
    return Shown(Kind.WHO, x[np.argsort(-(x @ START))])


def test_a_thumb_is_a_lesson_about_the_first_three() -> None:
    [up] = lessons([vote(1, "👍")], [], {1: shown(1)}, ESTABLISHED)
    [down] = lessons([vote(1, "👎")], [], {1: shown(1)}, ESTABLISHED)
    assert up.said[0] > up.said[5]
    assert down.said[0] < down.said[5]
    assert up.weight == pytest.approx(RATING)


def test_a_pick_names_one() -> None:
    [lesson] = lessons([], [Pick(vote(1, "4⃣"), 3)], {1: shown(1)}, ESTABLISHED)
    assert int(np.argmax(lesson.said)) == 3


def test_a_bystander_and_a_newcomer_say_less() -> None:
    picks = [Pick(vote(1, "1⃣", person=1), 0), Pick(vote(2, "1⃣", person=2, asker=False), 0)]
    picks.append(Pick(vote(3, "1⃣", person=9), 0))
    found = lessons([], picks, {n: shown(n) for n in (1, 2, 3)}, ESTABLISHED)
    assert {one.answer: one.weight for one in found} == pytest.approx({1: 1.0, 2: 0.5, 3: 0.2})


def test_votes_on_answers_that_show_nothing_any_more_teach_nothing() -> None:
    assert lessons([vote(1)], [Pick(vote(2, "1⃣"), 0)], {}, ESTABLISHED) == []


def test_an_answer_that_showed_too_little_teaches_nothing() -> None:
    assert lessons([vote(1)], [Pick(vote(1, "9⃣"), 8)], {1: shown(1, 2)}, ESTABLISHED) == []


def test_ten_thousand_votes_of_one_person_are_worth_a_hundred() -> None:
    many = range(1, 10_001)
    one = shown(1)
    picks = [Pick(vote(answer, "1⃣"), 0) for answer in many]
    assert sum(row.weight for row in lessons([], picks, dict.fromkeys(many, one), ESTABLISHED)) == PICKS_OF_A_PERSON
    ratings = [vote(answer, "👎", days=answer) for answer in many]
    weight = sum(row.weight for row in lessons(ratings, [], dict.fromkeys(many, one), ESTABLISHED))
    assert weight < 150


def test_one_spammer_cannot_turn_what_a_team_taught() -> None:
    pools = {n: shown(n) for n in range(1, 401)}
    team = [Pick(vote(n, "1⃣", person=1 + n % 4), int(np.argmax(pools[n].x[:10, -1]))) for n in range(1, 201)]
    spam = [Pick(vote(n, "1⃣", person=9), int(np.argmin(pools[n].x[:10, -1]))) for n in range(201, 401)]
    honest = learn(lessons([], team, pools, {**ESTABLISHED, 9: 50})).common[-1]
    attacked = learn(lessons([], [*team, *spam], pools, {**ESTABLISHED, 9: 50})).common[-1]
    assert honest > 0
    assert attacked > honest / 3

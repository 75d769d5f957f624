"""The reaction simulator keeps its promises: paired coins, votes that come late and go, nothing told to a policy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulator import Crowd, Outcomes, Room, Stream, stream

EAGER = Crowd(rate=0.999999, wrong=0.0, late=0.0, removed=0.0)


def table(questions: int = 40) -> Outcomes:
    """Two routes: the first always finds the evidence, the second never."""
    quality = np.tile([1.0, 0.0], (questions, 1))
    return Outcomes(
        rooms=("room",) * questions,
        questions=tuple(str(i) for i in range(questions)),
        routes=("good", "bad"),
        quality=quality,
        proven=quality > 0,
        x=np.zeros((questions, 3)),
        advised=np.zeros(questions, dtype=np.int64),
        features_version=1,
    )


def coins(crowd: Crowd, length: int = 2000, seed: int = 0) -> Stream:
    return stream(crowd, questions=40, routes=2, length=length, seed=seed)


def voted(crowd: Crowd, route: int, length: int = 2000) -> Room:
    """A room in which every question was answered by one route."""
    room = Room.open(coins(crowd, length), table())
    for t in range(length):
        room.answer(t, route)
    return room


class TestOutcomes:
    def test_a_table_comes_back_from_its_file(self, tmp_path: Path) -> None:
        table().save(tmp_path / "deep" / "outcomes.npz")
        again = Outcomes.load(tmp_path / "deep" / "outcomes.npz")
        assert (again.rooms, again.questions, again.routes) == (table().rooms, table().questions, table().routes)
        assert np.array_equal(again.quality, table().quality)
        assert np.array_equal(again.proven, table().proven)

    def test_tables_are_joined_row_by_row(self) -> None:
        both = Outcomes.joined([table(3), table(4)])
        assert (len(both.questions), both.x.shape) == (7, (7, 3))


class TestStream:
    def test_the_same_seed_gives_the_same_luck_and_another_gives_another(self) -> None:
        one, same, other = coins(Crowd()), coins(Crowd()), coins(Crowd(), seed=1)
        assert np.array_equal(one.question, same.question)
        assert np.array_equal(one.reacts, same.reacts)
        assert not np.array_equal(one.question, other.question)

    def test_few_people_ask_most(self) -> None:
        counts = np.bincount(coins(Crowd()).asker)
        assert counts[0] > 5 * counts[20]

    def test_moods_differ_by_route_and_outcome_only_when_asked_for(self) -> None:
        assert coins(Crowd()).chance == pytest.approx(np.full((2, 2), 0.2))
        assert coins(Crowd(mood=1.0)).chance.std() > 0.05


class TestVotes:
    def test_about_the_rate_of_answers_gets_one(self) -> None:
        assert len(list(voted(Crowd(removed=0.0), 0).standing(10**6))) == pytest.approx(400, rel=0.2)

    def test_they_say_whether_evidence_was_shown(self) -> None:
        assert {vote.emoji for vote in voted(EAGER, 0).standing(10**6)} == {"👍"}
        assert {vote.emoji for vote in voted(EAGER, 1).standing(10**6)} == {"👎"}

    def test_some_say_the_opposite(self) -> None:
        emoji = [vote.emoji for vote in voted(Crowd(rate=0.999999, wrong=0.1, removed=0.0), 0).standing(10**6)]
        assert emoji.count("👎") / len(emoji) == pytest.approx(0.1, rel=0.25)

    def test_none_stands_before_it_comes(self) -> None:
        room = voted(EAGER, 0)
        assert all(vote.answer < 100 for vote in room.standing(100))
        assert len(list(room.standing(100))) < len(list(room.standing(10**6)))

    def test_some_are_taken_back(self) -> None:
        room = voted(Crowd(rate=0.999999, late=0.0, removed=0.2), 0)
        assert len(list(room.standing(10**6))) / 2000 == pytest.approx(0.8, rel=0.05)

    def test_most_come_from_whoever_asked(self) -> None:
        votes = list(voted(EAGER, 0).standing(10**6))
        assert 0.75 < sum(vote.is_asker for vote in votes) / len(votes) < 0.95

    def test_how_often_each_person_asked_is_known(self) -> None:
        assert sum(voted(EAGER, 0, 50).asked(30).values()) == 30

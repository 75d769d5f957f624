"""From votes to rewards."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from routing.models import Evidence, Reward, Vote
from routing.policies.linear import Posterior
from routing.rewards import Cast, Standing, generosity, offsets, reliability, rewards, standing_emoji
from tests.unit.routing.asking import numbers
from tests.unit.routing.voting import DAY, ROUTES, largest, vote

ON_CHAT = Standing(dict.fromkeys(range(2000), "chat"), dict.fromkeys(range(50), 9))


def entropy(chance: float) -> float:
    return -chance * math.log2(chance) - (1 - chance) * math.log2(1 - chance)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def only(votes: list[Vote], standing: Standing = ON_CHAT) -> Reward:
    [reward] = rewards(votes, standing)
    return reward


def weight(votes: list[Vote], standing: Standing = ON_CHAT) -> float:
    return sum(reward.w for reward in rewards(votes, standing))


def crowd(answer: int, count: int, emoji: str = "👍") -> list[Vote]:
    return [vote(answer, emoji, person=10 + i, asker=False) for i in range(count)]


class TestOneVoteAPerson:
    def test_the_most_recent_rating_that_is_still_there(self) -> None:
        later = DAY + timedelta(minutes=1)
        assert standing_emoji([Cast("👍", DAY), Cast("⭐", later)]) == "⭐"
        assert standing_emoji([Cast("👍", DAY), Cast("⭐", later, removed=True)]) == "👍"

    def test_nothing_when_everything_was_taken_back(self) -> None:
        assert standing_emoji([Cast("👍", DAY, removed=True)]) is None
        assert standing_emoji([]) is None

    def test_picks_and_attention_never_replace_a_rating(self) -> None:
        later = DAY + timedelta(minutes=1)
        assert standing_emoji([Cast("👎🏽", DAY), Cast("1️⃣", later), Cast("👀", later), Cast(":parrot:", later)]) == "👎"

    def test_of_two_at_the_same_moment_the_order_of_arrival_means_nothing(self) -> None:
        casts = [Cast("👍", DAY), Cast("👎", DAY)]
        assert standing_emoji(casts) == standing_emoji(casts[::-1])

    def test_a_second_vote_on_the_same_answer_replaces_the_first(self) -> None:
        down = replace(vote(1, "👎"), cast_at=DAY + timedelta(hours=1))
        assert only([vote(1, "👍"), down]) == only([down]) == only([down, vote(1, "👍")])


class TestFormula:
    @pytest.mark.parametrize(("emoji", "llr"), [("⭐", 2.2), ("👍🏽", 1.6), ("❤️", 0.8), ("🤔", -0.6), ("👎", -1.8)])
    def test_one_asker_alone(self, emoji: str, llr: float) -> None:
        evidence = 0.8 * llr
        reward = only([vote(1, emoji)])
        assert reward.y == pytest.approx(sigmoid(evidence))
        assert reward.w == pytest.approx(1 - entropy(sigmoid(evidence)))

    def test_an_asker_and_a_bystander_add_up(self) -> None:
        evidence = 0.8 * 1.6 - 0.5 * 0.8 * 1.8
        reward = only([vote(1), vote(1, "👎", person=2, asker=False)])
        assert reward.y == pytest.approx(sigmoid(evidence))
        assert reward.w == pytest.approx(1 - entropy(sigmoid(evidence)))

    def test_the_asker_weighs_more_than_a_bystander(self) -> None:
        assert only([vote(1, "👎")]).w > only([vote(1, "👎", asker=False)]).w
        assert only([vote(1), vote(1, "👎", person=2, asker=False)]).y > 0.5

    def test_at_most_three_bystanders_count(self) -> None:
        assert only(crowd(1, 3)) == only(crowd(1, 30))

    def test_among_bystanders_the_most_reliable_count(self) -> None:
        trusted = replace(ON_CHAT, reliability=dict.fromkeys(range(10, 40), 0.3) | {39: 1.0})
        assert only(crowd(1, 30), trusted).w > only(crowd(1, 29), trusted).w

    def test_the_evidence_of_an_answer_is_bounded(self) -> None:
        sure = replace(ON_CHAT, reliability=dict.fromkeys(range(50), 1.0))
        reward = only([vote(1, "⭐"), *crowd(1, 3, "⭐")], sure)
        assert reward.y == pytest.approx(sigmoid(3.0))

    def test_votes_that_cancel_weigh_nothing(self) -> None:
        votes = [vote(1, "👍", asker=False), vote(1, "👎", person=2, asker=False)]
        even = replace(ON_CHAT, llr={"👍": 1.5, "👎": -1.5})
        assert only(votes, even).w == pytest.approx(0.0)

    def test_an_unreliable_person_says_less(self) -> None:
        doubted = replace(ON_CHAT, reliability={1: 0.2})
        assert 0 < only([vote(1)], doubted).w < only([vote(1)]).w

    def test_generosity_is_taken_off(self) -> None:
        generous = replace(ON_CHAT, generosity={1: 1.6})
        assert only([vote(1, "👍")], generous).w == pytest.approx(0.0)
        assert only([vote(1, "👎")], generous).y < only([vote(1, "👎")]).y

    def test_a_volunteered_vote_is_corrected_and_one_that_was_asked_for_is_not(self) -> None:
        flattered = replace(ON_CHAT, offsets={"chat": 0.7})
        assert only([vote(1)], flattered).y == pytest.approx(sigmoid(0.8 * 1.6 - 0.7))
        assert only([vote(1, solicited=True)], flattered) == only([vote(1, solicited=True)])

    @pytest.mark.parametrize("emoji", ["👀", "1️⃣", ":parrot:", "", "⏳"])
    def test_what_rates_nothing_is_no_reward(self, emoji: str) -> None:
        assert rewards([vote(1, emoji)], ON_CHAT) == []

    def test_an_answer_without_a_route_is_left_out(self) -> None:
        assert rewards([vote(9999)], ON_CHAT) == []


class TestNewcomers:
    def test_the_first_vote_of_the_first_person_counts_in_full(self) -> None:
        assert weight([vote(1)], Standing({1: "chat"}, {1: 1})) == weight([vote(1)])

    @pytest.mark.parametrize(("others", "share"), [(0, 1.0), (1, 0.7333), (2, 0.4667), (3, 0.2), (20, 0.2)])
    def test_the_more_people_are_established_the_less_a_newcomer_counts(self, others: int, share: float) -> None:
        team = Standing({1: "chat"}, {1: 1} | {2 + i: 5 for i in range(others)})
        assert weight([vote(1)], team) == pytest.approx(share * weight([vote(1)]), rel=1e-3)

    def test_after_five_answers_nobody_is_new(self) -> None:
        team = Standing({1: "chat"}, {1: 5, 2: 9, 3: 9, 4: 9})
        assert weight([vote(1)], team) == weight([vote(1)])

    def test_a_newcomer_alone_keeps_the_direction_of_the_vote(self) -> None:
        team = Standing({1: "chat"}, {2: 9, 3: 9, 4: 9})
        assert only([vote(1)], team).y == only([vote(1)]).y

    def test_newcomers_do_not_outvote_an_established_asker(self) -> None:
        team = Standing({1: "chat"}, {1: 9, 2: 9, 3: 9})
        assert only([vote(1), *crowd(1, 3, "👎")], team).y > 0.5


class TestCaps:
    def test_one_person_weighs_at_most_five_on_a_route(self) -> None:
        votes = [vote(i, days=i) for i in range(200)]
        assert weight(votes) == pytest.approx(5.0)

    def test_other_routes_are_capped_apart(self) -> None:
        team = Standing({i: ROUTES[i % 2] for i in range(200)}, {1: 9})
        assert weight([vote(i, days=i) for i in range(200)], team) == pytest.approx(10.0)

    def test_the_newest_count_so_that_a_change_of_mind_is_heard(self) -> None:
        votes = [vote(i, "👍", days=i) for i in range(100)] + [vote(100 + i, "👎", days=100 + i) for i in range(30)]
        heard = [reward for reward in rewards(votes, ON_CHAT) if reward.w > 0]
        assert all(reward.y < 0.5 for reward in heard)

    def test_alone_on_a_day_a_person_weighs_at_most_three(self) -> None:
        team = Standing({i: ROUTES[i % 8] for i in range(200)}, {1: 9})
        assert weight([vote(i) for i in range(200)], team) == pytest.approx(3.0)

    def test_in_a_busy_team_at_most_a_tenth_of_the_day(self) -> None:
        team = Standing({i: ROUTES[i % 8] for i in range(2000)}, dict.fromkeys(range(100), 9))
        others = [vote(i, person=2 + i % 90) for i in range(1000)]
        mine = [vote(1000 + i, person=1) for i in range(900)]
        all_ = rewards([*others, *mine], team)
        share = sum(r.w for r in all_ if r.answer >= 1000) / sum(r.w for r in all_)
        assert 0.09 < share <= 0.1 + 1e-9

    def test_a_few_votes_are_not_capped(self) -> None:
        assert weight([vote(i) for i in range(8)]) == pytest.approx(8 * weight([vote(1)]))

    def test_one_spammer_cannot_drown_a_team(self) -> None:
        team = Standing(dict.fromkeys(range(1000), ROUTES[0]), dict.fromkeys(range(50), 9))
        fair = [vote(i, "👍", person=2 + i % 20, days=i) for i in range(100)]
        spam = [vote(200 + i, "👎", person=1, days=i) for i in range(300)]
        found = rewards([*fair, *spam], team)
        assert sum(r.w for r in found if r.y < 0.5) < 0.3 * sum(r.w for r in found if r.y > 0.5)


histories = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.integers(1, 5),
        st.sampled_from("👍 👎 ⭐ 🤔 ❤️ 👍🏽 👀 1️⃣".split()),
        st.booleans(),
        st.integers(0, 9),
    ),
    max_size=40,
)


class TestAnyInterleaving:
    @settings(max_examples=60, deadline=None)
    @given(histories, st.randoms(use_true_random=False))
    def test_votes_and_removals_end_as_the_standing_votes_alone(
        self, history: list[tuple[int, int, str, bool, int]], shuffle: random.Random
    ) -> None:
        shuffled = list(history)
        shuffle.shuffle(shuffled)
        never_cast = [row for row in history if not row[3]]
        one, other = learned(shuffled), learned(never_cast)
        assert largest(one.mean - other.mean) < 1e-8
        assert one.digest == other.digest

    @settings(max_examples=40, deadline=None)
    @given(histories)
    def test_every_reward_is_in_its_range(self, history: list[tuple[int, int, str, bool, int]]) -> None:
        for reward in rewards(standing_votes(history), TEAM):
            assert 0 < reward.y < 1
            assert 0 <= reward.w <= 1


TEAM = Standing({answer: ROUTES[answer % 3] for answer in range(13)}, {1: 7, 2: 6, 3: 1, 4: 9, 5: 0})


def standing_votes(history: list[tuple[int, int, str, bool, int]]) -> list[Vote]:
    """What stands after reactions (answer, person, emoji, taken back, minute) came in some order."""
    ledger: dict[tuple[int, int], list[Cast]] = {}
    for answer, person, emoji, removed, minute in history:
        cast = Cast(emoji, DAY + timedelta(minutes=minute), removed)
        ledger.setdefault((answer, person), []).append(cast)
    votes = []
    for (answer, person), casts in ledger.items():
        stands = standing_emoji(casts)
        if stands is not None:
            votes.append(Vote(answer, person, stands, DAY, is_asker=person == answer % 5 + 1))
    return votes


def _evidence(reward: Reward, x: NDArray[np.float64]) -> Evidence:
    return Evidence(reward.answer, TEAM.routes[reward.answer], 1, followed_rules=True, x=x, y=reward.y, w=reward.w)


def learned(history: list[tuple[int, int, str, bool, int]]) -> Posterior:
    """The posterior from what stands."""
    x = numbers("Who?").x
    found = rewards(standing_votes(history), TEAM)
    return Posterior.from_votes([_evidence(r, x) for r in found], 20)


class TestEstimates:
    def test_somebody_who_rates_like_the_team_is_not_generous(self) -> None:
        votes = [vote(i, "👍" if i % 4 else "👎", person=1 + i // 40) for i in range(80)]
        assert generosity(votes) == pytest.approx({1: 0.0, 2: 0.0}, abs=0.05)

    def test_somebody_who_always_likes_is_and_a_few_votes_prove_little(self) -> None:
        team = [vote(i, "👍" if i % 2 else "👎", person=9) for i in range(200)]
        much = generosity([*team, *(vote(300 + i, "👍", person=1) for i in range(60))])
        little = generosity([*team, *(vote(300 + i, "👍", person=1) for i in range(3))])
        assert much[1] > 3 * little[1] > 0

    def test_emoji_that_rate_nothing_are_not_counted(self) -> None:
        assert generosity([vote(1, "👀")]) == {}

    def test_a_route_praised_only_by_volunteers_has_an_offset(self) -> None:
        team = Standing({i: "chat" if i < 400 else "keyword" for i in range(800)})
        votes = [vote(i, "👍") for i in range(200)] + [
            vote(200 + i, "👍" if i % 2 else "👎", solicited=True) for i in range(100)
        ]
        votes += [vote(400 + i, "👍" if i % 2 else "👎", solicited=i < 60) for i in range(120)]
        found = offsets(votes, team)
        assert found["chat"] > found["keyword"] > 0

    def test_without_answers_that_were_asked_for_there_is_none(self) -> None:
        assert offsets([vote(i) for i in range(50)], ON_CHAT) == pytest.approx({"chat": 0.0})
        assert offsets([], ON_CHAT) == {}

    def test_reliability_starts_at_eight_tenths_and_stays_in_its_range(self) -> None:
        assert reliability(0, 0) == pytest.approx(0.8)
        assert reliability(0, 10_000) == 0.2
        assert 0.99 < reliability(10_000, 10_000) <= 1.0

    def test_a_thousand_votes_are_weighed_in_no_time(self) -> None:
        votes = [vote(i, person=i % 40) for i in range(1000)]
        assert np.isfinite(weight(votes))

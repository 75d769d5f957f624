"""What the rules do, and what they say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memory.errors import Unavailable
from routing.features import Situation
from routing.policies.rules import RulePolicy, advise
from routing.questions import read
from routing.routes import CHAT, DOCUMENTS, KEYWORD, LINKED, RECENT
from tests.unit.routing.asking import CHATTING, NOON, READING, advised, numbers


class TestWhatTheyChoose:
    @pytest.mark.parametrize("question", ["Who inspected the hives?", "When was it?", "Why?", "How?", "hive 4", ""])
    def test_in_a_chat_words_and_meaning(self, question: str) -> None:
        assert advised(question).route == CHAT

    def test_where_messages_are_long_the_graph(self) -> None:
        assert advised("Who directed the film?", READING).route == DOCUMENTS

    @pytest.mark.parametrize("question", ["What's new?", "did I miss anything?", "what's the latest?"])
    def test_for_news_the_newest(self, question: str) -> None:
        assert advised(question).route == RECENT

    def test_for_the_latest_about_something_not_only_the_newest(self) -> None:
        assert advised("What is the latest on the wasp traps at the orchard?").route == CHAT

    def test_for_code_the_exact_words(self) -> None:
        assert advised("who fixed BEE-12?").route == KEYWORD

    def test_for_several_facts_about_known_names_everywhere(self) -> None:
        several = "Which hives did Ana and Kwame inspect?"
        assert advised(several, replace(CHATTING, linked=3)).route == LINKED
        assert advised(several, replace(CHATTING, linked=0)).route == CHAT

    def test_a_reason_is_given_in_a_sentence(self) -> None:
        for question in ("Who?", "When?", "Why?", "How?", "What's new?", "BEE-12", "and then?"):
            [reason] = advised(question, previous_route=RECENT).reasons
            assert reason.endswith(".")


class TestFollowUps:
    def test_they_stay_on_the_route_of_what_they_follow(self) -> None:
        assert advised("and who brought them?", previous_route=KEYWORD).route == KEYWORD

    def test_they_leave_a_route_that_was_not_liked(self) -> None:
        assert advised("and who brought them?", previous_route=KEYWORD, previous_reward=0.2).route == CHAT

    def test_they_stay_on_one_that_was_liked(self) -> None:
        assert advised("and who brought them?", previous_route=KEYWORD, previous_reward=0.8).route == KEYWORD

    def test_other_questions_do_not_follow(self) -> None:
        assert advised("Who inspected the hives?", previous_route=KEYWORD).route == CHAT


class TestDislikes:
    def test_a_route_disliked_for_this_question_is_left(self) -> None:
        advice = advised("Who inspected the hives?", disliked=frozenset({CHAT}))
        assert advice.route == DOCUMENTS
        assert "did not like" in advice.reasons[0]

    def test_a_dislike_taken_back_brings_the_route_back(self) -> None:
        assert advised("Who inspected the hives?", disliked=frozenset()).route == CHAT

    def test_when_all_are_disliked_the_best_of_them_is_taken(self) -> None:
        everything = frozenset({"chat", "documents", "linked", "keyword", "vector", "recent", "balance", "blend"})
        assert advised("Who inspected the hives?", disliked=everything).route == CHAT


class TestHealth:
    def test_a_route_that_is_down_is_passed_over(self) -> None:
        advice = advise(read("Who?"), CHATTING, Situation(NOON), healthy={KEYWORD, LINKED})
        assert advice.route == LINKED
        assert "down" in advice.reasons[0]

    def test_with_everything_down_it_says_what_to_do(self) -> None:
        with pytest.raises(Unavailable, match="doctor"):
            advise(read("Who?"), CHATTING, Situation(NOON), healthy=())


class TestRulePolicy:
    def test_plays_the_advice_for_certain(self) -> None:
        decision = RulePolicy().decide(numbers("Who?"), advised("Who?"), seed=3)
        assert (decision.route, decision.propensity, decision.propensities) == (CHAT, 1.0, {CHAT: 1.0})
        assert (decision.policy, decision.seed, decision.explored) == ("rules", 3, False)

    def test_plays_a_route_that_a_person_chose_and_keeps_what_the_rules_said(self) -> None:
        decision = RulePolicy("chosen").decide(numbers("Who?"), advised("Who?"), seed=0, route=KEYWORD)
        assert (decision.route, decision.rule_route, decision.policy) == (KEYWORD, CHAT, "chosen")
        assert decision.reasons == ("You chose the route.",)

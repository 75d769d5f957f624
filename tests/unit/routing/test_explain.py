"""Why, in words that are exact."""

from __future__ import annotations

import re
from dataclasses import replace

from routing.explain import evidence_in_words, term_in_words, top_terms, why
from routing.models import Advice, Decision, Reward
from routing.policies.linear import Posterior
from routing.policies.rules import RulePolicy
from routing.policies.thompson import Lead, ThompsonPolicy
from routing.routes import CHAT, VECTOR
from tests.unit.routing.asking import numbers
from tests.unit.routing.voting import QUESTIONS, rated

WHO = numbers(QUESTIONS[0])
ADVICE = Advice(CHAT, ("You ask who, so who spoke and who is named weigh.",))
LEARNED = ThompsonPolicy(
    Posterior.from_votes(
        [*(rated(i, y=0.4) for i in range(40)), *(rated(100 + i, VECTOR, y=0.6) for i in range(4))],
        104,
    )
)
DECISIONS = [LEARNED.decide(WHO, ADVICE, seed=seed) for seed in range(60)]
TRIED = next(decision for decision in DECISIONS if decision.explored)
SURE = next(decision for decision in DECISIONS if not decision.explored)


def said(decision: Decision, *standing: Reward) -> str:
    return " ".join(why(decision, standing))


class TestSentences:
    def test_it_names_the_route_in_words_and_the_reason(self) -> None:
        decision = ThompsonPolicy(Posterior.from_votes([], 0)).decide(WHO, ADVICE, seed=0)
        assert "route chat (" in said(decision)
        assert "You ask who" in said(decision)

    def test_it_says_the_chance_that_was_logged(self) -> None:
        assert f"{100 * TRIED.propensity:.1f} %" in said(TRIED)

    def test_a_route_without_rival_was_certain(self) -> None:
        assert "certain" in said(ThompsonPolicy(Posterior.from_votes([], 0)).decide(WHO, ADVICE, seed=0))

    def test_a_try_is_called_a_try_and_nothing_else_is(self) -> None:
        assert "This was a try" in said(TRIED)
        assert "behind" in said(TRIED)
        assert "not a try" in said(SURE)
        assert "ahead of" in said(SURE)

    def test_it_says_what_the_rules_would_have_done(self) -> None:
        same = replace(SURE, rule_route=SURE.route)
        assert "would have done the same" in said(same)
        other = replace(SURE, rule_route="linked")
        assert "would have taken linked (" in said(other)

    def test_a_route_that_a_person_chose_is_explained_without_a_draw(self) -> None:
        decision = RulePolicy("chosen").decide(WHO, ADVICE, seed=0, route=VECTOR)
        text = said(decision)
        assert "You chose the route." in text
        assert "chance" not in text

    def test_a_route_that_is_gone_can_still_be_explained(self) -> None:
        assert "route gone." in said(replace(RulePolicy().decide(WHO, ADVICE, seed=0), route="gone"))


class TestTerms:
    def test_the_numbers_shown_sum_to_the_lead(self) -> None:
        [line] = [line for line in why(TRIED, ()) if "behind" in line]
        lead, *terms = (float(found) for found in re.findall(r"[+-]?\d\.\d{3}", line))
        assert abs(sum(terms) + lead) < 0.003

    def test_the_largest_come_first(self) -> None:
        sizes = [abs(term.amount) for term in top_terms(SURE, 99)]
        assert sizes == sorted(sizes, reverse=True)
        assert len(top_terms(SURE)) == 3

    def test_every_term_has_words(self) -> None:
        for decision in (SURE, TRIED):
            for term in decision.contributions:
                assert re.fullmatch(r"[+-]\d\.\d{3} \S.*", term_in_words(decision, term))


class TestEvidence:
    def test_it_counts_the_answers_that_stand_rated_and_liked(self) -> None:
        standing = [Reward(i, 0.8 if i < 11 else 0.2, 0.3) for i in range(14)]
        assert evidence_in_words(CHAT, standing) == "14 answers of chat have been rated, 11 of them liked."

    def test_one_and_none_read_well(self) -> None:
        assert evidence_in_words(CHAT, [Reward(1, 0.8, 0.3)]) == "One answer of chat has been rated; it was liked."
        assert evidence_in_words(CHAT, [Reward(1, 0.2, 0.3)]).endswith("not liked.")
        assert evidence_in_words(CHAT, [Reward(1, 0.8, 0.0)]) == "Nobody has rated an answer of chat yet."


class TestTheRulesInForce:
    def test_what_the_rules_took_is_not_said_to_be_what_votes_speak_for(self) -> None:
        policy = replace(ThompsonPolicy(Posterior.from_votes([], 0)), name="rules", lead=Lead.RULES)
        decision = policy.decide(WHO, ADVICE, seed=0)
        assert decision.route == ADVICE.route
        assert "The rules decide here; it was not a try." in said(decision)
        assert "Its chance was" in said(decision) or "it was certain" in said(decision)

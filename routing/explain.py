"""Why this route: sentences made of the logged decision alone, with its exact terms. Nothing is guessed or written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from routing.features import LIKED, away_in, in_words
from routing.models import Contribution, Decision, Reward
from routing.patterns.trace import Trace
from routing.patterns.trace import in_words as in_words_of
from routing.policies.named import RULES as RULES_ALONE
from routing.policies.thompson import BASE, COST, PERSON, RULES
from routing.routes import BY_NAME

SHOWN: Final = 3
SMALLEST: Final = 0.0005
"""Terms below it would read as zero."""
MATTERS: Final = 0.005
"""From here on what the asker's own votes add is told, however small it is beside the rest."""
_NO_FEATURE: Final = {
    BASE: ("it does better in general", "it does worse in general"),
    RULES: ("the rules chose it", "the rules chose the other"),
    COST: ("it takes less effort", "it takes more effort"),
    PERSON: ("votes of whoever asked speak for it", "votes of whoever asked speak against it"),
}


def why(decision: Decision, standing: Sequence[Reward]) -> list[str]:
    """Sentences about a decision: the route, its probability, what spoke for it, the evidence, the rules.

    ``standing`` are the rewards of the route's answers, as the votes stand now.
    """
    lines = [f"I took the route {_named(decision.route)}.", *decision.reasons, *_away(decision)]
    if decision.epsilon == 0.0:  # nothing was drawn: somebody chose
        return [*lines, evidence_in_words(decision.route, standing)]
    lines.append(_chance(decision))
    if decision.runner_up is not None:
        lines.append(_lead(decision))
    return [*lines, evidence_in_words(decision.route, standing), _exploring(decision), _rules(decision)]


def steps(route: str, traces: Sequence[Trace]) -> list[str]:
    """A sentence a room on what the route's pattern did there."""
    known = BY_NAME.get(route)
    return [] if known is None else in_words_of(known.pattern, traces)


def top_terms(decision: Decision, count: int = SHOWN) -> list[Contribution]:
    """The largest terms of the lead over the runner-up, by size; those that would read as zero left out."""
    large = (term for term in decision.contributions if abs(term.amount) >= SMALLEST)
    return sorted(large, key=lambda term: -abs(term.amount))[:count]


def term_in_words(decision: Decision, term: Contribution) -> str:
    """One term with its sign: "+0.150 the rules chose it"."""
    if term.feature in _NO_FEATURE:
        for_it, against = _NO_FEATURE[term.feature]
        return f"{term.amount:+.3f} {for_it if term.amount > 0 else against}"
    return f"{term.amount:+.3f} {in_words(term.feature, decision.features.as_mapping()[term.feature])}"


def evidence_in_words(route: str, standing: Sequence[Reward]) -> str:
    """How many answers of the route were rated and liked, as the votes stand now."""
    rated = [reward for reward in standing if reward.w > 0]
    if not rated:
        return f"Nobody has rated an answer of {route} yet."
    liked = sum(reward.y > LIKED for reward in rated)
    if len(rated) == 1:
        return f"One answer of {route} has been rated; it was {'liked' if liked else 'not liked'}."
    return f"{len(rated)} answers of {route} have been rated, {liked} of them liked."


def _away(decision: Decision) -> list[str]:
    """That something was down when it was decided."""
    count = away_in(decision.features)
    if count == 0:
        return []
    named = f", among them {' and '.join(decision.down)} search" if decision.down else ""
    what = "One store or source was" if count == 1 else f"{count} stores or sources were"
    return [f"{what} down then{named}."]


def _named(route: str) -> str:
    known = BY_NAME.get(route)
    return route if known is None else f"{route} ({known.words})"


def _chance(decision: Decision) -> str:
    others = sorted(
        ((p, name) for name, p in decision.propensities.items() if p > 0 and name != decision.route), reverse=True
    )
    if not others:
        return "It was the only route worth trying here, so it was certain."
    rest = ", ".join(f"{name} {_percent(p)}" for p, name in others)
    return f"Its chance was {_percent(decision.propensity)} (the others: {rest})."


def _lead(decision: Decision) -> str:
    side = "ahead of" if decision.gap >= 0 else "behind"
    shown = top_terms(decision)
    shown += [term for term in decision.contributions if _is_of_the_asker(term) and term not in shown]
    terms = [term_in_words(decision, term) for term in shown]
    rest = decision.gap - sum(term.amount for term in shown)
    if abs(rest) >= SMALLEST:
        terms.append(f"{rest:+.3f} all else")
    return f"I expected it to be {abs(decision.gap):.3f} {side} {decision.runner_up}: {'; '.join(terms) or 'a tie'}."


def _is_of_the_asker(term: Contribution) -> bool:
    """Whether the asker's own votes moved the decision enough to say so."""
    return term.feature == PERSON and abs(term.amount) >= MATTERS


def _exploring(decision: Decision) -> str:
    if decision.explored:
        return "This was a try: another route looked better, and trying is how I learn."
    if decision.policy == RULES_ALONE:
        return "The rules decide here; it was not a try."
    return "It was the one I expected most of, not a try."


def _rules(decision: Decision) -> str:
    if decision.rule_route == decision.route:
        return "The rules alone would have done the same."
    return f"The rules alone would have taken {_named(decision.rule_route)}."


def _percent(chance: float) -> str:
    return f"{100 * chance:.1f} %" if 0.0 < chance < 1.0 else f"{100 * chance:.0f} %"

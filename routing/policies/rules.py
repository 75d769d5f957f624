"""The rules: what a sensible person would do with this question in this room. They need no votes.

They are the floor under everything that is learned: a learned policy starts from their choice and must never do worse
by more than a set margin. `RULES` is read from the top; the first rule that fits names the route.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from memory.errors import Unavailable
from routing.features import LIKED, Asking, Probe, Situation
from routing.models import Advice, Decision, Features
from routing.questions import Kind, Reading
from routing.routes import BLEND, CHAT, DOCUMENTS, KEYWORD, LEARNABLE, LINKED, MENU, RECENT

LONG_MESSAGES: Final = 50.0
"""Mean words a message from which a room holds documents (chat 10 to 30, passages 90)."""

BROAD: Final = 2
"""Content words up to which "what is new?" is about nothing but the news."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When it fits, it names the route (None: it does not), and says why in a sentence."""

    route: Callable[[Asking], str | None]
    words: Callable[[Asking], str]


def _newest(asking: Asking) -> str | None:
    return RECENT if asking.reading.newest and asking.reading.content <= BROAD else None


def _follow_up(asking: Asking) -> str | None:
    before = asking.situation.previous_route
    reward = asking.situation.previous_reward
    liked = reward is None or reward > LIKED
    return before if asking.reading.follow_up and liked and before in LEARNABLE else None


def _documents(asking: Asking) -> str | None:
    return DOCUMENTS if asking.probe.mean_words >= LONG_MESSAGES else None


def _code(asking: Asking) -> str | None:
    return KEYWORD if asking.reading.code else None


def _several(asking: Asking) -> str | None:
    """A list or a chain of facts whose names the graph knows: more places to look can only add candidates."""
    wide = asking.reading.kind is Kind.LIST or asking.reading.hops > 1
    return LINKED if wide and asking.probe.linked > 1 else None


_WEIGHS: Final = {
    Kind.WHO: "You ask who, so who spoke and who is named weigh.",
    Kind.WHEN: "You ask when, so dates weigh beside words and meaning.",
    Kind.WHY: "You ask why, so I read a message together with the turns around it.",
    Kind.HOW: "You ask how, so I read a message together with the turns around it.",
    Kind.LIST: "You ask for several things, so I collect by words and by meaning.",
}
_OTHERWISE: Final = "This is a chat, where words and meaning together find most."


def _chat(asking: Asking) -> str:
    return _WEIGHS.get(asking.reading.kind, _OTHERWISE)


RULES: Final[tuple[Rule, ...]] = (
    Rule(_newest, lambda _: "You ask for the newest, so I start from the latest messages."),
    Rule(_follow_up, lambda _: "This follows up on your last question, so I stay on its route."),
    Rule(_documents, lambda a: f"Messages here are long ({a.probe.mean_words:.0f} words), so shared names lead on."),
    Rule(_code, lambda _: "You name code or a ticket, so the exact words count."),
    Rule(_several, lambda a: f"It needs several facts and I know {a.probe.linked} of its names, so I look everywhere."),
    Rule(lambda _: CHAT, _chat),
)

FALLBACKS: Final = (CHAT, DOCUMENTS, LINKED, BLEND, *(route.name for route in MENU))
"""Where to look when the rule's route is down or was disliked for this very question; in this order."""


def advise(reading: Reading, probe: Probe, situation: Situation, healthy: Collection[str] = LEARNABLE) -> Advice:
    """The route for a question, and why.

    A route whose answer to this very question stands voted down is left for the next best. Raises Unavailable when no
    route is healthy.
    """
    asking = Asking(reading, probe, situation)
    first, because = _first_that_fits(asking)
    if first in healthy and first not in situation.disliked:
        return Advice(first, (because,))
    if first in healthy:
        because = "You did not like what I found that way for this question, so I look elsewhere."
    else:
        because = f"{because} That route is down, so I take the next best."
    return Advice(_next_best(situation.disliked, healthy), (because,))


def _first_that_fits(asking: Asking) -> tuple[str, str]:
    for rule in RULES:
        route = rule.route(asking)
        if route is not None:
            return route, rule.words(asking)
    raise AssertionError("the last rule fits always")


def _next_best(disliked: Collection[str], healthy: Collection[str]) -> str:
    there = [name for name in FALLBACKS if name in healthy]
    if not there:
        raise Unavailable("No route can be taken now: every source is down; `weavebot doctor` says which and why.")
    return next((name for name in there if name not in disliked), there[0])


@dataclass(frozen=True, slots=True)
class RulePolicy:
    """Plays what it is told with probability 1: the rules (``name`` rules) or a route that a person asked for."""

    name: str = "rules"

    def decide(self, features: Features, advice: Advice, *, seed: int, route: str | None = None) -> Decision:
        """The advised route, or ``route`` where one is forced; nothing is drawn, the seed is only recorded."""
        played = advice.route if route is None else route
        return Decision(
            route=played,
            policy=self.name,
            propensity=1.0,
            propensities={played: 1.0},
            rule_route=advice.route,
            reasons=advice.reasons if route is None else ("You chose the route.",),
            features=features,
            epsilon=0.0,
            seed=seed,
            explored=False,
            runner_up=None,
            gap=0.0,
            contributions=(),
            evidence=0.0,
            posterior="",
        )

"""The policies that a team may be given, by name, so that a log, a promotion and a person mean the same.

``thompson`` is in force until another is promoted. All of them learn from the votes, explore alike and log their true
propensities; they differ in what leads, and in how long they believe the rules. ``formula`` differs in the order of
messages alone, which leaves no propensity in the log: only an experiment can tell how it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from memory.errors import NotFound
from routing.policies.linear import DESIGN, Design, Posterior, Prior
from routing.policies.thompson import Lead, ThompsonPolicy

RULES: Final = "rules"
THOMPSON: Final = "thompson"
DEFAULT: Final = THOMPSON


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A way to decide. ``prior`` is what its posterior starts from; ``order`` lets votes move the order of messages."""

    name: str
    words: str
    lead: Lead = Lead.DRAWS
    prior: Prior = DESIGN.prior
    order: bool = True

    @property
    def design(self) -> Design:
        """The model that it learns."""
        return DESIGN if self.prior == DESIGN.prior else _DESIGNS[self.prior]

    @property
    def on_the_log(self) -> bool:
        """Whether the log of decisions can judge it: what it changes is which route is taken."""
        return self.order

    def over(self, posterior: Posterior) -> ThompsonPolicy:
        """The policy with what was learned so far."""
        return ThompsonPolicy(posterior, name=self.name, lead=self.lead)


_FIRM: Final = replace(DESIGN.prior, base=4 * DESIGN.prior.base, context=4 * DESIGN.prior.context)
_DESIGNS: Final[Mapping[Prior, Design]] = MappingProxyType({_FIRM: replace(DESIGN, prior=_FIRM)})

POLICIES: Final[Mapping[str, NamedPolicy]] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            NamedPolicy(RULES, "the rules decide; votes change nothing but what is tried", lead=Lead.RULES),
            NamedPolicy(THOMPSON, "draws from what votes taught, starting at the rules"),
            NamedPolicy("greedy", "the route that votes speak for most", lead=Lead.BEST),
            NamedPolicy("cautious", "as thompson, but it believes the rules four times as long", prior=_FIRM),
            NamedPolicy("formula", "as thompson, but votes never move the order of messages", order=False),
        )
    }
)
"""Every policy that can be promoted or tried in an experiment."""


def deciding(name: str | None) -> NamedPolicy:
    """The policy of that name; the default for none, and for one that a release took away."""
    return POLICIES.get(name or DEFAULT, POLICIES[DEFAULT])


def policy_named(name: str) -> NamedPolicy:
    """The policy of that name. Raises NotFound, listing the names there are."""
    try:
        return POLICIES[name]
    except KeyError as exc:
        raise NotFound(f"There is no policy {name!r}; choose one of {', '.join(POLICIES)}.") from exc

"""The named policies played again over a log: what each would have done, knowing what it could have known then.

At a decision that the policy itself took, its logged propensities are what it would do. Elsewhere it decides anew, from
the votes that stand on answers before, without the offsets of people.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from memory.errors import NotFound
from routing.evaluation import Log, Target, route_target, rules_target, uniform_target
from routing.policies.linear import Design
from routing.policies.named import POLICIES, RULES, NamedPolicy
from routing.routes import BY_NAME

Array = NDArray[np.float64]

UNIFORM = "uniform"


def targets() -> dict[str, Target]:
    """Everything that a log can judge, by name: policies, uniform, and the routes of the menu."""
    judged = {name: policy_target(policy) for name, policy in POLICIES.items() if policy.on_the_log}
    fixed = {name: route_target(name) for name, route in BY_NAME.items() if not route.on_request}
    return {**judged, UNIFORM: uniform_target, **fixed}


def target_named(name: str) -> Target:
    """What to judge under that name. Raises NotFound, listing the names, or saying that the log cannot judge it."""
    known = targets()
    if name in known:
        return known[name]
    if name in POLICIES:
        raise NotFound(
            f"The log cannot judge {name}, which takes the same routes; try it on half of the threads: weavebot "
            f"experiment start thompson {name}."
        )
    raise NotFound(f"There is no policy or route {name!r}; choose one of {', '.join(known)}.")


def policy_target(policy: NamedPolicy) -> Target:
    """A named policy; the rules are judged without what they try."""
    if policy.name == RULES:
        return rules_target

    def target(log: Log) -> Array:
        if log.whole is not None:
            return np.asarray(target(log.whole)[log.places])
        design = replace(log.design, prior=policy.prior)
        return np.concatenate([_played(log, block, policy, design) for block in log.blocks()])

    return target


def _played(log: Log, block: slice, policy: NamedPolicy, design: Design) -> Array:
    """(rows of the block, routes)."""
    out = log.pi[block].copy()
    rows = [i for i in range(block.start, block.stop) if log.policies[i] != policy.name]
    if rows:
        player = policy.over(log.taught(block, design))
        for i in rows:
            rng = np.random.default_rng(log.seeds[i])
            offered = np.flatnonzero(log.offered[i])
            out[i - block.start] = player.chances(log.x[i], int(log.rules[i]), offered, rng).pi
    return out

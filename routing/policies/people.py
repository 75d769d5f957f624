"""What one person's own votes add to what the team's taught: the last step of global prior, team posterior, person.

A person has one number for each source. With r_i what the votes on their i-th rated answer say above the team's
expectation, z_i the shares of the sources in its route (1/k for each of k) and weights as in the posterior::

    o = (20 I + sum_i w_i g^(n - n_i) z_i z_iᵀ)⁻¹ sum_i w_i g^(n - n_i) r_i z_i        offset of a route = z · o

which is ridge regression on the residuals: a prior of 20 votes at 0. An offset moves no route by more than 0.05, the
margin of the safe set. It is a pure function of the votes that stand, as the posterior is; without an asker, and with
them forgotten, there is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from routing.models import Evidence, Route
from routing.policies.linear import Posterior

Array = NDArray[np.float64]

PRECISION: Final = 20.0
"""In plain votes of an asker."""
LARGEST: Final = 0.05
"""How far an offset may move a route, in reward."""
NOBODY: Final[Mapping[int, Array]] = MappingProxyType({})


def shares(routes: Sequence[Route]) -> Array:
    """(routes, sources): what part of each route each source is; rows sum to 1."""
    names = sorted({source for route in routes for source in route.sources})
    return np.array([[(name in route.sources) / max(len(route.sources), 1) for name in names] for route in routes])


def offsets(evidence: Sequence[Evidence], posterior: Posterior) -> dict[int, Array]:
    """Each asker's offset of each route, (routes,), at the posterior's answer; in whatever order evidence comes."""
    design = posterior.design
    theirs: dict[int, list[Evidence]] = defaultdict(list)
    for one in sorted(evidence, key=lambda one: one.answer):
        if one.person is not None and one.w > 0 and one.route in design.index:
            theirs[one.person].append(one)
    parts = shares(design.routes)
    return {person: _offset(some, posterior, parts) for person, some in theirs.items()}


def _offset(rated: Sequence[Evidence], posterior: Posterior, parts: Array) -> Array:
    design = posterior.design
    rows = np.array([design.index[one.route] for one in rated])
    x = np.array([one.x for one in rated])
    expected = posterior.mean[rows, 0] + (posterior.mean[rows, 1:] * x).sum(axis=1)
    expected += posterior.bonus * np.array([one.followed_rules for one in rated])
    age = 0.5 ** (np.maximum(posterior.n - np.array([one.answer for one in rated]), 0) / design.prior.half_life)
    weight = np.array([one.w for one in rated]) / design.prior.vote * age
    residual = np.array([one.y for one in rated]) - expected
    z = parts[rows]
    precision = PRECISION * np.eye(parts.shape[1]) + (z * weight[:, None]).T @ z
    found = parts @ np.linalg.solve(precision, z.T @ (weight * residual))
    return np.asarray(np.clip(found, -LARGEST, LARGEST))

"""A Bayesian linear model of the quality of every route, which starts at the rules.

The expected quality of route a for a question with features x is ``theta_a · [1, x] + rho · 1{a is what the rules
chose}``. The prior mean is the route's base quality, 0 for every feature, and +0.15 for the rules' choice. Votes are
weighted observations; the posterior is the usual one (Bishop 2006, eq. 3.50 and 3.51)::

    A = L0 + sum_i w_i g^(n - n_i) f_i f_iᵀ        b = L0 m0 + sum_i w_i g^(n - n_i) y_i f_i        mean = A⁻¹ b

with n the present answer's serial, n_i that of the rated one and g = 0.5^(1/half-life): it ages towards the prior, per
answer, and is a pure function of the votes that stand. Routes share what they learn: the prior covariance between the
weights of two routes is a part common to all and their kinship, made of the sources, pattern and fusion they have in
common (the weight-space form are the factored features [1, parts, x ⊗ parts]; the function-space form is in Bonilla,
Chai and Williams 2007). Because of it A needs only one small Gram matrix a route, which is all that a snapshot holds.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory.errors import BadInput
from routing.features import NAMES
from routing.features import VERSION as FEATURES_VERSION
from routing.models import Evidence, Route
from routing.routes import MENU

Array = NDArray[np.float64]

FORMAT: Final = 1
OLD_VERSION: Final = 0.3
"""What a vote on the version before still counts."""


@dataclass(frozen=True, slots=True)
class Prior:
    """How firmly the start is believed, in votes, and how fast votes age.

    base: precision of a route's base quality and of the rules' bonus. context: precision of each feature's weight.
    shared: precision of what is common to all routes (how content people are, how hard a kind of question is): it is
    believed little, so that a disappointing route is not taken for worse than those that were not tried.
    bonus: what the rules' choice is expected to be better by. half_life: in answers; 500 rated answers at a reaction
    rate of 0.2. vote: the weight that is one observation, that of a plain 👍 or 👎 of the asker (0.24 and 0.29): the
    prior then counts as many such votes. The values are those that did best in simulations on public routing data and
    on the demo room.
    """

    base: float = 50.0
    context: float = 2.5
    shared: float = 2.5
    bonus: float = 0.15
    half_life: float = 2500.0
    vote: float = 0.25


@dataclass(frozen=True)
class Design:
    """The shape of the model: routes, number of features, prior. Compared by value; its matrices are made once."""

    routes: tuple[Route, ...]
    columns: int
    prior: Prior = Prior()
    features_version: int = FEATURES_VERSION

    @property
    def block(self) -> int:
        """Weights a route: one for its base quality, one a feature."""
        return self.columns + 1

    @cached_property
    def index(self) -> dict[str, int]:
        """Route name to row."""
        return {route.name: i for i, route in enumerate(self.routes)}

    @cached_property
    def costs(self) -> Array:
        """(routes,) known costs."""
        return np.array([route.cost for route in self.routes])

    @cached_property
    def precision(self) -> Array:
        """(routes, routes, block, block): the prior precision L0 between the weights of two routes."""
        kin = kinship(self.routes)
        base = np.linalg.inv(1.0 / self.prior.shared + kin / self.prior.base)
        context = np.linalg.inv(1.0 / self.prior.shared + kin / self.prior.context)
        first = np.zeros(self.block)
        first[0] = 1.0
        return np.asarray(
            base[:, :, None, None] * np.diag(first) + context[:, :, None, None] * np.diag(1.0 - first), dtype=np.float64
        )

    @cached_property
    def target(self) -> Array:
        """(routes, block): L0 m0, with the routes' base qualities as prior mean."""
        start = np.zeros((len(self.routes), self.block))
        start[:, 0] = [route.prior for route in self.routes]
        return _times(self.precision, start)


def kinship(routes: Sequence[Route]) -> Array:
    """(routes, routes) in [0, 1], 1 on the diagonal: how much of what is learned about a route holds for another."""
    return np.array([[_kinship(a, b) for b in routes] for a in routes])


def _kinship(a: Route, b: Route) -> float:
    shared = len({*a.sources} & {*b.sources}) / np.sqrt(max(len(a.sources) * len(b.sources), 1))
    itself = a.name == b.name
    return float(
        0.4 * itself + 0.3 * (shared or itself) + 0.2 * (a.fusion == b.fusion) + 0.1 * (a.pattern == b.pattern)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What stands learned. ``gram`` and ``moments`` are sums over the standing votes, aged to answer ``n``.

    gram: (routes, block + 1, block + 1), of [1, x, followed the rules]; moments: (routes, block + 1), with y.
    mean: (routes, block); covariance: (routes, routes, block, block); the rules' bonus has a mean, a covariance with
    the weights (routes, block) and a variance of its own.
    """

    design: Design
    n: int
    gram: Array
    moments: Array
    mean: Array
    bonus: float
    covariance: Array
    bonus_covariance: Array
    bonus_variance: float
    digest: str

    @classmethod
    def from_votes(cls, evidence: Sequence[Evidence], n: int, design: Design | None = None) -> Posterior:
        """The posterior at answer ``n`` from the votes that stand, in whatever order they are given.

        Evidence on a route that is gone is left out; that on an older version of a route counts 0.3 a version. Raises
        BadInput when the features are not those of the design.
        """
        design = DESIGN if design is None else design
        rows = sorted((e for e in evidence if e.route in design.index and e.w > 0), key=_order)
        shape = (len(design.routes), design.block + 1, design.block + 1)
        gram, moments = np.zeros(shape), np.zeros(shape[:2])
        if rows:
            route, inputs, y, w = _columns(rows, n, design)
            for a in range(len(design.routes)):
                here = route == a
                weighted = inputs[here] * w[here, None]
                gram[a] = np.einsum("ni,nj->ij", weighted, inputs[here])
                moments[a] = np.einsum("ni,n->i", weighted, y[here])
        return cls.from_sums(design, n, gram, moments)

    @classmethod
    def from_sums(cls, design: Design, n: int, gram: Array, moments: Array) -> Posterior:
        """The posterior with these sums over the standing votes."""
        routes = np.arange(len(design.routes))
        precision = design.precision.copy()
        precision[routes, routes] += gram[:, :-1, :-1]
        inverse = _inverse(precision)
        border = gram[:, :-1, -1]
        along = _times(inverse, border)
        variance = 1.0 / float(design.prior.base + gram[:, -1, -1].sum() - (border * along).sum())
        target = design.target + moments[:, :-1]
        wanted = design.prior.base * design.prior.bonus + moments[:, -1].sum()
        bonus = variance * float(wanted - (along * target).sum())
        return cls(
            design=design,
            n=n,
            gram=gram,
            moments=moments,
            mean=_times(inverse, target) - along * bonus,
            bonus=bonus,
            covariance=inverse + variance * along[:, None, :, None] * along[None, :, None, :],
            bonus_covariance=-variance * along,
            bonus_variance=variance,
            digest=_digest(design, n, gram, moments),
        )

    def at(self, n: int) -> Posterior:
        """The same votes, seen from a later answer. Raises BadInput for an earlier one: aged sums cannot be undone."""
        if n < self.n:
            raise BadInput(f"Learned state at answer {self.n} cannot go back to {n}; compute it from the votes.")
        age = _age(self.design, n - self.n)
        return Posterior.from_sums(self.design, n, self.gram * age, self.moments * age)

    def expect(self, x: Array, rule: int) -> tuple[Array, Array]:
        """Mean (routes,) and covariance (routes, routes) of each route's quality; ``rule`` is the rules' route."""
        inputs = np.append(1.0, x)
        mean = self.mean @ inputs
        mean[rule] += self.bonus
        covariance = self.covariance @ inputs @ inputs
        cross = self.bonus_covariance @ inputs
        covariance[rule] += cross
        covariance[:, rule] += cross
        covariance[rule, rule] += self.bonus_variance
        return mean, covariance

    def means(self, x: Array, rules: NDArray[np.intp]) -> Array:
        """(questions, routes) expected qualities, for features (questions, columns) and the rules' routes."""
        means = self.mean[:, 0] + x @ self.mean[:, 1:].T
        means[np.arange(len(x)), rules] += self.bonus
        return means

    def evidence(self, route: int) -> float:
        """The standing votes on a route, weighed and aged; one plain vote of an asker is about 1."""
        return float(self.gram[route, 0, 0])

    def to_bytes(self) -> bytes:
        """A snapshot: the sums and what they belong to; equal states give equal bytes."""
        out = io.BytesIO()
        head = np.frombuffer(json.dumps(_head(self.design, self.n)).encode(), dtype=np.uint8)
        np.savez(out, head=head, gram=self.gram, moments=self.moments)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, design: Design | None = None) -> Posterior:
        """A snapshot read back. Raises BadInput when it is damaged or of another design: compute it from the votes."""
        design = DESIGN if design is None else design
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                head, gram, moments = json.loads(file["head"].tobytes()), file["gram"], file["moments"]
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as exc:
            raise BadInput("The snapshot of what was learned is damaged; compute it again from the votes.") from exc
        n = head.get("n", -1)
        if head != _head(design, n) or gram.shape[:1] + gram.shape[2:] != moments.shape:
            raise BadInput("The snapshot belongs to other routes or features; compute it again from the votes.")
        return cls.from_sums(design, n, gram, moments)


def _inverse(blocks: Array) -> Array:
    """The inverse of a positive definite matrix of blocks, by Gauss and Jordan, one route after the other.

    Blocks this small are multiplied by one thread. The matrix as a whole would be by all, which takes 2 ms on an idle
    machine and 300 ms on a busy one, where the threads wait for each other.
    """
    out = blocks.copy()
    for k in range(len(out)):
        pivot = np.linalg.inv(out[k, k])
        row, column = pivot @ out[k], out[:, k].copy()
        out -= column[:, None] @ row[None]
        out[k], out[:, k] = row, -column @ pivot
        out[k, k] = pivot
    return out


def _times(blocks: Array, rows: Array) -> Array:
    """A matrix of blocks times a vector of blocks: (routes, block)."""
    return np.asarray((blocks @ rows[None, :, :, None]).sum(axis=1)[..., 0])


def _order(row: Evidence) -> tuple[int, str, bool, float, float]:
    """One order for every arrival: floating-point sums then agree to the last bit."""
    return (row.answer, row.route, row.followed_rules, row.y, row.w)


def _age(design: Design, answers: Array | int) -> Array:
    return np.asarray(0.5 ** (np.maximum(answers, 0) / design.prior.half_life))


def _columns(rows: Sequence[Evidence], n: int, design: Design) -> tuple[NDArray[np.intp], Array, Array, Array]:
    """Route rows, inputs [1, x, followed], y, and weights with age and version taken in."""
    if any(row.x.shape != (design.columns,) for row in rows):
        raise BadInput(f"The evidence has other features than the {design.columns} in use; read the questions again.")
    route = np.array([design.index[row.route] for row in rows], dtype=np.intp)
    followed = np.array([row.followed_rules for row in rows], dtype=np.float64)
    inputs = np.column_stack((np.ones(len(rows)), np.array([row.x for row in rows]), followed))
    behind = np.array(
        [max(design.routes[a].version - row.route_version, 0) for a, row in zip(route, rows, strict=True)]
    )
    age = _age(design, n - np.array([row.answer for row in rows], dtype=np.float64))
    w = np.array([row.w for row in rows]) / design.prior.vote * age * OLD_VERSION**behind
    return route, inputs, np.array([row.y for row in rows]), w


def _head(design: Design, n: int) -> dict[str, object]:
    return {
        "format": FORMAT,
        "features": [design.features_version, design.columns],
        "routes": [[route.name, route.version] for route in design.routes],
        "prior": asdict(design.prior),
        "n": n,
    }


def _digest(design: Design, n: int, gram: Array, moments: Array) -> str:
    """16 hexadecimal digits that name a state."""
    state = hashlib.sha256(json.dumps(_head(design, n)).encode())
    state.update(gram.tobytes())
    state.update(moments.tobytes())
    return state.hexdigest()[:16]


DESIGN: Final = Design(MENU, len(NAMES))
"""The model of the product: the curated menu and all features."""

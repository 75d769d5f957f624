"""Does the log tell the truth about other policies? Simulated logs whose truth is known: bias, RMSE, coverage.

    python -m benchmarks.off_policy               200 logs of 2,000 rewarded decisions, exploration .05, .10 and .20
    python -m benchmarks.off_policy --quick       20 logs

Questions, routes and outcomes are the public routing labels. The log plays the rules' route with probability 1 - eps
and any route evenly else; one vote in ten says the opposite. Judged are the rules, each route, the uniform choice and a
greedy choice that was learned elsewhere. The second part looks at a log after each vote, as the tripwire does, and
counts how often a policy that is no worse than the rules is taken for worse.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import public_routes
from benchmarks.harness import Row, show, write
from benchmarks.learning import run
from benchmarks.router_policies import Ours
from benchmarks.simulator import Crowd, Outcomes, Room, stream
from routing import sequences
from routing.evaluation import Log, Target, evaluate, lead_noise, lead_terms, route_target, rules_target, uniform_target
from routing.judging import PATIENCE, WORST
from routing.models import Evidence
from routing.policies.linear import Design, Posterior

Array = NDArray[np.float64]

WRONG: Final = 0.1
VOTES: Final = {True: (0.782, 0.245), False: (0.192, 0.291)}
"""Reward and weight of an asker's plain 👍 and 👎 (`routing.rewards`)."""
EXPLORED: Final = (0.05, 0.10, 0.20)
SIZES: Final = (2000, 400)


@dataclass(frozen=True, slots=True)
class World:
    """Questions whose outcome by every route is known."""

    table: Outcomes
    design: Design

    def chance(self) -> Array:
        """(questions, routes): how likely a vote on the answer is a 👍."""
        return np.where(self.table.proven, 1 - WRONG, WRONG)

    def truth(self, policy: Array) -> float:
        """The value of a policy, (questions, routes) chances: E[w y] / E[w]."""
        good = (policy * self.chance()).sum(axis=1).mean()
        (y1, w1), (y0, w0) = VOTES[True], VOTES[False]
        return float((good * w1 * y1 + (1 - good) * w0 * y0) / (good * w1 + (1 - good) * w0))

    def log(self, pi: Array, n: int, rng: np.random.Generator) -> Log:
        """A log of n rewarded decisions, drawn with (questions, routes) propensities."""
        questions = rng.integers(0, len(pi), size=n)
        played = (rng.random((n, 1)) > pi[questions].cumsum(axis=1)).sum(axis=1).clip(max=pi.shape[1] - 1)
        good = rng.random(n) < self.chance()[questions, played]
        names = self.table.routes
        evidence = tuple(
            Evidence(i, names[a], 1, bool(self.table.advised[q] == a), self.table.x[q], *VOTES[bool(g)])
            for i, (q, a, g) in enumerate(zip(questions, played, good, strict=True))
        )
        return Log(
            design=self.design,
            evidence=evidence,
            rules=self.table.advised[questions],
            pi=pi[questions],
            offered=np.ones((n, pi.shape[1]), dtype=np.bool_),
            seeds=(0,) * n,
            policies=("logged",) * n,
        )

    def explored(self, eps: float) -> Array:
        """(questions, routes) propensities of the rules with uniform exploration."""
        rules = np.eye(len(self.table.routes))[self.table.advised]
        return (1 - eps) * rules + eps / len(self.table.routes)

    def greedy(self) -> NDArray[np.intp]:
        """(questions,) the best route by what 2,000 other decisions taught."""
        log = self.log(self.explored(1.0), 2000, np.random.default_rng(99))
        means = Posterior.from_votes(log.evidence, len(log), self.design).means(self.table.x, self.table.advised)
        return np.asarray((means - self.design.costs).argmax(axis=1))


def judged(world: World) -> Mapping[str, tuple[Target, Array]]:
    """What is judged: as a target on a log, and as (questions, routes) chances for the truth."""
    eye = np.eye(len(world.table.routes))
    count = len(world.table.questions)
    found: dict[str, tuple[Target, Array]] = {
        "rules": (rules_target, eye[world.table.advised]),
        "uniform": (uniform_target, np.full((count, len(eye)), 1 / len(eye))),
    }
    for row, name in enumerate(world.table.routes):
        found[name] = (route_target(name), np.tile(eye[row], (count, 1)))
    best = world.greedy()
    by_x = {x.tobytes(): int(route) for x, route in zip(world.table.x, best, strict=True)}

    def greedy(log: Log) -> Array:
        return eye[[by_x[x.tobytes()] for x in log.x]]

    found["greedy"] = (greedy, eye[best])
    return found


def estimates(world: World, eps: float, n: int, logs: int) -> list[Row]:
    """Bias, RMSE and coverage of each estimator, for each policy."""
    targets = judged(world)
    errors: dict[str, list[list[float]]] = {name: [] for name in targets}
    inside: dict[str, list[list[bool]]] = {name: [] for name in targets}
    cut: dict[str, list[float]] = {name: [] for name in targets}
    for seed in range(logs):
        log = world.log(world.explored(eps), n, np.random.default_rng([seed, n, int(1000 * eps)]))
        for found in evaluate(log, {name: target for name, (target, _) in targets.items()}, seed=seed):
            name = found.policy
            truth = world.truth(targets[name][1])
            three = (found.ips, found.snips, found.dr)
            errors[name].append([one.mean - truth for one in three])
            inside[name].append([one.low <= truth <= one.high for one in three])
            cut[name].append(found.clipped)
    rows = []
    for name in targets:
        bias = 100 * np.mean(errors[name], axis=0)
        rmse = 100 * np.sqrt(np.mean(np.square(errors[name]), axis=0))
        covers = 100 * np.mean(inside[name], axis=0)
        figures: dict[str, float | str] = {"truth": round(world.truth(targets[name][1]), 3)}
        for i, kind in enumerate(("IPS", "SNIPS", "DR")):
            figures |= {f"{kind} bias": f"{bias[i]:+.1f}", f"{kind} rmse": f"{rmse[i]:.1f}", f"{kind} %": covers[i]}
        rows.append(Row(name, {**figures, "cut %": 100 * float(np.mean(cut[name]))}))
    return rows


def looks(world: World, logs: int, n: int = 2000, eps: float = 0.1) -> list[Row]:
    """How often a policy is taken for worse than the rules, looking after each vote from `sequences.START` on."""
    targets = {name: found for name, found in judged(world).items() if name != "rules"}
    rules = world.truth(np.eye(len(world.table.routes))[world.table.advised])
    fell: dict[str, list[int]] = {name: [] for name in targets}
    unproven = dict.fromkeys(targets, 0)
    for seed in range(logs):
        log = world.log(world.explored(eps), n, np.random.default_rng([seed, 7]))
        for name, (target, _) in targets.items():
            terms, noise = lead_terms(log, target), lead_noise(log, target)
            bounds = [sequences.one_sided(terms[:t], noise[:t]) for t in range(sequences.START, n + 1)]
            fell[name] += [t for t, bound in enumerate(bounds, sequences.START) if bound.high < 0][:1]
            unproven[name] += any(bound.low < WORST for bound in bounds[PATIENCE - sequences.START :])
    rows = []
    for name, (_, chances) in targets.items():
        figures: dict[str, float | str] = {
            "true lead": f"{100 * (world.truth(chances) - rules):+.1f}",
            "taken for worse %": 100 * len(fell[name]) / logs,
            "after votes": f"{np.median(fell[name]):.0f}" if fell[name] else "",
            "may be 3 points worse after 500 %": 100 * unproven[name] / logs,
        }
        rows.append(Row(name, figures))
    return rows


class Recorded(Ours):
    """The product, with the propensities of each of its decisions."""

    def __init__(self, outcomes: Outcomes, design: Design, seed: int) -> None:
        super().__init__(outcomes, design, seed)
        self.pi: list[Array] = []

    def choose(self, t: int, question: int) -> int:
        """As the product does."""
        decision = self.decide(t, question)
        self.pi.append(np.array([decision.propensities.get(route.name, 0.0) for route in self._design.routes]))
        return self._design.index[decision.route]

    def log(self, room: Room, t: int) -> Log:
        """Its log with the votes that stand at question t."""
        evidence = self.evidence(room, t)
        questions = [self._played[one.answer][1] for one in evidence]
        pi = np.array([self.pi[one.answer] for one in evidence])
        return Log(
            design=self._design,
            evidence=tuple(evidence),
            rules=np.asarray(self._outcomes.advised[questions], dtype=np.intp),
            pi=pi,
            offered=np.ones(pi.shape, dtype=np.bool_),
            seeds=(0,) * len(pi),
            policies=("thompson",) * len(pi),
        )


def product(world: World, seeds: int, length: int = 5000) -> Row:
    """How often the tripwire would take out the product itself, which gains a little on these labels."""
    fell, impatient, leads = 0, 0, []
    for seed in range(seeds):
        coins = stream(
            Crowd(), questions=len(world.table.questions), routes=len(world.table.routes), length=length, seed=seed
        )
        learner, room = Recorded(world.table, world.design, seed), Room.open(coins, world.table)
        run(learner, world.table, world.design.costs, coins, (length,), room)
        kept = learner.log(room, length)
        terms, noise = lead_terms(kept, lambda log: log.pi), lead_noise(kept, lambda log: log.pi)
        bounds = [sequences.one_sided(terms[:t], noise[:t]) for t in range(sequences.START, len(terms) + 1)]
        fell += any(bound.high < 0 for bound in bounds)
        impatient += any(bound.low < WORST for bound in bounds[PATIENCE - sequences.START :])
        leads.append(100 * float(terms.mean()))
    figures: dict[str, float | str] = {"votes": len(terms), "mean lead by DR": f"{np.mean(leads):+.1f}"}
    figures |= {"taken for worse": f"{fell} of {seeds}", "may be 3 points worse after 500": f"{impatient} of {seeds}"}
    return Row("thompson, as it ships", figures)


def level(logs: int, n: int = 2000) -> Row:
    """False alarms of the sequence where nothing is the matter, on terms whose weight is 20 and rare."""
    alarms = {"one side": 0, "two sides": 0, "two sides, from the terms alone": 0}
    for seed in range(logs):
        rng = np.random.default_rng([seed, 11])
        weight = np.where(rng.random(n) < 0.05, 19.0, -1.0)  # less its expectation
        reward = (rng.random(n) < 0.3).astype(np.float64)
        terms = weight * reward
        noise = (0.05 * 19.0**2 + 0.95) * reward  # the mean of the squared weight, times that of the squared reward
        times = range(sequences.START, n + 1, 5)
        alarms["one side"] += any(sequences.one_sided(terms[:t], noise[:t]).high < 0 for t in times)
        for name, known in (("two sides", noise), ("two sides, from the terms alone", None)):
            looked = (sequences.two_sided(terms[:t], None if known is None else known[:t]) for t in times)
            alarms[name] += any(not bound.low <= 0 <= bound.high for bound in looked)
    return Row("weights of 20, no difference", {name: 100 * count / logs for name, count in alarms.items()})


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 logs instead of 200")
    arguments = parser.parse_args()
    logs = 20 if arguments.quick else 200
    world = World(*public_routes.outcomes())
    record = {}
    for n in SIZES:
        for eps in EXPLORED:
            title = f"{n} rewarded decisions, exploration {eps:.2f}, {logs} logs: points; % of intervals with the truth"
            record[title] = estimates(world, eps, n, logs)
            show(title, record[title])
    title = f"looking after each of 2,000 votes, {logs} logs"
    record[title] = looks(world, logs)
    show(title, record[title])
    record["level"] = [level(logs)]
    show("false alarms while looking after every fifth of 2,000 terms, in %", record["level"])
    record["product"] = [product(world, 2 if arguments.quick else 10)]
    show("the tripwire on the product's own log, looking after each vote", record["product"])
    write("off-policy", {title: {row.name: dict(row.figures) for row in rows} for title, rows in record.items()})


if __name__ == "__main__":
    main()

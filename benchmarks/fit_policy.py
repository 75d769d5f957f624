"""Choose how firmly the sampler believes its prior, on QMSum's meetings and our own demo room alone.

    python -m benchmarks.fit_policy

A prior must serve where the rules are right, where exploring can only cost, and where they are wrong, where it has to
be given up in time. So each setting is tried in both: with the rules as they are, and with rules that name one poor
route for every question. The score of a setting is the mean over all worlds of its value so far minus the rules', in
points, after `LENGTH` questions of the simulated room of `benchmarks.learning`; a setting that loses more than
`MARGIN` where the rules are right is out. One number is chosen after the other, each from its grid, starting at what
ships. Prints what was tried; the winner is to be written into `routing.policies.linear.Prior` and
`routing.policies.thompson.ThompsonPolicy`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from benchmarks.harness import Row, show, write
from benchmarks.learning import run
from benchmarks.outcomes import outcomes_of
from benchmarks.router_policies import Ours, Rules
from benchmarks.simulator import Crowd, Outcomes, stream
from routing.policies.linear import DESIGN, Design, Posterior, Prior
from routing.policies.thompson import ThompsonPolicy
from routing.routes import KEYWORD, VECTOR

SETS: Final = ("demo", "qmsum")
POOR: Final = (KEYWORD, VECTOR)
"""Routes that the rules of a wrong world always name; on both sets they find much less than the best."""

STRETCHES: Final = ("qmsum",)
"""Sets whose evidence are whole stretches of talk: showing any of it is what counts, not how much of it is found."""

LENGTH: Final = 2_000
SEEDS: Final = 4
MARGIN: Final = 0.5
"""Points below the rules, where those are right."""

GRID: Final[Mapping[str, tuple[float, ...]]] = {
    "base": (12.5, 25.0, 50.0, 100.0, 200.0),
    "context": (1.0, 2.5, 5.0, 10.0, 25.0),
    "shared": (1.0, 2.5, 10.0),
    "vote": (0.125, 0.25, 0.5),
    "spread": (0.05, 0.1, 0.2),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What is chosen: see `Prior`, and `ThompsonPolicy` for ``spread``."""

    base: float
    context: float
    shared: float
    vote: float
    spread: float

    @classmethod
    def shipped(cls) -> Setting:
        """What the program has now."""
        prior, policy = Prior(), ThompsonPolicy(Posterior.from_votes([], 0))
        return cls(prior.base, prior.context, prior.shared, prior.vote, policy.spread)

    def design(self) -> Design:
        """The model with this prior."""
        prior = Prior(base=self.base, context=self.context, shared=self.shared, vote=self.vote)
        return Design(DESIGN.routes, DESIGN.columns, prior)


@dataclass(frozen=True, slots=True)
class World:
    """Questions, and rules that are right or wrong about them."""

    name: str
    right: bool
    outcomes: Outcomes


def worlds() -> Iterator[World]:
    """Every set with the rules as they are and with poor ones. Raises SystemExit when a set is not there."""
    for name in SETS:
        table = outcomes_of(name)
        if table is None:
            raise SystemExit("the fit needs QMSum's meetings: set WEAVEBOT_BENCH_DATA to a folder that has them")
        if name in STRETCHES:
            table = replace(table, quality=table.proven.astype(np.float64))
        yield World(name, right=True, outcomes=table)
        for route in POOR:
            advised = np.full(len(table.questions), table.routes.index(route), dtype=np.int64)
            yield World(f"{name}, {route} advised", right=False, outcomes=replace(table, advised=advised))


def gain(setting: Setting, world: World, length: int, seeds: int) -> float:
    """Value so far minus the rules', in points, mean over seeds."""
    design, table = setting.design(), world.outcomes
    found = []
    for seed in range(seeds):
        coins = stream(
            Crowd(), questions=len(table.questions), routes=len(table.routes), length=length, seed=100 + seed
        )  # other seeds than the benchmark's
        policy = ThompsonPolicy(Posterior.from_votes([], 0, design), spread=setting.spread)
        ours = run(Ours(table, design, seed, policy), table, design.costs, coins, (length,))
        rules = run(Rules(table), table, design.costs, coins, (length,))
        found.append(100 * float(ours.so_far[-1] - rules.so_far[-1]))
    return float(np.mean(found))


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting with its gain in each world."""

    setting: Setting
    gains: Mapping[str, float]
    worst_right: float

    @property
    def score(self) -> float:
        """The mean over the worlds, or minus infinity where it costs too much under right rules."""
        return float(np.mean(list(self.gains.values()))) if self.worst_right >= -MARGIN else -np.inf


def tried(setting: Setting, some: Sequence[World], length: int, seeds: int) -> Tried:
    """One setting in every world."""
    gains = {world.name: gain(setting, world, length, seeds) for world in some}
    return Tried(setting, gains, min(gains[world.name] for world in some if world.right))


def choose(some: Sequence[World], length: int, seeds: int) -> list[Tried]:
    """Everything that was tried, in order; the best so far is where the next number starts from."""
    best = tried(Setting.shipped(), some, length, seeds)
    everything = [best]
    for name, values in GRID.items():
        start = best.setting
        for value in values:
            if value != getattr(start, name):
                one = tried(replace(start, **{name: value}), some, length, seeds)
                everything.append(one)
                best = max(best, one, key=lambda each: each.score)
    return everything


def main() -> None:
    """Choose, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=LENGTH)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    everything = choose(list(worlds()), arguments.length, arguments.seeds)
    rows = [Row(_name(one.setting), {**one.gains, "score": one.score}) for one in everything]
    best = max(everything, key=lambda one: one.score)
    show("gain over the rules in points, by world", rows, note=f"best: {_name(best.setting)}")
    write("fit-policy", {_name(one.setting): {**asdict(one.setting), **one.gains} for one in everything})


def _name(setting: Setting) -> str:
    return " ".join(f"{name} {value:g}" for name, value in asdict(setting).items())


if __name__ == "__main__":
    main()

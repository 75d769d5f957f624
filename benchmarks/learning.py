"""Does the router learn, and is it ever worse than the rules? Simulated votes, paired seeds, 95 % intervals.

    python -m benchmarks.learning                 on the outcomes of the real engine: LoCoMo, and a mixed stream
    python -m benchmarks.learning --routes-data   on public routing labels: 1,292 questions, three ways of retrieving
    … --peers                                     beside MABWiser and Vowpal Wabbit, in an environment of their own

The mixed stream draws from LoCoMo, the HotpotQA room and the demo room, so that chats and documents alternate. The
outcomes are computed once, by `benchmarks.outcomes`, and kept in ``benchmarks/out``.

A policy's value is quality minus cost. *So far* is the mean over all questions asked, *greedy* what it would do now
on every question without exploring. The bar: ours is never more than a point below the rules.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import public_routes
from benchmarks.peers.environment import INSIDE, environment
from benchmarks.peers.routers import PACKAGES, peers
from benchmarks.router_policies import BetaThompson, Fixed, Learner, LinUcb, Ours, Rules, Uniform
from benchmarks.simulator import Crowd, Outcomes, Room, Stream, stream
from routing.policies.linear import DESIGN, Design

Array = NDArray[np.float64]

OUT = Path(__file__).parent / "out"
CHECKPOINTS = (100, 500, 2000, 5000)
LABEL_CHECKPOINTS = (500, 2000, 10_000)
SETS = ("locomo", "hotpotqa", "demo")
SEEDS = 10
REFRESH = 25
BAR = -0.01

console = Console(width=120)


@dataclass(frozen=True, slots=True)
class Curve:
    """One policy on one seed: its value so far and its greedy value at each checkpoint."""

    so_far: Array
    greedy: Array


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean over seeds, and the mean paired difference to the rules with its 95 % interval."""

    mean: float
    difference: float
    low: float
    high: float


def run(
    learner: Learner,
    outcomes: Outcomes,
    costs: Array,
    coins: Stream,
    checkpoints: Sequence[int],
    room: Room | None = None,
) -> Curve:
    """Streams one seed's questions through a policy in a room; it looks at the votes every 25 questions."""
    value = outcomes.quality - costs
    room = Room.open(coins, outcomes) if room is None else room
    got = np.zeros(len(coins))
    greedy = []
    for t in range(checkpoints[-1]):
        if t % REFRESH == 0:
            learner.learn(room, t)
        question = int(coins.question[t])
        route = learner.choose(t, question)
        room.answer(t, route)
        got[t] = value[question, route]
        if t + 1 in checkpoints:
            learner.learn(room, t + 1)
            greedy.append(value[np.arange(len(value)), learner.greedy()].mean())
    return Curve(np.array([got[:n].mean() for n in checkpoints]), np.array(greedy))


def policies(outcomes: Outcomes, design: Design, seed: int) -> dict[str, Learner]:
    """Who is compared; the best fixed route is the best in hindsight."""
    best = int((outcomes.quality - design.costs).mean(axis=0).argmax())
    inside = peers(outcomes, design.costs, seed) if INSIDE in os.environ else {}
    return {
        "ours (Thompson from the rules)": Ours(outcomes, design, seed),
        "rules": Rules(outcomes),
        f"best fixed ({outcomes.routes[best]})": Fixed(outcomes, best),
        "Beta-Thompson": BetaThompson(outcomes, design.costs, seed),
        "LinUCB": LinUcb(outcomes, design.costs),
        **inside,
        "uniform": Uniform(outcomes, seed),
    }


def compare(
    outcomes: Outcomes, design: Design, crowd: Crowd, checkpoints: Sequence[int], seeds: int
) -> dict[str, list[Curve]]:
    """Every policy on every seed."""
    curves: dict[str, list[Curve]] = {}
    for seed in range(seeds):
        coins = stream(
            crowd, questions=len(outcomes.questions), routes=len(outcomes.routes), length=checkpoints[-1], seed=seed
        )
        for name, learner in policies(outcomes, design, seed).items():
            curves.setdefault(name, []).append(run(learner, outcomes, design.costs, coins, checkpoints))
    return curves


def paired(curves: Sequence[Curve], rules: Sequence[Curve], of: Callable[[Curve], Array]) -> list[Paired]:
    """At each checkpoint, the mean and the paired difference to the rules (normal interval over seeds)."""
    values = np.array([of(curve) for curve in curves])
    differences = values - np.array([of(curve) for curve in rules])
    half = 1.96 * differences.std(axis=0, ddof=1) / np.sqrt(len(differences))
    middle = differences.mean(axis=0)
    return [
        Paired(float(m), float(d), float(d - h), float(d + h))
        for m, d, h in zip(values.mean(axis=0), middle, half, strict=True)
    ]


def tables(curves: Mapping[str, Sequence[Curve]]) -> dict[str, dict[str, list[Paired]]]:
    """So far and greedy, a policy's row each."""
    rules = curves["rules"]
    return {
        "so far": {name: paired(some, rules, lambda c: c.so_far) for name, some in curves.items()},
        "greedy": {name: paired(some, rules, lambda c: c.greedy) for name, some in curves.items()},
    }


def show(found: Mapping[str, Mapping[str, Sequence[Paired]]], checkpoints: Sequence[int], title: str) -> None:
    """Prints the tables."""
    for name, rows in found.items():
        heading = f"{title}: {name}: value in points, difference to the rules [95 % interval]"
        table = Table("policy", title=heading, title_justify="left")
        for checkpoint in checkpoints:
            table.add_column(f"{checkpoint:,}", justify="right", no_wrap=True)
        for policy, row in rows.items():
            table.add_row(policy, *(_cell(point) for point in row))
        console.print(table)


def _cell(point: Paired) -> str:
    return f"{_points(point.mean)[1:]} {_points(point.difference)} [{_points(point.low)} {_points(point.high)}]"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def meets_the_bar(found: Mapping[str, Mapping[str, Sequence[Paired]]]) -> bool:
    """Whether ours is nowhere more than a point below the rules."""
    ours = "ours (Thompson from the rules)"
    return all(point.difference >= BAR for rows in found.values() for point in rows[ours])


def report(
    outcomes: Outcomes, design: Design, crowd: Crowd, checkpoints: Sequence[int], seeds: int, title: str
) -> bool:
    """Runs, prints, writes ``benchmarks/out/learning-….json``; gives whether the bar is met."""
    found = tables(compare(outcomes, design, crowd, checkpoints, seeds))
    show(found, checkpoints, title)
    value = outcomes.quality - design.costs
    ceiling = float(value.max(axis=1).mean())
    console.print(f"{len(value)} questions, {seeds} seeds, {crowd.rate:.0%} react; oracle {ceiling:.3f}")
    record = {
        "title": title,
        "crowd": asdict(crowd),
        "checkpoints": list(checkpoints),
        "seeds": seeds,
        "oracle": ceiling,
        "tables": {k: {p: [asdict(point) for point in row] for p, row in rows.items()} for k, rows in found.items()},
        "meets_the_bar": meets_the_bar(found),
    }
    OUT.mkdir(exist_ok=True)
    (OUT / f"learning-{title.replace(' ', '-')}.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    console.print("never more than a point below the rules:", "yes" if meets_the_bar(found) else "NO")
    return meets_the_bar(found)


def worlds(arguments: argparse.Namespace) -> Iterator[tuple[str, Outcomes, Design]]:
    """What is measured on, by title; sets whose rooms are not there are left out."""
    if arguments.routes_data:
        yield ("public routes", *public_routes.outcomes())
        return
    from benchmarks.outcomes import outcomes_of  # noqa: PLC0415 - imports the program, which labels do not need

    found = {name: table for name in SETS if (table := outcomes_of(name)) is not None}
    if "locomo" in found:
        yield "locomo", found["locomo"], DESIGN
    yield "mixed", Outcomes.joined(list(found.values())), DESIGN


def main() -> None:
    """Parses the arguments and runs; exit 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes-data", action="store_true", help="public routing labels instead of the engine")
    parser.add_argument("--rate", type=float, default=0.2, help="share of the answers that get a vote")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--length", type=int, default=10_000, help="checkpoints beyond it are left out")
    parser.add_argument("--peers", action="store_true", help="MABWiser and Vowpal Wabbit too, in their environment")
    arguments = parser.parse_args()
    if arguments.peers and INSIDE not in os.environ:
        python = environment("routers", PACKAGES)
        ended = subprocess.run(
            [str(python), "-m", "benchmarks.learning", *sys.argv[1:]], env=os.environ | {INSIDE: "1"}, check=False
        )
        raise SystemExit(ended.returncode)
    planned = LABEL_CHECKPOINTS if arguments.routes_data else CHECKPOINTS
    checkpoints = [n for n in planned if n <= arguments.length]
    crowd = Crowd(rate=arguments.rate)
    met = [report(table, design, crowd, checkpoints, arguments.seeds, t) for t, table, design in worlds(arguments)]
    if not all(met):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

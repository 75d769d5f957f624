"""Does the router learn, and is it ever worse than the rules? Simulated votes, paired seeds, 95 % intervals.

    python -m benchmarks.learning                 on the outcomes of the real engine: LoCoMo, and a mixed stream
    python -m benchmarks.learning --routes-data   on public routing labels: 1,292 questions, three ways of retrieving
    … --peers                                     beside MABWiser and Vowpal Wabbit, in an environment of their own
    … --alone                                     ours and the rules only, for many seeds

The mixed stream draws from LoCoMo, the HotpotQA room and the demo room, so that chats and documents alternate; there
ours is also held, among chats and among documents, against the route that is best for them. The outcomes are computed
once, by `benchmarks.outcomes`, and kept in ``benchmarks/out``.

A policy's value is quality minus cost. *So far* is the mean over all questions asked, *greedy* what it would do now
on every question without exploring. The bar: ours is never more than a point below the rules. *Leads* are ours less
each other policy, paired by seed, with the two-sided p of Student's paired t-test.
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
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import ttest_rel

from benchmarks import public_routes
from benchmarks.peers.environment import INSIDE, environment
from benchmarks.peers.routers import PACKAGES, peers
from benchmarks.router_policies import BetaThompson, Fixed, Learner, LinUcb, Ours, Rules, Uniform
from benchmarks.simulator import Crowd, Ints, Outcomes, Room, Stream, stream
from routing.policies.linear import DESIGN, Design

Array = NDArray[np.float64]

OUT = Path(__file__).parent / "out"
CHECKPOINTS = (100, 500, 2000, 5000)
LABEL_CHECKPOINTS = (500, 2000, 10_000)
SETS = {"locomo": "chats", "hotpotqa": "documents", "demo": "chats"}
OURS: Final = "ours (Thompson from the rules)"
SEEDS = 10
REFRESH = 25
BAR = -0.01
_EQUAL: Final = 1e-12  # a spread below this is rounding

console = Console(width=120)


@dataclass(frozen=True, slots=True)
class Curve:
    """One policy on one seed: its value so far and its greedy value at each checkpoint.

    asked, played: (length,) the questions and the routes they got; chosen: (checkpoints, questions) the greedy routes.
    """

    so_far: Array
    greedy: Array
    asked: Ints
    played: Ints
    chosen: Ints


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean over seeds, the mean paired difference to another with its 95 % interval, and p by Student's t-test."""

    mean: float
    difference: float
    low: float
    high: float
    p: float = 1.0


@dataclass(frozen=True, slots=True)
class World:
    """What is measured on. parts: for each question the kind of room it is of, where there are several kinds."""

    title: str
    outcomes: Outcomes
    design: Design
    parts: NDArray[np.str_] | None = None


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
    got, played = np.zeros(len(coins)), np.zeros(len(coins), dtype=np.int64)
    chosen = []
    for t in range(checkpoints[-1]):
        if t % REFRESH == 0:
            learner.learn(room, t)
        question = int(coins.question[t])
        route = learner.choose(t, question)
        room.answer(t, route)
        got[t], played[t] = value[question, route], route
        if t + 1 in checkpoints:
            learner.learn(room, t + 1)
            chosen.append(learner.greedy())
    greedy = np.array([value[np.arange(len(value)), one].mean() for one in chosen])
    so_far = np.array([got[:n].mean() for n in checkpoints])
    return Curve(so_far, greedy, coins.question, played, np.array(chosen))


def policies(outcomes: Outcomes, design: Design, seed: int, *, alone: bool = False) -> dict[str, Learner]:
    """Who is compared; the best fixed route is the best in hindsight."""
    if alone:
        return {OURS: Ours(outcomes, design, seed), "rules": Rules(outcomes)}
    best = int((outcomes.quality - design.costs).mean(axis=0).argmax())
    inside = peers(outcomes, design.costs, seed) if INSIDE in os.environ else {}
    return {
        OURS: Ours(outcomes, design, seed),
        "rules": Rules(outcomes),
        f"best fixed ({outcomes.routes[best]})": Fixed(outcomes, best),
        "Beta-Thompson": BetaThompson(outcomes, design.costs, seed),
        "LinUCB": LinUcb(outcomes, design.costs),
        **inside,
        "uniform": Uniform(outcomes, seed),
    }


def compare(
    outcomes: Outcomes, design: Design, crowd: Crowd, checkpoints: Sequence[int], seeds: int, *, alone: bool = False
) -> dict[str, list[Curve]]:
    """Every policy on every seed."""
    curves: dict[str, list[Curve]] = {}
    for seed in range(seeds):
        coins = stream(
            crowd, questions=len(outcomes.questions), routes=len(outcomes.routes), length=checkpoints[-1], seed=seed
        )
        for name, learner in policies(outcomes, design, seed, alone=alone).items():
            curves.setdefault(name, []).append(run(learner, outcomes, design.costs, coins, checkpoints))
    return curves


def paired(curves: Sequence[Curve], others: Sequence[Curve], of: Callable[[Curve], Array]) -> list[Paired]:
    """At each checkpoint, the mean and the paired difference to others, as the rules (normal interval over seeds)."""
    return _paired(np.array([of(curve) for curve in curves]), np.array([of(curve) for curve in others]))


def _paired(values: Array, others: Array) -> list[Paired]:
    """Of (seeds, checkpoints) values."""
    differences = values - others
    half = 1.96 * differences.std(axis=0, ddof=1) / np.sqrt(len(differences))
    differ, p = np.ptp(differences, axis=0) > _EQUAL, np.ones(differences.shape[1])
    if differ.any():
        p[differ] = ttest_rel(values[:, differ], others[:, differ]).pvalue
    return [
        Paired(float(m), float(d), float(d - h), float(d + h), float(chance))
        for m, d, h, chance in zip(values.mean(axis=0), differences.mean(axis=0), half, p, strict=True)
    ]


def leads(curves: Mapping[str, Sequence[Curve]]) -> dict[str, list[Paired]]:
    """Ours so far beside each other policy."""
    others = {name: some for name, some in curves.items() if name != OURS}
    return {name: paired(curves[OURS], some, lambda c: c.so_far) for name, some in others.items()}


def by_part(world: World, curves: Sequence[Curve], checkpoints: Sequence[int]) -> dict[str, dict[str, list[Paired]]]:
    """Ours among the questions of each kind of room, beside the route that is best for all of these: so far, greedy."""
    found: dict[str, dict[str, list[Paired]]] = {"so far": {}, "greedy": {}}
    if world.parts is None:
        return found
    value = world.outcomes.quality - world.design.costs
    rows = np.arange(len(value))
    for part in np.unique(world.parts):
        of = world.parts == part
        best = int(value[of].mean(axis=0).argmax())
        name = f"{part}, beside {world.outcomes.routes[best]}"
        got, could = [], []
        for curve in curves:
            firsts = [np.flatnonzero(of[curve.asked[:n]]) for n in checkpoints]
            got.append([value[curve.asked[first], curve.played[first]].mean() for first in firsts])
            could.append([value[curve.asked[first], best].mean() for first in firsts])
        found["so far"][name] = _paired(np.array(got), np.array(could))
        greedy = np.array([[value[rows, one][of].mean() for one in curve.chosen] for curve in curves])
        found["greedy"][name] = _paired(greedy, np.full_like(greedy, value[of, best].mean()))
    return found


def tables(curves: Mapping[str, Sequence[Curve]]) -> dict[str, dict[str, list[Paired]]]:
    """So far and greedy, a policy's row each."""
    rules = curves["rules"]
    return {
        "so far": {name: paired(some, rules, lambda c: c.so_far) for name, some in curves.items()},
        "greedy": {name: paired(some, rules, lambda c: c.greedy) for name, some in curves.items()},
    }


def show(
    found: Mapping[str, Mapping[str, Sequence[Paired]]],
    checkpoints: Sequence[int],
    title: str,
    others: str = "difference to the rules",
) -> None:
    """Prints the tables; with p where the difference is to others than the rules."""
    for name, rows in found.items():
        heading = f"{title}: {name}: value in points, {others} [95 % interval]"
        table = Table("policy", title=heading, title_justify="left")
        for checkpoint in checkpoints:
            table.add_column(f"{checkpoint:,}", justify="right", no_wrap=True)
        for policy, row in rows.items():
            table.add_row(policy, *(_cell(point, told=name == "leads") for point in row))
        if rows:
            console.print(table)


def _cell(point: Paired, *, told: bool) -> str:
    found = f"{_points(point.difference)} [{_points(point.low)} {_points(point.high)}]"
    return f"{found} p {point.p:.1g}" if told else f"{_points(point.mean)[1:]} {found}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def meets_the_bar(found: Mapping[str, Mapping[str, Sequence[Paired]]]) -> bool:
    """Whether ours is nowhere more than a point below the rules."""
    return all(point.difference >= BAR for rows in found.values() for point in rows[OURS])


def report(world: World, crowd: Crowd, checkpoints: Sequence[int], seeds: int, *, alone: bool = False) -> bool:
    """Runs, prints, writes ``benchmarks/out/learning-….json``; gives whether the bar is met."""
    title, outcomes, design = world.title, world.outcomes, world.design
    curves = compare(outcomes, design, crowd, checkpoints, seeds, alone=alone)
    found, lead, parts = tables(curves), leads(curves), by_part(world, curves[OURS], checkpoints)
    show(found, checkpoints, title)
    show({"leads": lead}, checkpoints, title, "ours less the other")
    show(parts, checkpoints, f"{title}, ours by kind of room", "difference to the best route")
    value = outcomes.quality - design.costs
    ceiling = float(value.max(axis=1).mean())
    console.print(f"{len(value)} questions, {seeds} seeds, {crowd.rate:.0%} react; oracle {ceiling:.3f}")
    record = {
        "title": title,
        "crowd": asdict(crowd),
        "checkpoints": list(checkpoints),
        "seeds": seeds,
        "oracle": ceiling,
        "tables": {name: _plain(rows) for name, rows in found.items()},
        "leads": _plain(lead),
        "by kind of room": {name: _plain(rows) for name, rows in parts.items()},
        "meets_the_bar": meets_the_bar(found),
    }
    OUT.mkdir(exist_ok=True)
    (OUT / f"learning-{title.replace(' ', '-')}.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    console.print("never more than a point below the rules:", "yes" if meets_the_bar(found) else "NO")
    return meets_the_bar(found)


def _plain(rows: Mapping[str, Sequence[Paired]]) -> dict[str, list[dict[str, float]]]:
    return {name: [asdict(point) for point in row] for name, row in rows.items()}


def worlds(arguments: argparse.Namespace) -> Iterator[World]:
    """What is measured on; sets whose rooms are not there are left out."""
    if arguments.routes_data:
        yield World("public routes", *public_routes.outcomes())
        return
    from benchmarks.outcomes import outcomes_of  # noqa: PLC0415 - imports the program, which labels do not need

    found = {name: table for name in SETS if (table := outcomes_of(name)) is not None}
    if "locomo" in found:
        yield World("locomo", found["locomo"], DESIGN)
    parts = np.repeat([SETS[name] for name in found], [len(table.questions) for table in found.values()])
    yield World("mixed", Outcomes.joined(list(found.values())), DESIGN, parts)


def main() -> None:
    """Parses the arguments and runs; exit 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes-data", action="store_true", help="public routing labels instead of the engine")
    parser.add_argument("--rate", type=float, default=0.2, help="share of the answers that get a vote")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--length", type=int, default=10_000, help="checkpoints beyond it are left out")
    parser.add_argument("--peers", action="store_true", help="MABWiser and Vowpal Wabbit too, in their environment")
    parser.add_argument("--alone", action="store_true", help="ours and the rules only")
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
    met = [report(one, crowd, checkpoints, arguments.seeds, alone=arguments.alone) for one in worlds(arguments)]
    if not all(met):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""What the router promises beside learning: spam, the cost of a decision, exact revision, exact explanations.

    python -m benchmarks.router_targets

Spam: on the public routing labels somebody new votes down the best route whenever it is shown, 300 times at most; the
loss is what the same questions would have earned without them. The rest runs on the product's own menu and features.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import public_routes
from benchmarks.harness import Row, interval, show, write
from benchmarks.learning import run
from benchmarks.router_policies import Ours
from benchmarks.simulator import MONDAY, Crowd, Outcomes, Room, Stream, stream
from routing.features import NAMES
from routing.models import Advice, Evidence, Features, Vote
from routing.policies import people
from routing.policies.linear import DESIGN, Design, Posterior
from routing.policies.thompson import ThompsonPolicy

Array = NDArray[np.float64]

SPAM: Final = 300
SPAMMER: Final = 10_000
LENGTH: Final = 5_000
DECISIONS: Final = 2_000
VOTED: Final = 2_000


@dataclass(slots=True)
class SpammedRoom(Room):
    """A room in which one more person votes down a route, from the first answers on."""

    victim: int = 0
    shown: list[int] | None = None

    def standing(self, t: int) -> Iterator[Vote]:
        """The votes of the others, and theirs."""
        yield from Room.standing(self, t)
        for answer in (self.shown or [])[:SPAM]:
            if answer < t:
                day = MONDAY + timedelta(days=answer / self.coins.a_day)
                yield Vote(answer, SPAMMER, "👎", day, is_asker=False)

    def answer(self, t: int, route: int) -> None:
        """Notes when the victim is shown."""
        Room.answer(self, t, route)
        if self.shown is not None and route == self.victim:
            self.shown.append(t)


def value_of(outcomes: Outcomes, design: Design, coins: Stream, seed: int, *, spam: bool) -> float:
    """The mean value so far of the product after `LENGTH` questions."""
    victim = int((outcomes.quality - design.costs).mean(axis=0).argmax())
    room = SpammedRoom(coins, outcomes, [], victim, []) if spam else None
    curve = run(Ours(outcomes, design, seed), outcomes, design.costs, coins, (LENGTH,), room)
    return float(curve.so_far[-1])


def spam(seeds: int) -> Row:
    """The paired loss by one spammer."""
    outcomes, design = public_routes.outcomes()
    losses = []
    for seed in range(seeds):
        coins = stream(Crowd(), questions=len(outcomes.questions), routes=len(design.routes), length=LENGTH, seed=seed)
        calm, spammed = (value_of(outcomes, design, coins, seed, spam=one) for one in (False, True))
        losses.append(calm - spammed)
    mean, low, high = interval(losses)
    reached = f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"
    return Row("loss by one spammer, 300 votes", {"target": "≤ 0.020", "reached": reached})


def voted(rng: np.random.Generator, n: int) -> list[Evidence]:
    """Rated answers of the product's menu with made-up features."""
    drawn = [DESIGN.routes[int(rng.integers(len(DESIGN.routes)))] for _ in range(n)]
    return [
        Evidence(
            answer=i + 1,
            route=drawn[i].name,
            route_version=drawn[i].version,
            followed_rules=bool(rng.random() < 0.5),
            x=0.3 * rng.standard_normal(len(NAMES)) / np.sqrt(len(NAMES) / 10),
            y=float(rng.random()),
            w=0.25,
            person=int(rng.integers(40)),
        )
        for i in range(n)
    ]


def decisions() -> list[Row]:
    """Cost of a decision with its propensities and the asker's offset; explanations against the lead."""
    rng = np.random.default_rng(5)
    evidence = voted(rng, VOTED)
    posterior = Posterior.from_votes(evidence, VOTED)
    offsets = people.offsets(evidence, posterior)
    policy, advice = ThompsonPolicy(posterior), Advice("chat", ())
    took, off = [], 0.0
    for i in range(DECISIONS):
        features = Features(DESIGN.features_version, NAMES, evidence[i % VOTED].x)
        began = time.perf_counter()
        made = policy.decide(features, advice, seed=i, offset=offsets.get(i % 40))
        took.append(1000 * (time.perf_counter() - began))
        off = max(off, abs(sum(term.amount for term in made.contributions) - made.gap))
    p50, p95 = np.percentile(took, (50, 95))
    size = len(posterior.to_bytes()) / 2**20
    return [
        Row("a decision, ms: p50 / p95", {"target": "p50 < 0.5", "reached": f"{p50:.2f} / {p95:.2f}"}),
        Row("learned state, MB", {"target": "< 1", "reached": f"{size:.2f}"}),
        Row("terms of an explanation against the lead", {"target": "1e-9", "reached": f"{off:.0e}"}),
    ]


def revision(orders: int = 20) -> Row:
    """Votes cast, taken back and cast again in any order, against the votes that stand."""
    rng = np.random.default_rng(6)
    evidence = voted(rng, 400)
    wanted = Posterior.from_votes(evidence[:300], 400)
    offsets = people.offsets(evidence[:300], wanted)
    off = 0.0
    for _ in range(orders):
        held: dict[int, Evidence] = {}
        for i in rng.permutation(400):
            held[int(i)] = evidence[i]
            if rng.random() < 0.3:
                del held[int(rng.choice(list(held)))]
        held = {int(i): evidence[i] for i in rng.permutation(300)} | {i: one for i, one in held.items() if i < 300}
        found = Posterior.from_votes(list(held.values()), 400)
        theirs = people.offsets(list(held.values()), found)
        off = max(off, float(np.abs(found.mean - wanted.mean).max()))
        off = max(off, *(float(np.abs(theirs[person] - one).max()) for person, one in offsets.items()))
    return Row("votes revised in any order", {"target": "1e-8", "reached": f"{off:.0e}"})


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="of the spammed room")
    arguments = parser.parse_args()
    rows = [*decisions(), revision(), spam(arguments.seeds)]
    show("what the router promises", rows)
    write("router-targets", {row.name: dict(row.figures) for row in rows})


if __name__ == "__main__":
    main()

"""Does a follow-up inherit what it needs? Pairs of questions on the demo room, each in a thread of its own.

Every first question is asked, then what follows. A follow-up is right when it stays on the route and takes over every
entity that it is about, and none that it replaces; a question that only looks like one must take over nothing.
recall@10 is that of the follow-up with what it inherits, without, and of what it means written out in full. The pairs
are our own (`bot/demo/followups.jsonl`). The rules were written while looking at most of them; the *fresh* ones were
written when the rules were done.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from benchmarks.harness import Row, console, fresh_app, load, show, write
from benchmarks.path_rooms import bootstrap
from benchmarks.rooms import DEMO, rooms
from memory.models import Scope
from memory.text import words
from routing.models import Answer
from routing.shuttle import Shuttle

K: Final = 10
LATER: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and what is asked after it."""

    id: str
    first: str
    question: str
    means: str
    follows: bool
    fresh: bool
    entities: tuple[str, ...]
    not_entities: tuple[str, ...]
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a pair; recalls are of a follow-up and NaN otherwise."""

    pair: Pair
    route: bool
    entities: bool
    told: str
    inherited: float
    alone: float
    meant: float
    abstained: tuple[bool, bool]

    @property
    def right(self) -> bool:
        """Route and entities as they should be."""
        return self.route and self.entities


def pairs() -> list[Pair]:
    """The set that ships with the project."""
    lines = (DEMO / "followups.jsonl").read_text("utf-8").splitlines()
    return [_pair(json.loads(line)) for line in lines if line.strip()]


def _pair(row: dict[str, Any]) -> Pair:
    return Pair(
        id=row["id"],
        first=row["first"],
        question=row["question"],
        means=row["means"],
        follows=row["follows"],
        fresh=row["fresh"],
        entities=tuple(row["entities"]),
        not_entities=tuple(row["not_entities"]),
        evidence=frozenset(row["evidence"]),
    )


async def ask(shuttle: Shuttle, scope: Scope, pair: Pair, at: datetime) -> Outcome:
    """One pair, asked with and without inheriting, each time in a fresh thread."""
    then, route, told = await inherits(shuttle, scope, pair, at)
    _, alone = await _both(shuttle, scope, pair, at, inherit=False)
    meant = await shuttle.weave(pair.means, scope, asked_at=at, limit=K, route=then.decision.route, thread="meant")
    return Outcome(
        pair,
        route=route,
        entities=right(pair, told),
        told=told,
        inherited=_recall(pair, then),
        alone=_recall(pair, alone),
        meant=_recall(pair, meant),
        abstained=(then.abstained, alone.abstained),
    )


async def inherits(shuttle: Shuttle, scope: Scope, pair: Pair, at: datetime) -> tuple[Answer, bool, str]:
    """The answer to what was asked second, whether its route is right, and what `why` tells of what it took over."""
    first, then = await _both(shuttle, scope, pair, at, inherit=True)
    told = next((line for line in await shuttle.why(scope.tenant, then.id) if ", so I also look for " in line), "")
    advised = any(reason.startswith("This follows up") for reason in then.decision.reasons)
    stays = then.decision.rule_route == first.decision.route
    return then, stays if pair.follows else not advised, told


async def _both(shuttle: Shuttle, scope: Scope, pair: Pair, at: datetime, *, inherit: bool) -> tuple[Answer, Answer]:
    thread = f"{pair.id}-{inherit}"
    first = await shuttle.weave(pair.first, scope, asked_at=at, limit=K, seed=1, thread=thread)
    then = await shuttle.weave(
        pair.question, scope, asked_at=at + LATER, limit=K, seed=1, thread=thread, inherit=inherit
    )
    return first, then


def right(pair: Pair, told: str) -> bool:
    """Whether what was told names everything that it should, and nothing that it should not."""
    _, _, listed = told.partition("so I also look for")
    if not pair.follows:
        return not told
    held = set(words(listed))
    return all(held.issuperset(words(one)) for one in pair.entities) and not any(
        held.issuperset(words(one)) for one in pair.not_entities
    )


def _recall(pair: Pair, answer: Answer) -> float:
    if not pair.evidence:
        return float("nan")
    return len(pair.evidence & {citation.message_id for citation in answer.citations[:K]}) / len(pair.evidence)


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Shares and recalls in percent; the gain from inheriting with its 95 % interval over pairs."""
    leaning = [one for one in outcomes if one.pair.follows]
    others = [one for one in outcomes if not one.pair.follows]
    gain = np.array([one.inherited - one.alone for one in leaning])
    low, high = bootstrap(gain)
    return {
        "follow-ups": len(leaning),
        "right route and entities": _percent([one.right for one in leaning]),
        "others": len(others),
        "others left alone": _percent([one.right for one in others]),
        "recall@10 inheriting": _percent([one.inherited for one in leaning]),
        "recall@10 alone": _percent([one.alone for one in leaning]),
        "recall@10 written out": _percent([one.meant for one in leaning]),
        "gain": [100 * float(gain.mean()), 100 * low, 100 * high],
        "abstains inheriting": _percent([one.abstained[0] for one in leaning]),
        "abstains alone": _percent([one.abstained[1] for one in leaning]),
    }


def _percent(values: Sequence[float]) -> float:
    return 100 * float(np.mean(values))


async def main() -> None:
    """The table, and each pair that went wrong."""
    given = rooms("demo")
    if given is None:
        return
    async with fresh_app() as app:
        kept = await load(app, given[0])
        at = given[0].messages[-1].sent_at + timedelta(hours=1)
        scope = Scope(app.tenant, (kept.id,))
        outcomes = [await ask(app.shuttle, scope, pair, at) for pair in pairs()]
    results = {}
    for name, fresh in (("looked at", False), ("fresh", True)):
        some = [one for one in outcomes if one.pair.fresh is fresh]
        for one in some:
            if not one.right:
                console.print(
                    f"{one.pair.id}: {one.pair.first} / {one.pair.question}: {one.told or 'nothing taken over'}"
                )
        found = results[name] = figures(some)
        gained = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*found["gain"])
        show(f"follow-ups on the demo room, {name}", [Row(k, {"": v}) for k, v in {**found, "gain": gained}.items()])
    write("followups", results)


if __name__ == "__main__":
    asyncio.run(main())

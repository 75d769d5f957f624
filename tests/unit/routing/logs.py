"""Logs of decisions with votes, for the tests of what is read off them: as arrays, and as rows of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import func, insert, select

from memory.models import Scope
from memory.ports import Database
from memory.tables import tenants
from routing import ballots
from routing.answers import Draft, _answer_row, _decision_row
from routing.evaluation import Log
from routing.models import Decision, Evidence
from routing.policies.linear import Design
from routing.routes import BY_NAME, CHAT, DOCUMENTS, KEYWORD, VECTOR
from routing.tables import answers, decisions, votes
from tests.unit.routing.asking import numbers
from tests.unit.routing.voting import QUESTIONS

SMALL: Final = Design(tuple(BY_NAME[name] for name in (CHAT, DOCUMENTS, KEYWORD, VECTOR)), 4)
"""A model that is learned in no time."""

UP, DOWN = (0.78, 0.25), (0.2, 0.28)
"""Reward and weight of an asker's 👍 and 👎."""


def drawn_log(
    good: Mapping[str, float], chances: Mapping[str, float], n: int, *, seed: int = 0, policy: str = "thompson"
) -> Log:
    """A log in which routes are drawn by ``chances`` and liked by ``good``; the rules always say chat."""
    rng = np.random.default_rng(seed)
    names = list(chances)
    pi = np.zeros((n, len(SMALL.routes)))
    for name, chance in chances.items():
        pi[:, SMALL.index[name]] = chance
    played = rng.choice(names, size=n, p=list(chances.values()))
    evidence = []
    for i, route in enumerate(played):
        y, w = UP if rng.random() < good[route] else DOWN
        evidence.append(Evidence(i + 1, str(route), 1, route == CHAT, 0.5 * rng.standard_normal(4), y, w))
    return Log(
        design=SMALL,
        evidence=tuple(evidence),
        rules=np.full(n, SMALL.index[CHAT], dtype=np.intp),
        pi=pi,
        offered=pi > 0,
        seeds=(0,) * n,
        policies=(policy,) * n,
    )


def value(good: Mapping[str, float], policy: Mapping[str, float]) -> float:
    """The true value of a policy in such a log."""
    chance = sum(policy[name] * good[name] for name in policy)
    weight = chance * UP[1] + (1 - chance) * DOWN[1]
    return (chance * UP[0] * UP[1] + (1 - chance) * DOWN[0] * DOWN[1]) / weight


async def keep_log(
    database: Database,
    scope: Scope,
    people: Sequence[int],
    good: Mapping[str, float],
    chances: Mapping[str, float],
    n: int,
    *,
    at: datetime,
    policy: str = "thompson",
    seed: int = 0,
) -> list[int]:
    """The same as rows, in one transaction: answers an hour apart, each rated by its asker; gives their serials."""
    rng = np.random.default_rng(seed)
    names = list(chances)
    played = [str(route) for route in rng.choice(names, size=n, p=list(chances.values()))]
    made: list[dict[str, Any]] = []
    for i, route in enumerate(played):
        decision = Decision(
            route=route,
            policy=policy,
            propensity=chances[route],
            propensities=dict(chances),
            rule_route=CHAT,
            reasons=(),
            features=numbers(QUESTIONS[i % len(QUESTIONS)]),
            epsilon=0.05,
            seed=i,
            explored=route != CHAT,
            runner_up=None,
            gap=0.0,
            contributions=(),
            evidence=0.0,
            posterior="",
        )
        asker = people[i % len(people)]
        asked = Draft(
            scope=Scope(scope.tenant, scope.rooms, asker),
            room=scope.rooms[0],
            question="?",
            text="",
            confidence=0.7,
            abstained=False,
            asked_at=at + timedelta(hours=i),
            ms=1.0,
            hits=(),
            decision=decision,
            route_version=BY_NAME[route].version,
        )
        emoji = "👍" if rng.random() < good[route] else "👎"
        vote = {"person_id": asker, "emoji": emoji, "cast_at": asked.asked_at}
        made.append({"answer": _answer_row(asked), "decision": _decision_row(asked), "vote": vote})
    async with database.write() as conn:
        newest = (await conn.execute(select(func.coalesce(func.max(answers.c.serial), 0)))).scalar_one()
        serials = [newest + 1 + i for i in range(n)]
        await conn.execute(insert(answers), [{"serial": s, **m["answer"]} for s, m in zip(serials, made, strict=True)])
        if conn.dialect.name == "postgresql":  # the next answer comes after those
            sequence = func.pg_get_serial_sequence("answers", "serial")
            await conn.execute(select(func.setval(sequence, serials[-1])))
        for table, part in ((decisions, "decision"), (votes, "vote")):
            rows = [{"answer_serial": s, **m[part]} for s, m in zip(serials, made, strict=True)]
            await conn.execute(insert(table), rows)
        await ballots.changed(conn, select(tenants.c.id).where(tenants.c.id == scope.tenant).scalar_subquery())
    return serials

"""Patterns that ask again with what they have learned: recursive, and the strange loop that judges its own answer."""

from __future__ import annotations

from typing import Final

from memory.models import Candidates, Expansion, Query
from routing.patterns.checking import Check, check
from routing.patterns.run import EVIDENCE, Run
from routing.patterns.trace import Act, Ended

MISSED: Final = 1.0
"""What a term of the question that the best evidence lacks counts on top of what it counted before."""


async def recursive(run: Run) -> Candidates:
    """Evidence refines the question: rare terms and names of the best messages are added, and all sources asked again.

    Until the best ten stay as they are, nothing is learned, or the budget is spent.
    """
    query, said = run.query, await run.ask(*run.sources)
    pool = await run.described(said)
    best = run.best(pool)
    while run.goes_on(len(run.sources)):
        more = await run.learn(query, best)
        if not more:
            run.end(Ended.NOTHING_NEW)
            break
        query = await run.engine.expanded(query, more)
        said += await run.ask(*run.sources, query=query)
        pool = await run.described(said, query)
        before, best = best, run.best(pool)
        if best == before:
            run.end(Ended.SETTLED)
            break
    return pool


async def strange_loop(run: Run) -> Candidates:
    """The best evidence is held against the question; what it misses is asked for again, with what was learned.

    Of two rounds the one whose evidence covers more is kept; where it is not the newer one, the loop ends.
    """
    query, said = run.query, await run.ask(*run.sources)
    pool = await run.described(said)
    verdict = await judged(run, pool)
    while not verdict.passed:
        if not run.goes_on(len(run.sources)):
            return pool
        query = await asked_for(run, query, pool, verdict)
        said = [*said, *await run.ask(*run.sources, query=query)]
        again = await run.described(said, query)
        newer = await judged(run, again)
        if newer.covered <= verdict.covered:
            run.end(Ended.NO_BETTER)
            return pool
        pool, verdict = again, newer
    run.end(Ended.COVERED)
    return pool


async def judged(run: Run, pool: Candidates) -> Check:
    """The best messages of a pool, held against the question."""
    began = run.timer()
    verdict = check(run.query, pool, await run.read(run.best(pool, EVIDENCE)))
    run.note(Act.CHECK, verdict.missing, began)
    return verdict


async def asked_for(run: Run, query: Query, pool: Candidates, verdict: Check) -> Query:
    """The question with what was missed weighing more, and with what the evidence has taught."""
    more = await run.learn(query, run.best(pool))
    missed = Expansion(tuple((term, 1.0 + MISSED) for term in verdict.terms))
    return await run.engine.expanded(query, more.joined(missed))

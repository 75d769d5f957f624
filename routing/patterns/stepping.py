"""Patterns that decide where to look as they go: hierarchical, and adaptive."""

from __future__ import annotations

import numpy as np

from memory.models import Candidates, Nominations, Query, Serials
from memory.sources import question_mentions
from routing.patterns.refining import asked_for, judged
from routing.patterns.run import Run
from routing.patterns.trace import Ended

GRAPH = "graph"


async def hierarchical(run: Run) -> Candidates:
    """The session first, then messages within: what sources say counts where the best sessions are.

    The best messages of those sessions are candidates as well, whether a source names them or not.
    """
    inside, best = await run.sessions()
    said = await run.ask(*run.sources)
    if not len(inside):
        return await run.described(said)
    return await run.described([*(_within(one, inside) for one in said), best])


def _within(said: Nominations, inside: Serials) -> Nominations:
    there = np.isin(said.serials, inside)
    return Nominations(said.source, said.serials[there], said.scores[there])


async def adaptive(run: Run) -> Candidates:
    """One source, then what the evidence calls for: stop, expand the graph, ask the next source, or ask again.

    After each step the best evidence is held against the question. While it lacks something, a source that has not
    been asked is next, the graph first where the question names things; when all were asked, the question goes out once
    more with what was missed and learned. A source that is down is passed over.
    """
    query = run.query
    said: list[Nominations] = []
    waiting = list(run.sources)
    while True:
        source = _next(query, waiting, first=not said)
        waiting.remove(source)
        said += await run.ask(source)
        if not said and waiting:
            continue
        pool = await run.described(said)
        verdict = await judged(run, pool)
        if verdict.passed:
            run.end(Ended.COVERED)
            return pool
        if not waiting:
            break
        if not run.goes_on(1):
            return pool
    if run.goes_on(len(run.sources)):
        query = await asked_for(run, query, pool, verdict)
        again = await run.described([*said, *await run.ask(*run.sources, query=query)], query)
        if (await judged(run, again)).covered > verdict.covered:
            return again
        run.end(Ended.NO_BETTER)
    return pool


def _next(query: Query, waiting: list[str], *, first: bool) -> str:
    if not first and GRAPH in waiting and question_mentions(query):
        return GRAPH
    return next((source for source in waiting if source != GRAPH), waiting[0])

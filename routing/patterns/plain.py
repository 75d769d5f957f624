"""Patterns that ask each source once: all at a time, or one after the other."""

from __future__ import annotations

from memory.models import Candidates, Nominations
from routing.patterns.run import POOL, Run
from routing.patterns.trace import Ended


async def parallel(run: Run) -> Candidates:
    """Every source at once; whatever any of them nominates is a candidate."""
    return await run.described(await run.ask(*run.sources))


async def feed_forward(run: Run) -> Candidates:
    """One source after the other, until there are enough candidates: a later one is asked only for what is missing."""
    said: list[Nominations] = []
    found: set[int] = set()
    for number, source in enumerate(run.sources):
        if len(found) >= POOL:
            run.end(Ended.ENOUGH)
            break
        if number and said and not run.goes_on(1):
            break
        for nominations in await run.ask(source):
            found.update(nominations.serials.tolist())
            said.append(nominations)
    return await run.described(said)

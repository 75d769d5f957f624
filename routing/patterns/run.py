"""A pattern at work in one room: it asks sources within its budget, and what became of it is noted.

Nothing outlives a run: when an ask is cancelled, or the time is up, the sources that are still out are cancelled and
waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from memory.engine import Engine
from memory.errors import Unavailable
from memory.models import Candidates, Expansion, Message, Nominations, Query, Serials
from routing.fusion import Scores, learned, order
from routing.models import Budget
from routing.patterns.trace import Act, Ended, Step, Trace

POOL: Final = 200
"""Messages that a source may nominate; the formula loses nothing to ranking the whole room."""

FIRST: Final = 10
"""How many of the best messages are compared from round to round."""

EVIDENCE: Final = 3
"""How many of the best messages are read to ask again with."""


@dataclass(slots=True)
class Run:
    """One pattern, one question, one room. ``timer`` gives seconds; tests move it by hand.

    ``weights`` (`routing.fusion.LEARNED`,) order what it holds to be the best evidence; without them the formula does.
    """

    engine: Engine
    query: Query
    room: int
    sources: tuple[str, ...]
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    timer: Callable[[], float] = time.perf_counter
    weights: Scores | None = None
    failed: dict[str, Unavailable] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)  # stores that did not answer, where others were asked instead
    steps: list[Step] = field(default_factory=list)
    ended: Ended = Ended.DONE
    calls: int = 0
    round: int = 1
    began: float = field(init=False)
    turned: float = field(init=False)  # when this round began

    def __post_init__(self) -> None:
        self.began = self.turned = self.timer()

    @property
    def left(self) -> float:
        """Milliseconds that may still be spent; below 0 when it is late."""
        return self.budget.ms - self._spent(self.began)

    @property
    def trace(self) -> Trace:
        """What was done so far."""
        return Trace(tuple(self.steps), self.ended, self._spent(self.began))

    def end(self, why: Ended) -> None:
        """Notes why it goes no further."""
        self.ended = why

    def note(self, act: Act, found: int, began: float) -> None:
        """Notes a step that is not the asking of a source; ``began`` by the timer."""
        self.steps.append(Step(act, self.round, found, self._spent(began)))

    def goes_on(self, calls: int) -> bool:
        """Begins another round if the budget allows for so many calls more; notes what ran out if not.

        A round that would take as long as the last one must still fit.
        """
        if self.calls + calls > self.budget.calls:
            self.end(Ended.OUT_OF_CALLS)
        elif self.left <= self._spent(self.turned):
            self.end(Ended.OUT_OF_TIME)
        else:
            self.round += 1
            self.turned = self.timer()
            return True
        return False

    async def ask(self, *sources: str, query: Query | None = None) -> list[Nominations]:
        """What sources nominate, in their order, all asked at once; those that are down or too late are left out."""
        allowed = sources[: max(0, self.budget.calls - self.calls)]
        if len(allowed) < len(sources):
            self.end(Ended.OUT_OF_CALLS)
        self.calls += len(allowed)
        began = self.timer()
        tasks = {name: asyncio.create_task(self._timed(name, query or self.query)) for name in allowed}
        try:
            await self._wait(set(tasks.values()))
            said = []
            for name, task in tasks.items():
                found, ms = task.result() if task.done() else (None, self._spent(began))
                self.steps.append(Step(name, self.round, -1 if found is None else len(found.serials), ms))
                said += [] if found is None else [found]
            return said
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _wait(self, out: set[asyncio.Task[tuple[Nominations | None, float]]]) -> None:
        """Until all have answered or the time is up; in the first round until one has answered, however late it is."""
        answered = self.round > 1
        while out and not (answered and self.left <= 0):
            patience = max(self.left, 0.0) / 1000 if answered or self.left > 0 else None
            done, out = await asyncio.wait(out, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            answered = answered or any(task.result()[0] is not None for task in done)
        if out:
            self.end(Ended.OUT_OF_TIME)

    async def _timed(self, source: str, query: Query) -> tuple[Nominations | None, float]:
        began = self.timer()
        try:
            said = await self.engine.nominate(source, query, self.room, POOL)
        except Unavailable as exc:
            self.failed[source] = exc
            return None, self._spent(began)
        if said.instead_of:
            self.replaced.add(said.instead_of)
        return said, self._spent(began)

    async def described(self, said: Sequence[Nominations], query: Query | None = None) -> Candidates:
        """The candidates, with the sources and stores that are missing. Raises Unavailable when none answered."""
        if self.failed and not said:
            raise next(iter(self.failed.values()))
        candidates = await self.engine.describe(query or self.query, self.room, said)
        return replace(candidates, missing=tuple(sorted({*self.failed, *self.replaced})))

    def best(self, candidates: Candidates, count: int = FIRST) -> list[int]:
        """The serials of the best candidates, as the route will order them: best first."""
        return best_of(candidates, count, self.weights)

    async def learn(self, query: Query, best: Sequence[int]) -> Expansion:
        """What the best messages add to a question."""
        began = self.timer()
        more = await self.engine.learned(query, self.room, best[:EVIDENCE])
        self.note(Act.REFINE, len(more.terms) + len(more.mentions), began)
        return more

    async def read(self, serials: Sequence[int]) -> list[Message]:
        """Messages in the order of their serials given; one that is gone is left out."""
        found = await self.engine.read(serials)
        return [found[serial] for serial in serials if serial in found]

    async def sessions(self) -> tuple[Serials, Nominations]:
        """The messages of the sessions that speak most of the question, and the best of them."""
        began = self.timer()
        inside, best = await self.engine.sessions(self.query, self.room, POOL)
        self.note(Act.SESSIONS, len(inside), began)
        return inside, best

    def _spent(self, began: float) -> float:
        return (self.timer() - began) * 1000


def best_of(candidates: Candidates, count: int = FIRST, weights: Scores | None = None) -> list[int]:
    """The serials of the best candidates by the weights, or by the formula without any: best first."""
    return [int(serial) for serial in candidates.serials[order(learned(candidates, weights))[:count]]]

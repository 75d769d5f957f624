"""How long typed walks and the telling of a path take in a room of 100,000 messages.

The room is that of `benchmarks.latency`, as the graph sees it: the same texts, their entities found by the program,
ten people, sessions. Nothing is embedded: walks read the graph alone. Questions are the demo room's; a walk starts at
twenty messages and at the question's entities and ends at twenty messages, as in an answer that cites ten.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Final

import numpy as np

from benchmarks.harness import ASKED_AT, Row
from benchmarks.latency import questions, texts
from memory.adapters.graph import RustworkxGraphIndex
from memory.extraction.entities import asked, mentions, subject
from memory.models import EntityKind, Mention, MessageLinks

SIZES: Final = (10_000, 100_000)
ASKS: Final = 100
BAR: Final = 300.0
"""Milliseconds, 95th percentile, at 100,000 messages."""

_ROOM: Final = 1
_SESSION: Final = 60  # messages
PEOPLE: Final = tuple(Mention(EntityKind.PERSON, str(i), f"Person {chr(65 + i)}") for i in range(10))
FORMS: Final = {person.label.lower(): person.key for person in PEOPLE}


def links(count: int) -> list[MessageLinks]:
    """The messages of a room with their ties."""
    found: dict[str, tuple[tuple[Mention, ...], str | None]] = {}
    start = ASKED_AT - timedelta(minutes=count)
    made = []
    for i, text in enumerate(texts(count)):
        if text not in found:
            named = mentions(text, people=FORMS, sent_at=start)
            found[text] = tuple(named), subject(text, named)
        named_here, opens = found[text]
        at = start + timedelta(minutes=i)
        author = PEOPLE[i * 7 % 10]
        reply = i if i % 5 == 0 and i else None  # to the message before; serials count from 1
        made.append(MessageLinks(i + 1, author, at, reply, i // _SESSION, named_here, opens))
    return made


async def measure() -> tuple[list[Row], bool]:
    """A row an operation and size, and whether walks stay under the bar at the largest."""
    rows, met = [], True
    for size in SIZES:
        index = RustworkxGraphIndex()
        await index.put(_ROOM, links(size))
        chance = Random(1)  # noqa: S311 - a benchmark's own questions, the same in each run
        starts = [{chance.randrange(1, size + 1): chance.random() for _ in range(20)} for _ in range(ASKS)]
        ends = [[chance.randrange(1, size + 1) for _ in range(20)] for _ in range(ASKS)]
        named = [
            [*asked(text, people=FORMS, sent_at=ASKED_AT), PEOPLE[i % 10]] for i, text in enumerate(questions(ASKS))
        ]

        async def walk(i: int) -> None:
            await index.walks(_ROOM, starts[i], named[i], ends[i])  # noqa: B023 - awaited before the next size

        async def tell(i: int) -> None:
            walked = await index.walks(_ROOM, starts[i], named[i], ends[i][:1])  # noqa: B023 - as above
            for path in list(walked.chances)[-3:]:
                await index.trace(_ROOM, path, starts[i], named[i], ends[i][0])  # noqa: B023 - as above

        async def grow(i: int) -> None:
            await index.put(_ROOM, [MessageLinks(size + 1 + i, PEOPLE[0], ASKED_AT)])  # noqa: B023 - as above
            await walk(i)

        for name, call in (("walks", walk), ("walks after a new message", grow), ("a path told, three tried", tell)):
            figures = await _timed(call)
            rows.append(Row(f"{size:,} messages: {name}", figures))
            met = met and (size < SIZES[-1] or name != "walks" or figures["p95 ms"] < BAR)
    return rows, met


async def _timed(call: Callable[[int], Awaitable[None]]) -> dict[str, float]:
    spent = []
    for i in range(ASKS):
        began = time.perf_counter()
        await call(i)
        spent.append((time.perf_counter() - began) * 1000)
    p50, p95 = np.percentile(spent, (50, 95))
    return {"p50 ms": float(p50), "p95 ms": float(p95)}

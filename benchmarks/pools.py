"""What the engine offers for every labelled question: its candidates, described; asked once, then seconds of NumPy.

``python -m benchmarks.pools locomo qmsum demo`` imports the rooms into a folder of their own, asks the sources of a
route, and keeps the described candidates outside the repository (``WEAVEBOT_BENCH_CACHE``, or a folder in the system's
place for temporary files). A change of the memory's code asks everything anew.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import ASKED_AT, console, fresh_app, load
from benchmarks.rooms import ROOT, Question, Room, rooms
from bot.app import App
from memory.models import Candidates, Message, Query, Scope
from routing.patterns.plain import parallel
from routing.patterns.run import Run
from routing.questions import Kind, kind_of

CHAT_SOURCES: Final = ("vector", "keyword")
DESCRIBES: Final = ("closer.py", "ranking.py", "room.py", "postings.py", "text.py", "sources.py", "extraction/*.py")
"""The parts of the memory that a pool depends on."""
_SHORTEST_CUT: Final = 24  # tokens, as in memory.context: a message that does not fit is cut to no less


@dataclass(frozen=True, slots=True)
class Pool:
    """One question with its candidates.

    kind: what the question asks. evidence: (candidates,) whether a message is labelled; ``labelled`` counts the labels,
    those out of reach too. tokens: (candidates,) what a message costs in a context; days: (candidates,) the day's
    number, whose heading costs ``heading`` tokens once.
    """

    room: str
    question: str
    text: str
    category: str
    kind: Kind
    candidates: Candidates
    evidence: NDArray[np.bool_]
    labelled: int
    tokens: NDArray[np.int64]
    days: NDArray[np.int64]
    heading: int

    def recall(self, order: NDArray[np.int64], depth: int = 10) -> float:
        """The share of the evidence among the first ``depth`` of an order."""
        return float(self.evidence[order[:depth]].sum()) / self.labelled

    def recall_within(self, order: NDArray[np.int64], budget: int) -> float:
        """The share of the evidence in a context of so many tokens, filled as `memory.context.build` fills it."""
        left, held = budget - 9, 0  # the line that says how many were left out
        days: set[int] = set()
        for i in order.tolist():
            if left < 4:
                break
            heading = 0 if self.days[i] in days else self.heading
            cost = int(self.tokens[i]) + heading
            if cost > left and left - heading < _SHORTEST_CUT:
                continue
            left -= min(cost, left)
            days.add(int(self.days[i]))
            held += int(self.evidence[i])
        return held / self.labelled


def pools(name: str, sources: tuple[str, ...] = CHAT_SOURCES) -> list[Pool] | None:
    """The pools of a set's questions that have evidence; None, with a message, where its rooms are not there."""
    given = rooms(name)
    if given is None:
        return None
    file = cache_folder() / f"{name}-{'-'.join(sources)}-{_fingerprint()}.pickle"
    if not file.exists():
        found = asyncio.run(_ask(given, sources))
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [[getattr(one, field.name) for field in fields(one)] for one in found]
        file.write_bytes(pickle.dumps(rows, protocol=5))
    return [Pool(*row) for row in pickle.loads(file.read_bytes())]  # noqa: S301 - our own file, written above


def cache_folder() -> Path:
    """Where asked pools are kept."""
    given = os.environ.get("WEAVEBOT_BENCH_CACHE")
    return Path(given) if given else Path(tempfile.gettempdir()) / "weavebot-bench"


def _fingerprint() -> str:
    """Names the code that describes the candidates."""
    code = hashlib.sha256()
    for pattern in DESCRIBES:
        for file in sorted((ROOT / "memory").glob(pattern)):
            code.update(file.read_bytes())
    return code.hexdigest()[:12]


async def _ask(given: Sequence[Room], sources: tuple[str, ...]) -> list[Pool]:
    found: list[Pool] = []
    async with fresh_app() as app:
        for room in given:
            console.print(f"asking {len(room.questions)} questions of {room.name}")
            found += await _of_room(app, room, sources)
    return found


async def _of_room(app: App, room: Room, sources: tuple[str, ...]) -> list[Pool]:
    kept = await load(app, room)
    at = max(ASKED_AT, *(message.sent_at for message in room.messages))
    scope = Scope(app.tenant, (kept.id,))
    found = []
    for question in room.questions:
        if question.evidence:
            query = await app.engine.prepare(question.text, scope, at, 10)
            candidates = await parallel(Run(app.engine, query, kept.id, sources))
            said = await app.engine.read(candidates.serials.tolist())
            found.append(_pool(room, question, query, candidates, said, app.engine.count_tokens))
    return found


def _pool(
    room: Room,
    question: Question,
    query: Query,
    candidates: Candidates,
    said: dict[int, Message],
    count: Callable[[str], int],
) -> Pool:
    told = [said[serial] for serial in candidates.serials.tolist()]
    return Pool(
        room=room.name,
        question=question.id,
        text=query.text,
        category=question.category,
        kind=kind_of(query.text),
        candidates=candidates,
        evidence=np.array([one.external_id in question.evidence for one in told], dtype=np.bool_),
        labelled=len(question.evidence),
        tokens=np.array([count(f"{one.author_name}: {' '.join(one.text.split())}") for one in told], dtype=np.int64),
        days=np.array([one.sent_at.toordinal() for one in told], dtype=np.int64),
        heading=count("Mon 17 Nov 2025"),
    )


def main() -> None:
    """Asks the sets that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=["locomo", "qmsum", "demo"])
    for name in parser.parse_args().sets:
        found = pools(name)
        if found is not None:
            console.print(f"{name}: {len(found)} questions")


if __name__ == "__main__":
    main()

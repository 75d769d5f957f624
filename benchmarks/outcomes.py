"""Runs every route of the menu on every labelled question of some rooms, once, and keeps what came of it.

    python -m benchmarks.outcomes locomo hotpotqa qmsum demo

writes ``benchmarks/out/outcomes-<set>.npz`` for each set; `benchmarks.learning` makes these itself where they are
missing. Questions without evidence in the room are left out: no route can answer them.

*Sources differ* where words alone and meaning alone find different shares of the evidence. There each fusion is held
against the better of the two (the one that finds more on these questions); the interval is a bootstrap over questions.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.harness import ASKED_AT, OUT, Row, console, fresh_app, load, show
from benchmarks.rooms import Question, Room, rooms
from benchmarks.simulator import Outcomes
from bot.app import App
from memory.models import Scope
from routing.features import VERSION
from routing.routes import BALANCE, BLEND, CHAT, DOCUMENTS, KEYWORD, LINKED, MENU, VECTOR

DEPTH: Final = 10
SHOWN: Final = 3
SETS: Final = ("locomo", "hotpotqa", "qmsum", "demo")

SOURCES: Final = (KEYWORD, VECTOR)
FUSED: Final = (BALANCE, BLEND, CHAT, LINKED, DOCUMENTS)
_NAMES: Final = tuple(route.name for route in MENU)
_DRAWS: Final = 2_000


def path_of(name: str) -> Path:
    """Where the outcomes of a set are kept."""
    return OUT / f"outcomes-{name}.npz"


async def outcomes(asked: Sequence[Room]) -> Outcomes:
    """Every route on every question that has evidence, through the program itself; nothing is answered or voted on."""
    parts = []
    async with fresh_app() as app:
        for room in asked:
            console.print(f"running {len(_NAMES)} routes on the questions of {room.name}")
            parts.append(await _of_room(app, room))
    return Outcomes.joined(parts)


async def _of_room(app: App, room: Room) -> Outcomes:
    kept = await load(app, room)
    scope = Scope(app.tenant, (kept.id,))
    asked = [question for question in room.questions if question.evidence]
    read = [await app.shuttle.read(question.text, scope, asked_at=ASKED_AT) for question in asked]
    found = [[await _found(app, question, scope, route) for route in _NAMES] for question in asked]
    return Outcomes(
        rooms=(room.name,) * len(asked),
        questions=tuple(question.id for question in asked),
        routes=_NAMES,
        quality=np.array([_recalls(q, row) for q, row in zip(asked, found, strict=True)]),
        proven=np.array([_proofs(q, row) for q, row in zip(asked, found, strict=True)]),
        x=np.array([features.x for features, _ in read]),
        advised=np.array([_NAMES.index(route) for _, route in read]),
        features_version=VERSION,
    )


async def _found(app: App, question: Question, scope: Scope, route: str) -> list[str]:
    """The ids of the first messages that a route finds."""
    found = await app.shuttle.find(question.text, scope, route, asked_at=ASKED_AT, limit=DEPTH)
    serials = [hit.serial for hit in found.hits[:DEPTH]]
    messages = await app.engine.read(serials)
    return [messages[serial].external_id for serial in serials]


def _recalls(question: Question, found: Sequence[Sequence[str]]) -> list[float]:
    return [len(question.evidence.intersection(ids)) / len(question.evidence) for ids in found]


def _proofs(question: Question, found: Sequence[Sequence[str]]) -> list[bool]:
    return [bool(question.evidence.intersection(ids[:SHOWN])) for ids in found]


def outcomes_of(name: str, *, afresh: bool = False) -> Outcomes | None:
    """The outcomes of a set, from the file where one fits the menu; None when the set's rooms are not there."""
    path = path_of(name)
    if path.exists() and not afresh:
        kept = Outcomes.load(path)
        if kept.routes == _NAMES and kept.features_version == VERSION:
            return kept
    asked = rooms(name)
    if asked is None:
        return None
    fresh = asyncio.run(outcomes(asked))
    fresh.save(path)
    return fresh


def where_sources_differ(table: Outcomes) -> list[Row]:
    """What each fusion finds where the sources differ, beside the better of them on these questions."""
    column = {name: i for i, name in enumerate(table.routes)}
    alone = table.quality[:, [column[name] for name in SOURCES]]
    differ = alone[:, 0] != alone[:, 1]
    if not differ.any():
        return []
    best = int(alone[differ].mean(axis=0).argmax())
    single, count = alone[differ, best], int(differ.sum())
    rows = [Row(f"{SOURCES[best]} alone", {"questions": str(count), "recall@10": 100 * float(single.mean())})]
    drawn = np.random.default_rng(0).integers(0, count, (_DRAWS, count))
    drawn = drawn[single[drawn].any(axis=1)]
    for name in FUSED:
        fused = table.quality[differ, column[name]]
        low, high = np.percentile(fused[drawn].mean(axis=1) / single[drawn].mean(axis=1) - 1, (2.5, 97.5))
        gain = f"{fused.mean() / single.mean() - 1:+.0%} [{low:+.0%}, {high:+.0%}]"
        rows.append(Row(name, {"recall@10": 100 * float(fused.mean()), "over the best alone": gain}))
    return rows


def main() -> None:
    """Runs the named sets afresh and prints each route's mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=SETS, choices=(*SETS, []), help="which rooms")
    for name in parser.parse_args().sets:
        table = outcomes_of(name, afresh=True)
        if table is not None:
            means = zip(_NAMES, table.quality.mean(axis=0), table.proven.mean(axis=0), strict=True)
            for route, recall, proven in means:
                console.print(f"{name:10} {route:10} recall@{DEPTH} {recall:.3f}   evidence shown {proven:.3f}")
            taken = np.arange(len(table.advised)), table.advised
            console.print(f"{name:10} rules      recall@{DEPTH} {table.quality[taken].mean():.3f}")
            show(f"{name}: where sources differ", where_sources_differ(table))


if __name__ == "__main__":
    main()

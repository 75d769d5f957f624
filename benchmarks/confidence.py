"""How well Weavebot knows what it does not know: abstention and calibration, on rooms it was not calibrated on.

``python -m benchmarks.confidence`` asks the LoCoMo rooms and the HotpotQA room, on which nothing is fitted, and prints
the rooms that the calibration was fitted on beside them, marked with a star. A question is *right* when a message that
answers it is among the first three shown. ECE is the expected calibration error: ten bins of equal size by the value,
the mean over all questions of the distance between a bin's mean value and the share of its questions that were right.
A perfect forecast of so few questions does not get 0 but about 0.03 (1,000 questions) or 0.08 (150): ``floor``, the
mean over draws of outcomes from the values themselves.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.asking import CHAT, ROUTES, Case, Library, Outcome, Place, Route, bins, calibration_error, together
from benchmarks.harness import Row, show, write
from benchmarks.rooms import Room, rooms
from routing.confidence import assess

DRAWS: Final = 200
HALF: Final = 2  # every second question, where a case is asked in many ways

OWN: Final = "own room"
WRONG: Final = "wrong room"
SILENT: Final = "never answered"
"""What may be asked: what the room answers; what another room answers; what the room talks about and never answers."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One question's confidence and what became of it. ``kind`` is one of `OWN`, `WRONG`, `SILENT`."""

    group: str
    kind: str
    room: str
    category: str
    value: float
    abstained: bool
    right: bool
    ms: float


def main() -> None:
    """Ask everything, print the tables, keep the figures."""
    cases = list(build())
    library = Library()
    library.read(cases)
    judged = [judge(outcome) for outcome in library.ask(cases)]
    tables = [overall(judged), by_room(judged), by_category(judged), reliability(judged), cost(judged)]
    for title, rows in tables:
        show(title, rows)
    write("confidence", {title: [{"name": row.name, **row.figures} for row in rows] for title, rows in tables})


# -- cases ------------------------------------------------------------------------------------------------------------


def build() -> Iterator[Case]:
    """Every set that is there, in every way it is asked."""
    sets = {
        name: [(room, Place.of(room)) for room in rooms(name) or ()] for name in ("locomo", "hotpotqa", "demo", "qmsum")
    }
    places = [place for some in sets.values() for _, place in some]
    for name, some in sets.items():
        for room, place in some:
            others = [o for o in (p for _, p in some) if o is not place] if name == "locomo" else []
            yield from _asked(_label(name), room, place, others or _drawn(room, _foreign(name, place, places)))
    yield from _more_locomo(sets["locomo"])


def _label(name: str) -> str:
    return f"{name} *" if name in ("demo", "qmsum") else name


def _foreign(name: str, place: Place, places: Sequence[Place]) -> list[Place]:
    """Rooms in which nobody of this one writes."""
    mine = {author.lower() for author in place.authors}
    return [o for o in places if mine.isdisjoint(a.lower() for a in o.authors) and not o.name.startswith(name)]


def _drawn(room: Room, places: Sequence[Place]) -> list[Place]:
    return random.Random(room.name).sample(list(places), min(3, len(places)))  # noqa: S311 - a sample, no secret


def _asked(group: str, room: Room, place: Place, others: Sequence[Place], route: Route = CHAT) -> Iterator[Case]:
    for question in room.questions:
        evidence = frozenset(f"{room.name}/{key}" for key in question.evidence)
        yield Case(f"{group}: {OWN if evidence else SILENT}", place, question, evidence, route)
        for other in others if evidence else ():
            yield Case(f"{group}: {WRONG}", other, question, route=route)


def _more_locomo(some: Sequence[tuple[Room, Place]]) -> Iterator[Case]:
    """The LoCoMo questions by other routes, with their evidence taken away, and with all rooms in one."""
    everywhere = together("all of locomo", [place for _, place in some]) if some else None
    for room, place in some:
        rest = [other for _, other in some if other is not place]
        half = Room(room.name, room.messages, room.questions[::HALF])
        for name, route in ROUTES.items():
            yield from _asked(f"locomo by {name}", half, place, rest[:1], route)
        if everywhere is not None:
            yield from _asked("locomo as one", half, everywhere, [together(f"all but {room.name}", rest)])
        for question in room.questions[:: 2 * HALF]:
            gone = frozenset(f"{room.name}/{key}" for key in question.evidence)
            yield Case(f"locomo: {SILENT}", place.without(gone), question)


def judge(outcome: Outcome) -> Judged:
    """The confidence of an answer, beside the truth."""
    case = outcome.case
    began = time.perf_counter()
    confidence = assess(outcome.query, outcome.candidates, outcome.fused)
    ms = (time.perf_counter() - began) * 1000
    group, kind = case.kind.split(": ")
    return Judged(
        group=group,
        kind=kind,
        room=case.place.name,
        category=case.question.category,
        value=confidence.value,
        abstained=confidence.abstains,
        right=outcome.hit,
        ms=ms,
    )


# -- tables -----------------------------------------------------------------------------------------------------------

Table: TypeAlias = tuple[str, list[Row]]

TITLE: Final = "confidence (* was fitted on; abstains in % of questions: own room, wrong room, never answered there)"


def overall(judged: Sequence[Judged]) -> Table:
    """One row a set: how often it abstains on what it could and could not answer, and how true its value is."""
    groups = dict.fromkeys(one.group for one in judged)
    rows = [Row(group, _figures([one for one in judged if one.group == group])) for group in groups]
    return TITLE, rows


def _figures(some: Sequence[Judged]) -> Mapping[str, float | str]:
    own = [one for one in some if one.kind == OWN]
    wrong = [one for one in some if one.kind == WRONG]
    error, floor = error_and_floor(own)
    return {
        "asked": str(len(own)),
        "right": percent(own, lambda one: one.right),
        "value": percent(own, lambda one: one.value),
        "own": percent(own, lambda one: one.abstained),
        "wrong": percent(wrong, lambda one: one.abstained),
        "silent": percent([one for one in some if one.kind == SILENT], lambda one: one.abstained),
        "ECE": round(error, 3),
        "floor": round(floor, 3),
        "ECE 10:1": _mixed(own, wrong, len(own) // 10),
        "ECE 1:1": _mixed(own, wrong, len(own)),
    }


def _mixed(own: Sequence[Judged], wrong: Sequence[Judged], count: int) -> float:
    """The ECE when so many questions in wrong rooms are among the others."""
    drawn = random.Random(0).sample(list(wrong), min(count, len(wrong)))  # noqa: S311 - a sample, no secret
    return round(calibration_error(*_columns([*own, *drawn])), 3)


def by_room(judged: Sequence[Judged]) -> Table:
    """The LoCoMo rooms apart."""
    own = [one for one in judged if (one.group, one.kind) == ("locomo", OWN)]
    names = dict.fromkeys(one.room for one in own)
    return "LoCoMo by room, own questions", [Row(name, _short([o for o in own if o.room == name])) for name in names]


def by_category(judged: Sequence[Judged]) -> Table:
    """The LoCoMo questions by category."""
    own = [one for one in judged if (one.group, one.kind) == ("locomo", OWN)]
    names = sorted({one.category for one in own})
    return "LoCoMo by category, own questions", [Row(n, _short([o for o in own if o.category == n])) for n in names]


def _short(some: Sequence[Judged]) -> Mapping[str, float | str]:
    error, floor = error_and_floor(some)
    return {
        "asked": str(len(some)),
        "right": percent(some, lambda one: one.right),
        "value": percent(some, lambda one: one.value),
        "abstains": percent(some, lambda one: one.abstained),
        "ECE": round(error, 3),
        "floor": round(floor, 3),
    }


def reliability(judged: Sequence[Judged]) -> Table:
    """The bins behind the ECE of the LoCoMo rooms."""
    own = [one for one in judged if (one.group, one.kind) == ("locomo", OWN)]
    values, right = _columns(own)
    rows = [
        Row(f"bin {i}", {"value": round(100 * values[b].mean(), 1), "right": round(100 * right[b].mean(), 1)})
        for i, b in enumerate(bins(values), 1)
        if len(b)
    ]
    return "LoCoMo, value against truth", rows


def cost(judged: Sequence[Judged]) -> Table:
    """What judging one answer takes, beyond the ranking."""
    ms = [one.ms for one in judged]
    figures = {name: round(float(np.percentile(ms, share)), 3) for name, share in (("p50 ms", 50), ("p95 ms", 95))}
    return "cost of a confidence", [Row("all rooms", figures)]


# -- measures ---------------------------------------------------------------------------------------------------------


def percent(some: Sequence[Judged], of: Callable[[Judged], float]) -> float | str:
    """The mean over the questions in percent; a dash over none."""
    return round(100 * float(np.mean([of(one) for one in some])), 1) if some else "-"


def error_and_floor(some: Sequence[Judged]) -> tuple[float, float]:
    """The ECE, and the one that values without any fault would get on so many questions."""
    values, right = _columns(some)
    chance = np.random.default_rng(0)
    draws = [calibration_error(values, chance.random(len(values)) < values) for _ in range(DRAWS if some else 1)]
    return calibration_error(values, right), float(np.mean(draws))


def _columns(some: Sequence[Judged]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.array([one.value for one in some]), np.array([one.right for one in some])


if __name__ == "__main__":
    main()

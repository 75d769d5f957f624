"""Path learning of every team: from the votes that stand to what each type of path is worth.

Like all learned state it is a pure function of the rows. When votes changed, the live tally is moved by the difference
between what the votes said and what they say; `PathLearner.recompute` counts everything anew and compares. The snapshot
in SQL and the mapped file beside the data spare a start the counting, as long as they are of the present votes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from memory.errors import Unavailable
from memory.models import PathType
from memory.ports import Clock, Database
from routing.bearings import Bearings
from routing.learner import Learner
from routing.paths.abstract import ANY, path_of
from routing.paths.cache import COMPACT_FROM, Cache
from routing.paths.evidence import PathLog, Tally, Units, Version, items_of
from routing.paths.qlearning import OPTIMISM, TRUST, path_return
from routing.paths.snapshots import Snapshot, Snapshots
from routing.paths.updates import UNIT
from routing.paths.weights import Item, PathWeights, fitted, prior_of

log = structlog.get_logger()

SHRINKING: Final = 5.0
"""Observations at the usual reward that a type's own ones are added to, for the prior means of the weights."""

Items = dict[tuple[int, int], Item]


@dataclass(frozen=True, slots=True)
class PathModel:
    """What a team's votes have taught about types of path, over all kinds of question.

    evidence: observations behind each type. liked: their mean reward. total: all observations of the types together.
    """

    version: str = ""
    weights: PathWeights = field(default_factory=PathWeights)
    evidence: Mapping[PathType, float] = field(default_factory=dict)
    liked: Mapping[PathType, float] = field(default_factory=dict)
    total: float = 0.0

    def value(self, path: PathType) -> float:
        """Q of a type at its start, optimistic: the start counts as `qlearning.TRUST` rewards of 1."""
        n = self.evidence.get(path, 0.0)
        reward = (TRUST * OPTIMISM + n * self.liked.get(path, 0.0)) / (TRUST + n)
        return path_return(len(path) - 1, reward)


@dataclass(slots=True)
class _Lesson:
    """What is computed for a team at one version of its votes. ``items`` are None when they were not read yet."""

    version: Version
    items: Items | None
    tally: Tally
    model: PathModel


class PathLearner:
    """The path values of every team. ``folder`` is where mapped files lie; without one there are none."""

    def __init__(self, database: Database, learner: Learner, clock: Clock, folder: Path | None = None) -> None:
        self._log = PathLog(database)
        self._learner = learner
        self._snapshots = Snapshots(database, clock)
        self._folder = folder
        self._lessons: dict[int, _Lesson] = {}
        self._caches: dict[int, Cache] = {}
        self._turn = asyncio.Lock()

    async def model(self, tenant: int, seen: Bearings | None = None) -> PathModel:
        """What the votes that stand now have taught; ``seen`` spares the look whether they changed."""
        async with self._turn:
            lesson = self._lessons.get(tenant)
            if lesson is None or seen is None or lesson.version[0] != seen.votes:
                lesson = await self._lesson(tenant)
            return lesson.model

    async def state(self, tenant: int) -> dict[str, tuple[float, float]]:
        """Sum and number of the rewards of every (state, action) pair that has any, by the pair's text."""
        async with self._turn:
            return in_observations((await self._lesson(tenant)).tally)

    async def recompute(self, tenant: int) -> float:
        """Counts everything anew from the rows; gives the largest difference to what was used, which should be 0.

        Writes the snapshot in SQL and the mapped file: this is what ``weavebot reindex --store learning`` does.
        """
        async with self._turn:
            used = in_observations((await self._lesson(tenant)).tally)
            lesson = self._lessons[tenant] = await self._learn(tenant, None)
            snapshot = Snapshot(lesson.version, dict(lesson.tally.by_pair), dict(lesson.model.weights.worth))
            await self._snapshots.keep(tenant, snapshot, max((a for a, _ in lesson.items or ()), default=0))
            fresh = in_observations(lesson.tally)
            if self._folder is not None and (fresh or self._file(self._folder, tenant).exists()):
                await asyncio.to_thread(self._replace, tenant, lesson.tally)
        nothing = (0.0, 0.0)
        pairs = used.keys() | fresh.keys()
        apart = (abs(a - b) for p in pairs for a, b in zip(used.get(p, nothing), fresh.get(p, nothing), strict=True))
        return max(apart, default=0.0)

    def forget_all(self) -> None:
        """Nothing computed is kept; the next call reads the votes."""
        self._lessons.clear()

    async def _lesson(self, tenant: int) -> _Lesson:
        lesson = self._lessons.get(tenant) or await self._kept(tenant)
        if lesson is None or lesson.version != await self._log.version(tenant):
            lesson = await self._learn(tenant, lesson)
            await self._followed(tenant, lesson.tally)
        self._lessons[tenant] = lesson
        return lesson

    async def _kept(self, tenant: int) -> _Lesson | None:
        """What the snapshot says, with the counts of the mapped file when it is of that snapshot."""
        snapshot = await self._snapshots.read(tenant)
        if snapshot is None:
            return None
        tally = Tally(dict(snapshot.tally))
        if self._folder is not None:
            try:
                tally = await asyncio.to_thread(self._mapped, tenant, tally)
            except Unavailable as exc:
                log.warning("paths.no_file", tenant=tenant, reason=str(exc))
        model = _model(tally, PathWeights(dict(snapshot.worth)))
        return _Lesson(snapshot.votes, None, tally, model)

    async def _learn(self, tenant: int, before: _Lesson | None) -> _Lesson:
        """The lesson at the present votes; by the difference to the one before when its items are known."""
        version = await self._log.version(tenant)
        rewards = await self._learner.rewards(tenant)
        picked = await self._log.picks(tenant)
        cited = await self._log.cited(sorted(rewards.keys() | picked.keys()))
        return await asyncio.to_thread(_learned, version, items_of(cited, rewards, picked), before)

    # -- the mapped file ----------------------------------------------------------------------------------------------

    async def _followed(self, tenant: int, tally: Tally) -> None:
        """Brings the file to the tally. It is a cache: where it cannot be written, a start counts anew, no more."""
        if self._folder is None or not (tally.by_pair or self._file(self._folder, tenant).exists()):
            return
        try:
            await asyncio.to_thread(self._follow, tenant, tally)
        except Unavailable as exc:
            log.warning("paths.no_file", tenant=tenant, reason=str(exc))

    @staticmethod
    def _file(folder: Path, tenant: int) -> Path:
        return folder / f"paths-{tenant}.bin"

    def _cache(self, tenant: int) -> Cache:
        if tenant not in self._caches:
            assert self._folder is not None  # noqa: S101 - callers have looked
            cache = self._caches[tenant] = Cache.open(self._file(self._folder, tenant))
            if cache.problem is not None:
                log.warning("paths.set_aside", tenant=tenant, problem=cache.problem)
        return self._caches[tenant]

    def _mapped(self, tenant: int, owned: Tally) -> Tally:
        """The tally as the file holds it, when it is that of the owner; else the file is written from the owner."""
        cache = self._cache(tenant)
        if cache.stamp != owned.digest.encode():
            self._replace(tenant, owned)
        return in_units(cache.state())

    def _follow(self, tenant: int, tally: Tally) -> None:
        """Notes in the cache what changed; the file is written anew when much did, or when it cannot be trusted."""
        cache = self._cache(tenant)
        held = cache.state()
        wanted = in_observations(tally)
        for text in held.keys() | wanted.keys():
            before, after = held.get(text, (0.0, 0.0)), wanted.get(text, (0.0, 0.0))
            if before != after:
                cache.add(text, after[0] - before[0], after[1] - before[1])
        unusable = cache.problem is not None or not cache.stamp
        if unusable or (cache.waiting >= COMPACT_FROM and not cache.compact(tally.digest.encode())):
            self._replace(tenant, tally)

    def _replace(self, tenant: int, tally: Tally) -> None:
        cache = self._cache(tenant)
        cache.replace(in_observations(tally), tally.digest.encode())
        if cache.problem is not None:
            log.warning("paths.rebuilt", tenant=tenant, pairs=len(tally.by_pair))
            cache.problem = None


def in_observations(tally: Tally) -> dict[str, tuple[float, float]]:
    """Sums and numbers by pair, as the mapped file holds them."""
    return {text: (total * UNIT, count * UNIT) for text, (total, count) in tally.by_pair.items()}


def in_units(state: Mapping[str, tuple[float, float]]) -> Tally:
    """The way back; exact."""
    return Tally({text: (round(total / UNIT), round(count / UNIT)) for text, (total, count) in state.items()})


def _learned(version: Version, items: Items, before: _Lesson | None) -> _Lesson:
    known = before.items if before is not None else None
    by_pair: dict[str, Units] = dict(before.tally.by_pair) if before is not None and known is not None else {}
    tally, known = Tally(by_pair), known or {}
    for key in known.keys() | items.keys():
        if known.get(key) != items.get(key):
            for item, sign in ((known.get(key), -1), (items.get(key), 1)):
                if item is not None:
                    tally.add(item, sign)
    return _Lesson(version, items, tally, taught(tally, items))


def taught(tally: Tally, items: Items) -> PathModel:
    """The model that a tally and the items behind it give."""
    counted = _counted(tally)
    total = sum(n for _, n in counted.values())
    usual = sum(s for s, _ in counted.values()) / total if total else 0.0
    expected = {path: (SHRINKING * usual + s) / (SHRINKING + n) for path, (s, n) in counted.items()}
    return _model(tally, fitted(list(items.values()), prior_of(expected, usual)))


def _model(tally: Tally, weights: PathWeights) -> PathModel:
    counted = _counted(tally)
    return PathModel(
        version=tally.digest,
        weights=weights,
        evidence={path: n for path, (_, n) in counted.items()},
        liked={path: s / n for path, (s, n) in counted.items() if n > 0},
        total=sum(n for _, n in counted.values()),
    )


def _counted(tally: Tally) -> dict[PathType, tuple[float, float]]:
    """Sum and number of each type over all kinds of question, in the order of the types."""
    of_all = (text.split("|") for text in tally.by_pair if text.startswith(f"{ANY}|"))
    paths = sorted(path_of(walked) for _, _, walked, _ in of_all)
    return {path: tally.of(ANY, path) for path in paths}

"""A work queue in this process: what a shared one promises, for one worker and without a server."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from memory.models import TRIES, DeadLetter, QueueState, Taken, WorkItem, WorkKind


@dataclass(frozen=True, slots=True)
class _Entry:
    item: WorkItem
    tries: int
    since: float  # of the monotonic clock, in seconds


@dataclass(slots=True)
class _Kind:
    """Entries by their places in the queue: a place is (priority, number), and lower ones go first."""

    waiting: dict[tuple[int, int], _Entry] = field(default_factory=dict)
    out: dict[tuple[int, int], _Entry] = field(default_factory=dict)
    dead: dict[int, DeadLetter] = field(default_factory=dict)
    there: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)  # (serial, revision) -> place
    some: asyncio.Event = field(default_factory=asyncio.Event)


class LocalQueue:
    """Items in dictionaries; gone with the process, and then published again from the outbox."""

    def __init__(self, tries: int = TRIES) -> None:
        self._tries = tries
        self._numbers = itertools.count(1)
        self._kinds = {kind: _Kind() for kind in WorkKind}

    async def publish(self, items: Sequence[WorkItem]) -> None:
        """Adds items; one that is there already stays where it is."""
        for item in items:
            if (item.serial, item.revision) not in self._kinds[item.kind].there:
                self._add(item, 0)

    async def take(self, kind: WorkKind, most: int) -> Sequence[Taken]:
        """The first of those that wait."""
        queue = self._kinds[kind]
        places = sorted(queue.waiting)[:most]
        for place in places:
            queue.out[place] = queue.waiting.pop(place)
        return [Taken(queue.out[place].item, queue.out[place].tries, place) for place in places]

    async def wait(self, kind: WorkKind, seconds: float) -> bool:
        """Until something waits."""
        queue = self._kinds[kind]
        queue.some.clear()
        if not queue.waiting:
            try:
                async with asyncio.timeout(seconds):
                    await queue.some.wait()
            except TimeoutError:
                return False
        return True

    async def done(self, taken: Sequence[Taken]) -> None:
        """Those that are still out leave."""
        for one in taken:
            self._settle(one)

    async def failed(self, taken: Taken, reason: str) -> bool:
        """Back to the end, or dead."""
        if not self._settle(taken):
            return False
        if taken.tries + 1 < self._tries:
            self._add(taken.item, taken.tries + 1)
            return False
        self._kinds[taken.item.kind].dead[taken.item.serial] = DeadLetter(taken.item, taken.tries + 1, reason)
        return True

    async def give_back(self, taken: Sequence[Taken]) -> None:
        """Where they were."""
        for one in taken:
            queue = self._kinds[one.item.kind]
            if (entry := queue.out.pop(_place(one), None)) is not None:
                queue.waiting[_place(one)] = entry
                queue.some.set()

    async def rest(self, kind: WorkKind) -> None:
        """Nothing: there is no other worker."""

    async def state(self, kind: WorkKind) -> QueueState:
        """Counted."""
        queue = self._kinds[kind]
        all_of_it = [*queue.waiting.values(), *queue.out.values()]
        oldest = time.monotonic() - min(entry.since for entry in all_of_it) if all_of_it else None
        return QueueState(len(all_of_it), oldest, len(queue.dead))

    async def dead(self, kind: WorkKind, limit: int) -> Sequence[DeadLetter]:
        """In the order in which they died."""
        return list(self._kinds[kind].dead.values())[:limit]

    async def revive(self, kind: WorkKind) -> Sequence[WorkItem]:
        """To the end of the queue."""
        items = [letter.item for letter in self._kinds[kind].dead.values()]
        self._kinds[kind].dead.clear()
        await self.publish(items)
        return items

    async def drop(self, kind: WorkKind, serials: Sequence[int], below: int | None = None) -> None:
        """Items go too."""
        gone, queue = set(serials), self._kinds[kind]
        for letter in [queue.dead[serial] for serial in gone & queue.dead.keys()]:
            if below is None or letter.item.revision < below:
                del queue.dead[letter.item.serial]
        for key, place in list(queue.there.items()):
            if key[0] in gone and (below is None or key[1] < below):
                del queue.there[key]
                queue.waiting.pop(place, None)
                queue.out.pop(place, None)

    async def close(self) -> None:
        """What is out waits again."""
        for queue in self._kinds.values():
            queue.waiting |= queue.out
            queue.out.clear()

    def _add(self, item: WorkItem, tries: int) -> None:
        queue = self._kinds[item.kind]
        place = (int(item.priority), next(self._numbers))
        queue.waiting[place] = _Entry(item, tries, time.monotonic())
        queue.there[item.serial, item.revision] = place
        queue.some.set()

    def _settle(self, taken: Taken) -> bool:
        """Takes an item that is out off the queue; False when it is not out any more."""
        queue = self._kinds[taken.item.kind]
        if queue.out.pop(_place(taken), None) is None:
            return False
        del queue.there[taken.item.serial, taken.item.revision]
        return True


def _place(taken: Taken) -> tuple[int, int]:
    assert isinstance(taken.receipt, tuple)  # noqa: S101 - receipts are our own
    return taken.receipt

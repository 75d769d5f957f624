"""A sync response as batches of events: gaps filled, invitations taken, redactions resolved, keys waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import structlog
from nio import AsyncClient, BadEvent, Event, MegolmEvent, SyncResponse

from bot.adapters.matrix.decoding import Json, Moment, Redaction, arrives, decode
from bot.adapters.matrix.direct import DirectRooms
from bot.adapters.matrix.invitations import Invitations, invitation_in
from bot.adapters.matrix.locks import Locks
from bot.adapters.matrix.lookups import Lookups
from bot.adapters.matrix.past import Past, Stretch
from bot.adapters.matrix.rooms import Rooms, View
from bot.adapters.matrix.standing import Standing
from bot.models import ChatEvent, Edit, Gap
from bot.ports import Notebook
from memory.errors import Unavailable, WeavebotError
from memory.models import Provenance
from memory.ports import Clock

BATCH: Final = 200  # events that are committed at once, or a little more

log = structlog.get_logger(__name__)

Since: TypeAlias = tuple[str, datetime]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the reader asks."""

    client: AsyncClient
    rooms: Rooms
    past: Past
    lookups: Lookups
    invitations: Invitations
    direct: DirectRooms
    standing: Standing
    locks: Locks
    notebook: Notebook
    clock: Clock


class Reader:
    """Turns sync responses into batches."""

    def __init__(self, parts: Parts, *, me: str) -> None:
        self._parts = parts
        self._me = me
        self._planned = False

    @property
    def in_a_hurry(self) -> bool:
        """Whether something waits to be read, so that a sync must not be held back."""
        return bool(self._parts.standing)

    async def recall(self) -> None:
        """Takes up what was not settled at the last stop. Raises Unavailable when it cannot be read."""
        await self._parts.invitations.recall()
        await self._parts.locks.recall()

    async def settle(self) -> None:
        """Makes durable what waits; before the sync token is noted. Raises Unavailable when that cannot be done."""
        await self._parts.locks.note()

    async def batches(
        self, response: SyncResponse, since: Since | None, how: Provenance
    ) -> AsyncIterator[Sequence[ChatEvent]]:
        """The events of a response, in order within a room."""
        batch: list[ChatEvent] = []
        self._parts.locks.hear(response)
        await self._invited(response)
        for room_id, info in response.rooms.join.items():
            async for event in self._joined(room_id, info, since, how):
                batch.append(event)
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
        for room_id, info in response.rooms.leave.items():
            batch += [event async for event in self._left(room_id, info, since, how)]
        if batch:
            yield batch

    async def afterwards(self) -> AsyncIterator[Sequence[ChatEvent]]:
        """What can be done between two syncs: keys, rooms to join, messages unlocked, reactions to be read again."""
        parts = self._parts
        await parts.locks.tend()
        for room_id, one in (await parts.invitations.accept()).items():
            if one.direct:
                await self._mark(one.by, room_id)
        late = [event async for event in self._late()]
        if late:
            yield late
        if not self._planned:
            self._planned = await self._plan()
        standing = await parts.standing.some()
        if standing:
            yield standing

    async def _joined(self, room_id: str, info: Any, since: Since | None, how: Provenance) -> AsyncIterator[ChatEvent]:
        """The events of a room that we are in."""
        rooms = self._parts.rooms
        timeline = [self._parts.locks.unlock(room_id, one) for one in info.timeline.events]
        rooms.learn(room_id, [one.source for one in [*info.state, *timeline]])
        # The last time: after a kick and a new invitation the first coming stands there too.
        came = max((at for at, one in enumerate(timeline) if arrives(one.source, self._me)), default=None)
        if info.timeline.limited and since is not None:
            rooms.outdated(room_id)
            if came is None and info.timeline.prev_batch:
                async for event in self._missed(room_id, info.timeline.prev_batch, since):
                    yield event
        view = rooms.view(room_id)
        for at, one in enumerate(timeline):
            async for event in self._read(one, view, Provenance.HISTORY if came is not None and at < came else how):
                yield event

    async def _missed(self, room_id: str, until: str, since: Since) -> AsyncIterator[ChatEvent]:
        """What happened in a room since we last read it and before the sync's own events."""
        stretch = await self._parts.past.between(room_id, since[0], until, self._me)
        view = self._parts.rooms.view(room_id, stretch.names)
        if not stretch.complete:
            yield self._gap(view, stretch, since[1])
            await self._plan([room_id])
        for source in stretch.events:
            parsed = Event.parse_event(source)
            if parsed is not None:  # nio has no word for some kinds of calls
                async for event in self._read(self._parts.locks.unlock(room_id, parsed), view, Provenance.RECOVERED):
                    yield event

    def _gap(self, view: View, stretch: Stretch, since: datetime) -> Gap:
        now = self._parts.clock.now()
        oldest = stretch.events[0].get("origin_server_ts") if stretch.events else None
        until = datetime.fromtimestamp(oldest / 1000, since.tzinfo) if isinstance(oldest, int) else now
        return Gap(view.place, min(since, until), until)

    async def _left(self, room_id: str, info: Any, since: Since | None, how: Provenance) -> AsyncIterator[ChatEvent]:
        """The last events of a room that we left, or were made to leave. A room of before our time says nothing."""
        if since is None:
            return
        rooms = self._parts.rooms
        known = room_id in rooms
        timeline = [self._parts.locks.unlock(room_id, one) for one in info.timeline.events]
        view = rooms.view(room_id)
        if not known:
            for one in [*info.state, *timeline]:
                _tell(view, one)
            view = View(view.me, rooms.named(view.room), view.room, view.creators, {})
        for one in timeline:
            async for event in self._read(one, view, how):
                yield event
        rooms.forget(room_id)

    async def _read(self, one: Any, view: View, how: Provenance) -> AsyncIterator[ChatEvent]:
        """One event of nio as events of ours."""
        room_id = view.place.room
        if isinstance(one, MegolmEvent | BadEvent) and one.source.get("type") == "m.room.encrypted":
            self._parts.locks.missed(room_id, one, before_us=how is Provenance.HISTORY)
            return
        source: Json = one.source
        self._parts.lookups.saw(source)
        event = decode(source, view, Moment(self._parts.clock.now(), how))
        if isinstance(event, Redaction):
            self._parts.locks.forget(room_id, event.target)
            for resolved in await self._parts.lookups.resolve(view, event):
                yield resolved
        elif isinstance(event, Edit) and not await self._parts.lookups.is_authors(event):
            log.warning("matrix.edit_by_another", room=room_id)
        elif event is not None:
            yield event

    async def _late(self) -> AsyncIterator[ChatEvent]:
        """Messages whose keys have come since."""
        for room_id, one in await self._parts.locks.opened():
            async for event in self._read(one, self._parts.rooms.view(room_id), Provenance.RECOVERED):
                yield event

    async def _invited(self, response: SyncResponse) -> None:
        rooms = response.rooms
        found = {room: invitation_in(info.invite_state, self._me) for room, info in rooms.invite.items()}
        invited = {room: one for room, one in found.items() if one is not None}
        try:
            await self._parts.invitations.take(invited, [*rooms.join, *rooms.leave])
        except Unavailable as exc:
            log.warning("matrix.invitations_not_noted", reason=str(exc))

    async def _mark(self, person: str, room_id: str) -> None:
        try:
            await self._parts.direct.mark(person, room_id)
        except WeavebotError as exc:  # a courtesy: without the mark another direct room is made when one is needed
            log.warning("matrix.direct_not_marked", room=room_id, reason=str(exc))

    async def _plan(self, rooms: Sequence[str] | None = None) -> bool:
        """The reactions on the newest answers are to be read again, of all rooms if none is named."""
        try:
            for room_id in await self._parts.notebook.rooms() if rooms is None else rooms:
                await self._parts.standing.plan(room_id)
        except Unavailable as exc:
            log.warning("matrix.reactions_not_planned", reason=str(exc))
            return False
        return True


def _tell(view: View, one: Any) -> None:
    """Lets nio's room take in an event, so that a room that we have just left has a name."""
    if isinstance(one, Event):
        view.room.handle_event(one)

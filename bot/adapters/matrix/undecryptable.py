"""Events that could not be decrypted yet: counted, remembered, and read when their key comes.

What is kept is the event's id and that of its room key, never the ciphertext: when the key is there the event is
fetched again, so that one redacted meanwhile gives nothing away. The notes are durable before the sync token is, so
neither a kill nor a restart forgets an event. They are bounded in number and age.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import structlog
from nio import AsyncClient, BadEvent, Event, MegolmEvent, SyncResponse, UnknownBadEvent

from bot.adapters.matrix.encryption import machine
from bot.adapters.matrix.homeserver import Homeserver
from bot.adapters.matrix.olm import session_in
from bot.ports import Notebook
from memory.errors import NotFound, Rejected, Unavailable
from memory.ports import Clock

log = structlog.get_logger(__name__)

INDEX: Final = "locked"  # names the rooms; what waits in a room stands under a name of its own
WITHHELD: Final = "m.room_key.withheld"
MOST_IN_A_ROOM: Final = 500
MOST_ROOMS: Final = 1_000
OLDEST: Final = timedelta(days=14)
AT_ONCE: Final = 50  # events fetched in one round; the rest waits for the next sync
REASONS_KEPT: Final = 1_000

AnyEvent: TypeAlias = Event | BadEvent | UnknownBadEvent


@dataclass(frozen=True, slots=True)
class Missing:
    """An event whose key is not here. ``before_us``: from before we came to the room, so no key is owed to us."""

    event: str
    session: str
    seen_at: datetime
    before_us: bool = False


@dataclass(slots=True)
class Figures:
    """How much of what was said encrypted in a room could be read, since the start; what waits is of now."""

    read: int = 0  # decrypted, the late ones too
    late: int = 0  # decrypted only when their key came
    waiting: int = 0  # not decrypted, their keys may come
    before_us: int = 0  # from before we came, not decrypted; nothing is wrong with that
    given_up: int = 0  # too old or too many
    reasons: Counter[str] = field(default_factory=Counter)  # why people's clients withheld keys, by code

    @property
    def unread(self) -> int:
        """Messages that we should have been able to read and could not."""
        return self.waiting + self.given_up

    @property
    def rate(self) -> float:
        """The share of them among all encrypted ones, in [0, 1]."""
        everything = self.read + self.unread
        return self.unread / everything if everything else 0.0

    def add(self, other: Figures) -> None:
        """Adds another room's figures."""
        self.read += other.read
        self.late += other.late
        self.waiting += other.waiting
        self.before_us += other.before_us
        self.given_up += other.given_up
        self.reasons.update(other.reasons)


class Undecryptable:
    """The events of one account that wait for their keys."""

    def __init__(self, client: AsyncClient, notebook: Notebook, clock: Clock) -> None:
        self._client = client
        self._homeserver = Homeserver(client)
        self._notebook = notebook
        self._clock = clock
        self._missing: dict[str, dict[str, Missing]] = {}
        self._counts: dict[str, Figures] = {}
        self._changed: set[str] = set()
        self._listed: list[str] = []  # rooms that the index names
        self._reasons: OrderedDict[str, str] = OrderedDict()  # session -> code
        self._tried: dict[str, int] = {}  # event -> first index of the key that did not fit

    async def recall(self) -> None:
        """Reads what waited when we stopped. Raises Unavailable when the notebook cannot be read."""
        self._listed = json.loads(await self._notebook.read(INDEX) or "[]")
        for room in self._listed:
            rows = json.loads(await self._notebook.read(_name(room)) or "[]")
            waiting = (Missing(event, session, datetime.fromisoformat(at), early) for event, session, at, early in rows)
            self._missing[room] = {one.event: one for one in waiting}

    def hear(self, response: SyncResponse) -> None:
        """Takes in a sync: counts what others said and nio decrypted, and why keys were withheld from us."""
        for room, info in response.rooms.join.items():
            others = (one for one in info.timeline.events if getattr(one, "sender", None) != self._client.user_id)
            self._count(room).read += sum(getattr(one, "decrypted", False) for one in others)
        for event in response.to_device_events:
            content = event.source.get("content", {}) if event.source.get("type") == WITHHELD else {}
            session, code = content.get("session_id"), content.get("code")
            if isinstance(session, str) and isinstance(code, str):
                self._reasons[session] = code
                if len(self._reasons) > REASONS_KEPT:
                    self._reasons.popitem(last=False)

    def unlock(self, room: str, event: AnyEvent) -> AnyEvent:
        """The event decrypted where that is possible (nio did so in the syncs of rooms that we are in), else itself."""
        if session_in(event.source) is None:
            return event
        found = machine(self._client).opened(room, event.source)
        if found is None:
            return event
        self._count(room).read += found.sender != self._client.user_id
        return found

    def missed(self, room: str, event: MegolmEvent | BadEvent, *, before_us: bool = False) -> None:
        """Takes an event that could not be decrypted: it waits for its key, and its sender's device is asked, once."""
        session = session_in(event.source)
        waiting = self._missing.setdefault(room, {})
        if session is None or event.event_id in waiting:
            return
        waiting[event.event_id] = Missing(event.event_id, session, self._clock.now(), before_us)
        self._changed.add(room)
        if not before_us:
            why = self._reasons.get(session, "no key")
            log.warning("matrix.undecryptable", room=room, event_id=event.event_id, why=why)
            self._ask(event)

    async def opened(self) -> list[tuple[str, Event]]:
        """Room and event of those whose key came since, decrypted, oldest first; some at a time.

        Each is given once. That it was is durable only by ``note``, which is to come when they are committed.
        """
        found: list[tuple[str, Event]] = []
        for room, one in self._readable()[:AT_ONCE]:
            event = await self._fetched(room, one)
            if event is not None:
                counts = self._count(room)
                counts.read, counts.late = counts.read + 1, counts.late + 1
                log.info("matrix.decrypted_late", room=room, event_id=one.event)
                found.append((room, event))
        return found

    async def note(self) -> None:
        """Makes durable what waits; to be called before the sync token is noted. Raises Unavailable."""
        for room in list(self._changed):
            waiting = self._bounded(room)
            rows = [(one.event, one.session, one.seen_at.isoformat(), one.before_us) for one in waiting]
            if room not in self._listed:
                self._listed.append(room)
                await self._notebook.note(INDEX, json.dumps(self._listed[-MOST_ROOMS:]))
            await self._notebook.note(_name(room), json.dumps(rows))
            self._changed.discard(room)

    def figures(self, room: str | None = None) -> Figures:
        """The figures of a room, or of all together."""
        told = Figures()
        for one in [room] if room else {*self._missing, *self._counts}:
            told.add(self._counts.get(one, Figures()))
            waiting = self._missing.get(one, {}).values()
            told.before_us += sum(each.before_us for each in waiting)
            told.waiting += sum(not each.before_us for each in waiting)
            told.reasons.update(self._reasons[each.session] for each in waiting if each.session in self._reasons)
        return told

    def forget(self, room: str, event_id: str) -> None:
        """Stops waiting for an event (it was redacted)."""
        if self._missing.get(room, {}).pop(event_id, None) is not None:
            self._changed.add(room)

    def _readable(self) -> list[tuple[str, Missing]]:
        """Those whose key is here, unless that very key was tried and begins too late."""
        olm, ready = machine(self._client), []
        for room, waiting in self._missing.items():
            for one in waiting.values():
                session = olm.session_of(room, one.session)
                if session is not None and self._tried.get(one.event) != session.first_known_index:
                    ready.append((room, one))
        return ready

    async def _fetched(self, room: str, one: Missing) -> Event | None:
        """The event, decrypted; None when it is gone, redacted, cannot be had now or still cannot be decrypted."""
        try:
            source = await self._homeserver.ask("GET", "rooms", room, "event", one.event)
        except (NotFound, Rejected):
            self.forget(room, one.event)
            return None
        except Unavailable:
            return None  # it waits on
        if session_in(source) is None:  # it was redacted
            self.forget(room, one.event)
            return None
        found = machine(self._client).opened(room, source)
        if found is None:
            session = machine(self._client).session_of(room, one.session)
            self._tried[one.event] = session.first_known_index if session else -1
            return None
        self.forget(room, one.event)
        self._tried.pop(one.event, None)
        return found

    def _bounded(self, room: str) -> list[Missing]:
        """What of a room's still waits; the oldest are given up when there are too many or they are too old."""
        since = self._clock.now() - OLDEST
        everything = list(self._missing.get(room, {}).values())
        kept = [one for one in everything if one.seen_at > since][-MOST_IN_A_ROOM:]
        self._count(room).given_up += sum(not one.before_us for one in everything) - sum(
            not one.before_us for one in kept
        )
        self._missing[room] = {one.event: one for one in kept}
        return kept

    def _ask(self, event: MegolmEvent | BadEvent) -> None:
        """Asks the device that made the key for it, once; the answer comes with a later sync."""
        olm = machine(self._client)
        queued = {getattr(one, "request_id", None) for one in olm.outgoing_to_device_messages}
        if isinstance(event, BadEvent) or event.session_id in queued or event.session_id in olm.outgoing_key_requests:
            return
        request = event.as_key_request(event.sender, olm.device_id, event.session_id, event.device_id)
        olm.outgoing_to_device_messages.append(request)

    def _count(self, room: str) -> Figures:
        return self._counts.setdefault(room, Figures())


def _name(room: str) -> str:
    """The note of a room; hashed, for a room's id may be longer than a note's name."""
    return f"{INDEX}:{hashlib.sha256(room.encode()).hexdigest()[:32]}"

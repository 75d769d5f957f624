"""The one path of an event from a chat platform: it is committed first, and answered afterwards.

``take`` journals a batch: messages, edits, deletions and reactions are kept, questions and commands wait in the inbox
(``bot.replying`` carries them out). Only when it returns may the platform be told that we have read so far. What is
addressed to the bot is not remembered, and neither is what the bot says. Message texts are never logged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

import structlog

from bot import prompting
from bot.addressing import addressed
from bot.app import App
from bot.errors import confess, is_of_the_input
from bot.inbox import Kind
from bot.models import (
    LOCAL,
    Actor,
    Arrival,
    ChatEvent,
    Deletion,
    Edit,
    Gap,
    IncomingMessage,
    Membership,
    Place,
    ReactionAdded,
    ReactionRemoved,
    ReactionsStanding,
    Reply,
    Role,
)
from bot.outbox import transaction_of
from bot.pages import Page, line, page
from bot.ports import ChatPort
from bot.preferences import Preferences
from bot.render import vote_page
from bot.replying import Replies
from bot.room_messages import Reaction, message_named, reaction_by, reaction_named, reactions_on
from bot.turns import Turns
from memory.errors import BadInput, NotFound, Unavailable
from memory.journal import check
from memory.models import Draft, Person, Provenance, Room
from routing.shuttle import VoteResult

LONGEST_EMOJI: Final = 64
NO_ANSWER: Final = "There is no such answer to react to."

log = structlog.get_logger(__name__)


class Dispatch:
    """Takes the events of one chat platform."""

    def __init__(self, app: App, port: ChatPort) -> None:
        self._app = app
        self._port = port
        self._teams: dict[tuple[str, str], int] = {}
        self._known: dict[Place, tuple[Room, Preferences]] = {}  # in the batch that is being taken
        self._turns = Turns(app.clock)
        self.replies = Replies(app, port)
        self._takers: Mapping[type[Any], Callable[[Any], Awaitable[None]]] = MappingProxyType(
            {
                IncomingMessage: self._message,
                Edit: self._edit,
                Deletion: self._deletion,
                ReactionAdded: self._reaction,
                ReactionRemoved: self._reaction_removed,
                ReactionsStanding: self._reactions_standing,
                Gap: self._gap,
                Membership: self._membership,
                Arrival: self._arrival,
            }
        )

    async def take(self, batch: Sequence[ChatEvent]) -> None:
        """Commits a batch. An event that cannot be taken is logged and passed over, so that it stops nothing.

        Raises Unavailable when the database does not take it now, or something fails that is no event's own fault: the
        same batch must come again.
        """
        self._known.clear()
        async with self._app.database.scrubbing_later():
            for events in self._runs(batch):
                place = events[0].place
                with structlog.contextvars.bound_contextvars(platform=place.platform, room=place.room):
                    await self._take_or_pass_over(events)
        self.replies.nudge()

    async def handle(self, event: ChatEvent) -> None:
        """Takes one event and answers it at once, for a room of one person; what goes wrong is said there."""
        try:
            await self.take((event,))
            await self.replies.settle()
        except Unavailable as exc:
            log.warning("event.failed", kind=type(event).__name__, error=type(exc).__name__)
            await self._say(event.place, page(line(confess(exc).words)))

    async def post(self, room: Room, said: Page, occasion: str) -> None:
        """Says something of our own accord (a digest), once for each occasion."""
        await self.replies.post(room, said, occasion)

    def _runs(self, batch: Sequence[ChatEvent]) -> Iterator[Sequence[ChatEvent]]:
        """The events, in order within a room; messages to remember that follow each other in it come together.

        When rooms talk across each other, this is what makes their messages few transactions. An arrival or departure
        is about a whole team, so nothing is moved past it.
        """

        def alike(event: ChatEvent) -> int:
            return 0 if isinstance(event, IncomingMessage) and self._to_us(event.text) is None else id(event)

        for is_arrival, events in groupby(batch, key=lambda event: isinstance(event, Arrival)):
            rooms: dict[object, list[ChatEvent]] = {}
            for event in events:
                rooms.setdefault(id(event) if is_arrival else (event.place.team, event.place.room), []).append(event)
            for one in rooms.values():
                yield from (list(run) for _, run in groupby(one, key=alike))

    async def _take_or_pass_over(self, events: Sequence[ChatEvent]) -> None:
        try:
            await self._take(events)
        except Unavailable:
            raise
        except Exception as exc:  # the top of dispatch: one bad event must not stop the rest
            if len(events) > 1:  # of a run only the one that is bad
                for event in events:
                    await self._take_or_pass_over((event,))
                return
            problem = confess(exc)
            log.warning("event.failed", kind=type(events[0]).__name__, error=type(exc).__name__)
            if not is_of_the_input(exc):
                raise Unavailable(problem.words) from exc
            await self._quietly(events[0].place, page(line(problem.words)))

    async def _take(self, events: Sequence[ChatEvent]) -> None:
        if len(events) > 1:
            await self._remember([event for event in events if isinstance(event, IncomingMessage)])
        else:
            await self._take_one(events[0])

    async def _take_one(self, event: ChatEvent) -> None:
        """One of a kind that we do not know comes from a newer adapter, and would come again for ever."""
        taker = self._takers.get(type(event))
        if taker is None:
            log.warning("event.unknown", kind=type(event).__name__)
            self._app.passed[type(event).__name__] += 1
            return
        await taker(event)

    async def _message(self, event: IncomingMessage) -> None:
        """A message to remember, or one to us."""
        if self._to_us(event.text) is None:
            await self._remember([event])
        elif not event.actor.is_bot and event.provenance is not Provenance.HISTORY:
            await self._ask(await self._room(event.place), event)

    async def _remember(self, events: Sequence[IncomingMessage]) -> None:
        """Messages of one room, in one transaction."""
        room, preferences = await self._room_as_set(events[0].place)
        if not preferences.listen:
            return
        drafts = []
        for event in events:
            if event.actor.is_bot or not event.text.strip():
                continue  # another bot; a picture without words, a poll: nothing to remember
            try:
                drafts.append(_draft(event))
            except BadInput as exc:
                log.warning("message.rejected", reason=str(exc))
                await self._quietly(event.place, page(line(confess(exc).words)))
        if drafts:
            admitted = await self._app.journal.admit(room, drafts)
            log.info("message.admitted", new=len(admitted.serials), known=admitted.known, refused=admitted.refused)

    async def _ask(self, room: Room, event: IncomingMessage) -> None:
        sent = await self._app.outbox.find(room, transaction_of(event.event_id))
        if sent is not None and sent.event_id is not None:
            return  # this event had its reply; the platform delivered it again
        if await self._app.journal.buried(room, event.event_id):
            return  # it was taken back before it came
        if not self._turns.take(room.id, event.thread, event.actor.external_id):
            log.warning("turns.exceeded", thread=event.thread)
            return
        person = await self._person(room, event.actor)
        asked = replace(event, text=_encodable(event.text), actor=self._ranked(event.actor))
        await self._app.inbox.put(room, Kind.ASKED, event.event_id, asked, person)

    async def _edit(self, event: Edit) -> None:
        room = await self._room(event.place)
        if self._to_us(event.text) is None:
            await self._reword(room, event)
        elif not event.actor.is_bot and event.provenance is not Provenance.HISTORY:
            await self._ask_again(room, event)

    async def _reword(self, room: Room, event: Edit) -> None:
        """The new text, where the room listens; where it does not, the message goes, as nothing new is kept."""
        _, preferences = await self._room_as_set(event.place)
        if not preferences.listen:
            before = await message_named(self._app, room, event.target)
            if before is not None and before.text == event.text:
                return  # platforms send an edit for a preview, too
        if not event.text.strip() or not preferences.listen:
            await self._withdraw(room, event)
            return
        changed = await self._app.journal.edit(room, event.target, event.actor.external_id, event.text, event.edited_at)
        log.info("message.edited", changed=changed)

    async def _ask_again(self, room: Room, event: Edit) -> None:
        """A question that was corrected, or a message that became one."""
        person = await self._person(room, event.actor)
        if await self._app.inbox.reword(room, event.target, person, _encodable(event.text)):
            return
        under_way = await self._app.inbox.is_under_way(room, event.target, person)
        sent = await self._app.outbox.find(room, transaction_of(event.target))
        if under_way or sent is not None:
            if sent is None or sent.person == person.id:
                changed = replace(event, text=_encodable(event.text), actor=self._ranked(event.actor))
                await self._app.inbox.put(room, Kind.CHANGED, event.event_id, changed, person)
        elif await self._withdraw(room, event):
            asked = IncomingMessage(
                event.place, event.event_id, event.actor, event.text, event.edited_at, None, event.thread
            )
            await self._ask(room, asked)

    async def _withdraw(self, room: Room, event: Edit) -> bool:
        """An edit that leaves nothing to remember erases what was remembered, when it is the author's own."""
        before = await message_named(self._app, room, event.target)
        if before is None or before.author != (await self._person(room, event.actor)).id:
            return False
        return await self._app.journal.delete(room, event.target, event.edited_at)

    async def _deletion(self, event: Deletion) -> None:
        room = await self._room(event.place)
        gone = await self._app.journal.delete(room, event.target, event.deleted_at)
        log.info("message.deleted", known=gone)

    async def _reaction(self, event: ReactionAdded) -> None:
        """The journal first, the vote after it, also for a reaction that is known and stands.

        Cut off in between, the reaction comes again (as an event, or among those that stand) and votes then; or it was
        taken back meanwhile, and what the journal knows is compared with what stands. A vote twice is a vote.
        """
        if event.actor.is_bot:
            return
        room = await self._room(event.place)
        known = await reaction_named(self._app, room, event.event_id)
        if known is not None and known.is_over(event.added_at):
            return
        person = await self._person(room, event.actor)
        emoji = event.emoji[:LONGEST_EMOJI]
        fresh = await self._app.journal.react(room, event.event_id, event.target, person, emoji, event.added_at)
        told = await self._vote(event.place, room, event.target, person, event.emoji, event.added_at, remove=False)
        if fresh:
            await self._quietly(event.place, vote_page(told) if told else page(NO_ANSWER))
        if told is not None and told.changed:
            await self._follow(room, event, person)

    async def _follow(self, room: Room, event: ReactionAdded, person: Person) -> None:
        """What a vote leads to in the room is done afterwards, as answers are."""
        kind = prompting.follows(event)
        if kind is Kind.STARRED:
            await self._app.inbox.put(room, kind, event.event_id, event, person)
        elif kind is Kind.DISLIKED and await self._may_prompt(room, person):
            await self._app.inbox.put(room, kind, f"person {person.id}", event, person)

    async def _may_prompt(self, room: Room, person: Person) -> bool:
        """Whether the room wants to be asked, and this person was not yet."""
        wanted = await self._app.preferences.of(room)
        return wanted.prompts and await self._app.outbox.find(room, prompting.question_to(person)) is None

    async def _reaction_removed(self, event: ReactionRemoved) -> None:
        room = await self._room(event.place)
        found = await self._standing(room, event)
        if found is None:
            await self._quietly(event.place, page("That reaction is not there."))
            return
        told = await self._take_back(event.place, room, found, event.removed_at)
        await self._quietly(event.place, vote_page(told, removed=True) if told else page(NO_ANSWER))

    async def _take_back(self, place: Place, room: Room, found: Reaction, at: datetime) -> VoteResult | None:
        people = await self._app.directory.people(room.tenant)
        person = next((one for one in people if one.id == found.person), None)
        told = None
        if person is not None:
            left = await self._left(room, found)
            told = await self._vote(place, room, found.target, person, found.emoji, at, remove=True, left=left)
        await self._app.journal.unreact(room, found.event_id, at)
        return told

    async def _left(self, room: Room, found: Reaction) -> list[str]:
        """What the person's other reactions on the message are, oldest first: a vote stands as long as one of them."""
        return [
            one.emoji
            for one in await reactions_on(self._app, room, found.target)
            if one.standing and one.event_id != found.event_id and one.person == found.person
        ]

    async def _reactions_standing(self, event: ReactionsStanding) -> None:
        """What was put and taken back while we were away."""
        room = await self._room(event.place)
        there = {one.event_id for one in event.standing}
        known = await reactions_on(self._app, room, event.target)
        for one in known:
            if one.standing and one.event_id.startswith(event.listed) and one.event_id not in there:
                await self._take_back(event.place, room, one, event.read_at)
        for added in event.standing:
            await self._reaction(added)

    async def _standing(self, room: Room, event: ReactionRemoved) -> Reaction | None:
        if event.reaction is not None:
            found = await reaction_named(self._app, room, event.reaction)
            return found if found is not None and found.standing else None
        if event.target is None or event.actor is None or event.emoji is None:
            return None
        person = await self._person(room, event.actor)
        return await reaction_by(self._app, room, event.target, person, event.emoji[:LONGEST_EMOJI])

    async def _vote(
        self,
        place: Place,
        room: Room,
        target: str,
        person: Person,
        emoji: str,
        at: datetime,
        *,
        remove: bool,
        left: Sequence[str] = (),
    ) -> VoteResult | None:
        """What the reaction does to the answer that the message shows; None when it shows none."""
        behind = await self._app.outbox.answer_behind(room, target)
        if behind is None and await message_named(self._app, room, target) is None:
            behind = await self._port.shown_in(place, target)  # our map was lost; the message itself knows
        if behind is None:
            return None
        try:
            return await self._app.shuttle.vote(room.tenant, behind, person, emoji, remove=remove, at=at, left=left)
        except NotFound:
            return None  # an answer of another life of this data folder

    async def _gap(self, event: Gap) -> None:
        log.warning("room.gap", since=event.since.isoformat(), until=event.until.isoformat())

    async def _membership(self, event: Membership) -> None:
        log.info("room.membership", joined=event.joined)

    async def _arrival(self, event: Arrival) -> None:
        log.info("room.arrival", joined=event.joined)
        if self._port.team is None:  # the account is in many teams: it came to one of them, or is out of it
            tenant = await self._tenant(event.place)
            if not event.joined:
                await self._app.departures.note(tenant, event.at)
                return
            await self._app.departures.undo(tenant)
        room = await self._room(event.place)
        if event.joined and (self._app.settings.welcome or self._port.capabilities.greets):
            await self._app.inbox.put(room, Kind.ARRIVED, event.event_id, event)

    async def _quietly(self, place: Place, said: Page) -> None:
        """What a vote did is told only where it disturbs nobody."""
        if self._port.capabilities.tells_votes:
            await self._say(place, said)

    def _to_us(self, text: str) -> str | None:
        return addressed(text, self._app.settings.prefix)

    def _ranked(self, actor: Actor) -> Actor:
        """The actor as we know them: an admin of ours is one in every room."""
        role = Role.ADMIN if actor.external_id in self._app.settings.admins else actor.role
        return replace(actor, name=_encodable(actor.name), role=role)

    async def _room_as_set(self, place: Place) -> tuple[Room, Preferences]:
        """The room and what is in force there, looked up once a batch."""
        if place not in self._known:
            room = await self._room(place)
            self._known[place] = room, await self._app.preferences.of(room)
        return self._known[place]

    async def _room(self, place: Place) -> Room:
        if place in self._known:
            return self._known[place][0]
        return await self._app.directory.room(await self._tenant(place), place.room, place.name)

    async def _tenant(self, place: Place) -> int:
        if place.team == LOCAL:
            return self._app.tenant
        key = place.platform, place.team
        if key not in self._teams:
            self._teams[key] = await self._app.directory.tenant(*key, place.team)
        return self._teams[key]

    async def _person(self, room: Room, actor: Actor) -> Person:
        return await self._app.directory.person(room.tenant, actor.external_id, actor.name)

    async def _say(self, place: Place, said: Page) -> None:
        """Something in passing: not kept, not repeated after a crash."""
        await self._port.send(Reply(place, said), transaction="")


def _draft(event: IncomingMessage) -> Draft:
    """The message as the journal takes it. Raises BadInput for one that cannot be kept."""
    draft = Draft(
        event_id=event.event_id,
        author=event.actor.external_id,
        author_name=event.actor.name,
        text=event.text,
        sent_at=event.sent_at,
        reply_to=event.reply_to,
        provenance=event.provenance,
        thread=event.thread,
    )
    check(draft)
    return draft


def _encodable(text: str) -> str:
    """The text without lone surrogates, which no platform can show and no JSON can carry."""
    return text.encode("utf-8", "replace").decode()

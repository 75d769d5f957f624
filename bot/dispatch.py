"""The one path of an event from a chat platform.

Events reach the journal first; live and recovered messages may then be commands and questions. What is addressed to the
bot is not remembered, and neither is what the bot says. Message texts are never logged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import structlog

from bot.addressing import addressed
from bot.app import App
from bot.commands import Call, Command, Given, Question, Said, Slip
from bot.errors import confess
from bot.models import (
    Actor,
    ChatEvent,
    Deletion,
    Edit,
    Gap,
    IncomingMessage,
    Label,
    Membership,
    Place,
    ReactionAdded,
    ReactionRemoved,
    Reply,
)
from bot.outbox import transaction_of
from bot.pages import Page, line, page
from bot.permissions import require
from bot.ports import ChatPort
from bot.render import hint_line, vote_page
from bot.room_commands import TABLE, answer
from bot.room_messages import Reaction, message_named, reaction_by, reaction_named
from memory.errors import BadInput
from memory.models import Draft, Person, Provenance, Room
from routing.models import Answer
from routing.shuttle import VoteResult

LONGEST_EMOJI: Final = 64
NO_ANSWER: Final = "There is no such answer to react to."

log = structlog.get_logger(__name__)


class Dispatch:
    """Takes the events of one chat platform."""

    def __init__(self, app: App, port: ChatPort) -> None:
        self._app = app
        self._port = port
        self._takers: Mapping[type[Any], Callable[[Any], Awaitable[None]]] = MappingProxyType(
            {
                IncomingMessage: self._message,
                Edit: self._edit,
                Deletion: self._deletion,
                ReactionAdded: self._reaction,
                ReactionRemoved: self._reaction_removed,
                Gap: self._gap,
                Membership: self._membership,
            }
        )

    async def handle(self, event: ChatEvent) -> None:
        """Takes one event to its end. What goes wrong is told in the room in one sentence, and logged."""
        place = event.place
        with structlog.contextvars.bound_contextvars(platform=place.platform, room=place.room):
            try:
                await self._takers[type(event)](event)
            except Exception as exc:  # noqa: BLE001 - the top of dispatch: one bad event must not stop the rest
                problem = confess(exc)
                log.warning("event.failed", kind=type(event).__name__, error=type(exc).__name__)
                await self._say(place, page(line(problem.words)))

    async def post(self, room: Room, said: Page, occasion: str) -> None:
        """Says something of our own accord (a digest), once for each occasion."""
        place = Place(self._port.platform, room.external_id, room.name)
        await self._send(room, Reply(place, said), transaction_of(occasion, "post"), None)

    async def _message(self, event: IncomingMessage) -> None:
        if event.actor.is_bot:
            return
        room = await self._room(event.place)
        if addressed(event.text, self._app.settings.prefix) is None:
            await self._remember(room, event)
        elif event.provenance is not Provenance.HISTORY:
            await self._command(room, event)

    async def _remember(self, room: Room, event: IncomingMessage) -> None:
        if not event.text.strip():
            return  # a picture without words, a poll: nothing to remember
        draft = Draft(
            event_id=event.event_id,
            author=event.actor.external_id,
            author_name=event.actor.name,
            text=event.text,
            sent_at=event.sent_at,
            reply_to=event.reply_to,
            provenance=event.provenance,
        )
        admitted = await self._app.journal.admit(room, [draft])
        log.info("message.admitted", new=len(admitted.serials), known=admitted.known, refused=admitted.refused)

    async def _command(self, room: Room, event: IncomingMessage) -> None:
        transaction = transaction_of(event.event_id)
        before = await self._app.outbox.find(room, transaction)
        if before is not None and before.event_id is not None:
            return  # this event had its reply; the platform delivered it again
        call = await self._call(room, event)
        said = await self._carry_out(call)
        reply = Reply(
            event.place,
            said.page,
            in_reply_to=event.event_id,
            thread=event.thread,
            label=_label(said.shows) if said.shows else None,
            private=said.private,
            to=event.actor.external_id,
            attachment=said.attachment,
        )
        await self._send(room, reply, transaction, said)

    async def _carry_out(self, call: Call) -> Said:
        prefix = self._app.settings.prefix
        try:
            match TABLE.read(call.message.text, prefix):
                case Given(command=command, arguments=arguments, complete=complete):
                    return await self._run(call, command, arguments, complete=complete)
                case Question(text=text):
                    log.info("question.asked")
                    return await answer(call, text)
                case Slip(word=word, meant=meant):
                    words = f"There is no command {word}; did you mean `{prefix} {meant}`? `{prefix} ask {word}` asks."
                    return Said((hint_line(words),))
        except Exception as exc:  # noqa: BLE001 - a command that fails is answered too, in one sentence
            return Said(page(confess(exc).words))
        raise BadInput("That is not addressed to me.")

    async def _run(self, call: Call, command: Command, arguments: Mapping[str, Any], *, complete: bool) -> Said:
        require(call.actor, command.role, f"use {command.name}")
        log.info("command.given", command=command.name)
        if not complete and any(not one.optional for one in command.arguments) and not call.message.reply_to:
            prefix = self._app.settings.prefix
            return Said((hint_line(f"`{command.usage(prefix)}` {command.words}; e.g. `{prefix} {command.example}`"),))
        given = Call(call.app, call.room, call.person, call.actor, call.message, call.capabilities, arguments)
        return await command.function(given)

    async def _edit(self, event: Edit) -> None:
        room = await self._room(event.place)
        if addressed(event.text, self._app.settings.prefix) is not None or not event.text.strip():
            await self._withdraw(room, event)
            return
        changed = await self._app.journal.edit(room, event.target, event.actor.external_id, event.text, event.edited_at)
        log.info("message.edited", changed=changed)

    async def _withdraw(self, room: Room, event: Edit) -> None:
        """An edit that leaves nothing to remember erases what was remembered, when it is the author's own."""
        before = await message_named(self._app, room, event.target)
        if before is not None and before.author == (await self._person(event.actor)).id:
            await self._app.journal.delete(room, event.target, event.edited_at)

    async def _deletion(self, event: Deletion) -> None:
        room = await self._room(event.place)
        gone = await self._app.journal.delete(room, event.target, event.deleted_at)
        log.info("message.deleted", known=gone)

    async def _reaction(self, event: ReactionAdded) -> None:
        """The vote first, the journal last: cut off in between, the event comes again and changes nothing twice."""
        if event.actor.is_bot:
            return
        room = await self._room(event.place)
        if await reaction_named(self._app, room, event.event_id) is not None:
            return
        person = await self._person(event.actor)
        told = await self._vote(room, event.target, person, event.emoji, event.added_at, remove=False)
        emoji = event.emoji[:LONGEST_EMOJI]
        await self._app.journal.react(room, event.event_id, event.target, person, emoji, event.added_at)
        await self._quietly(event.place, vote_page(told) if told else page(NO_ANSWER))

    async def _reaction_removed(self, event: ReactionRemoved) -> None:
        room = await self._room(event.place)
        found = await self._standing(room, event)
        if found is None:
            await self._quietly(event.place, page("That reaction is not there."))
            return
        people = await self._app.directory.people(self._app.tenant)
        person = next((one for one in people if one.id == found.person), None)
        told = None
        if person is not None:
            told = await self._vote(room, found.target, person, found.emoji, event.removed_at, remove=True)
        await self._app.journal.unreact(room, found.event_id, event.removed_at)
        await self._quietly(event.place, vote_page(told, removed=True) if told else page(NO_ANSWER))

    async def _standing(self, room: Room, event: ReactionRemoved) -> Reaction | None:
        if event.reaction is not None:
            found = await reaction_named(self._app, room, event.reaction)
            return found if found is not None and found.standing else None
        if event.target is None or event.actor is None or event.emoji is None:
            return None
        person = await self._person(event.actor)
        return await reaction_by(self._app, room, event.target, person, event.emoji[:LONGEST_EMOJI])

    async def _vote(
        self, room: Room, target: str, person: Person, emoji: str, at: datetime, *, remove: bool
    ) -> VoteResult | None:
        """What the reaction does to the answer that the message shows; None when it shows none."""
        behind = await self._app.outbox.answer_behind(room, target)
        if behind is None:
            return None
        return await self._app.shuttle.vote(self._app.tenant, behind, person, emoji, remove=remove, at=at)

    async def _gap(self, event: Gap) -> None:
        log.warning("room.gap", since=event.since.isoformat(), until=event.until.isoformat())

    async def _membership(self, event: Membership) -> None:
        log.info("room.membership", joined=event.joined)

    async def _quietly(self, place: Place, said: Page) -> None:
        """What a vote did is told only where it disturbs nobody."""
        if self._port.capabilities.tells_votes:
            await self._say(place, said)

    async def _call(self, room: Room, event: IncomingMessage) -> Call:
        person = await self._person(event.actor)
        return Call(self._app, room, person, event.actor, event, self._port.capabilities)

    async def _room(self, place: Place) -> Room:
        return await self._app.directory.room(self._app.tenant, place.room, place.name)

    async def _person(self, actor: Actor) -> Person:
        return await self._app.directory.person(self._app.tenant, actor.external_id, actor.name)

    async def _say(self, place: Place, said: Page) -> None:
        """Something in passing: not kept, not repeated after a crash."""
        await self._port.send(Reply(place, said), transaction="")

    async def _send(self, room: Room, reply: Reply, transaction: str, said: Said | None) -> None:
        outgoing = await self._app.outbox.put(
            room, transaction, in_reply_to=reply.in_reply_to, shows=said.shows if said else None
        )
        if outgoing.event_id is None:
            event_id = await self._port.send(reply, transaction=transaction)
            await self._app.outbox.sent(room, transaction, event_id)


def _label(shown: Answer) -> Label:
    return Label(shown.id, shown.serial, shown.decision.route, shown.decision.posterior)

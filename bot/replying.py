"""Carrying out what waits in the inbox: questions and commands are answered, notices posted, withdrawn answers edited.

Rooms do not wait for each other; within a room everything goes in order. What the platform does not take now is tried
again with growing pauses, and nothing is thrown away before a day has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog

from bot import prompting
from bot.app import App
from bot.commands import Call, Command, Given, Misfit, Question, Said, Slip
from bot.errors import confess
from bot.inbox import Item, Kind, Served
from bot.models import LOCAL, Actor, Arrival, Edit, IncomingMessage, Label, Place, ReactionAdded, Reply
from bot.outbox import transaction_of
from bot.pages import Page, page
from bot.permissions import require
from bot.ports import ChatPort
from bot.render import hint_line, withdrawn_page
from bot.room_commands import TABLE, answer
from bot.room_messages import reaction_named
from bot.welcome import welcome_page
from memory.errors import BadInput, NotFound, Rejected, Unavailable
from memory.models import Person, Room
from routing.models import Answer

ROOMS_AT_ONCE: Final = 4
LONGEST_PAUSE: Final = 60.0  # seconds
KEPT: Final = timedelta(days=1)
"""How long a reply is tried that the platform does not take."""
LOOK: Final = 30.0
"""Seconds between two looks at the inbox when nobody nudges: another process may have put something there."""
TRIES: Final = 3  # of something that fails by a defect of ours

log = structlog.get_logger(__name__)


class Replies:
    """Answers for one chat platform."""

    def __init__(self, app: App, port: ChatPort, *, pause: float = 1.0) -> None:
        """``pause`` is the first wait, in seconds, before a reply that was not taken is tried again."""
        self._app = app
        self._port = port
        self._pause = pause
        self._wake = asyncio.Event()
        self._turns = asyncio.Semaphore(ROOMS_AT_ONCE)
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._unmarked: set[int] = set()  # rooms of which the log says that we may not mark there
        self._served = served_by(app, port)

    @property
    def idle(self) -> bool:
        """Whether nothing is being carried out at the moment."""
        return not self._busy

    def nudge(self) -> None:
        """Something new waits."""
        self._wake.set()

    async def run(self) -> None:
        """Works until it is cancelled; what is under way then is taken up at the next start."""
        try:
            while True:
                self._wake.clear()
                for room in await self._waiting():
                    if room not in self._busy:
                        task = asyncio.create_task(self._serve(room))
                        self._busy[room] = task
                        task.add_done_callback(partial(self._ended, room))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):  # wait_for of Python 3.11 may swallow a cancellation
                        await self._wake.wait()
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def settle(self) -> None:
        """Carries out everything that waits now. Raises Unavailable when the platform does not take it."""
        for room in await self._app.inbox.waiting(self._served):
            while (item := await self._app.inbox.first(room)) is not None:
                await self.carry_out(item)

    async def carry_out(self, item: Item) -> None:
        """One row, to its end. Raises Unavailable when it must be tried again."""
        begun = await self._app.inbox.begin(item)
        if begun is None:
            return
        item = begun  # its author may have corrected it meanwhile
        with structlog.contextvars.bound_contextvars(platform=self._port.platform, room=item.room.external_id):
            try:
                await self._carry(item)
            except Rejected as exc:
                log.warning("reply.refused", kind=item.kind, error=type(exc).__name__, reason=str(exc))
            except Unavailable:
                if self._app.clock.now() - item.received_at < KEPT:
                    raise
                log.warning("reply.given_up", kind=item.kind)
            except Exception as exc:
                if item.begun + 1 < TRIES:
                    raise Unavailable("a reply failed by a defect; it is tried again") from exc
                log.exception("reply.failed", kind=item.kind)
        await self._app.inbox.done(item)

    async def post(self, room: Room, said: Page, occasion: str) -> None:
        """Says something of our own accord (a digest), once for each occasion."""
        reply = Reply(self._place(room), said)
        await self._send(room, reply, transaction_of(occasion, "post"), person=None, shows=None)

    async def _waiting(self) -> list[int]:
        try:
            return await self._app.inbox.waiting(self._served)
        except Unavailable as exc:
            log.warning("replies.paused", reason=str(exc))
            asyncio.get_running_loop().call_later(self._pause, self._wake.set)
            return []

    def _ended(self, room: int, task: asyncio.Task[None]) -> None:
        del self._busy[room]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("replies.room_failed", room=room, exc_info=error)
        self._wake.set()  # something may have come while the task was ending

    async def _serve(self, room: int) -> None:
        tries = 0
        while True:
            try:
                async with self._turns:
                    item = await self._app.inbox.first(room)
                    if item is None:
                        return
                    await self.carry_out(item)
                tries = 0
            except Unavailable as exc:
                tries += 1
                wait = min(LONGEST_PAUSE, self._pause * 2 ** min(tries - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
                log.warning("reply.waits", tries=tries, seconds=round(wait, 1), reason=str(exc))
                await asyncio.sleep(wait)

    async def _carry(self, item: Item) -> None:
        match item.payload:
            case IncomingMessage():
                await self._asked(item, item.payload)
            case Edit():
                await self._changed(item, item.payload)
            case Arrival():
                await self._arrived(item, item.payload)
            case ReactionAdded() if item.kind is Kind.STARRED:
                await self._starred(item, item.payload)
            case ReactionAdded():
                await self._disliked(item, item.payload)
            case str():
                await self._withdrawn(item, item.payload)

    async def _asked(self, item: Item, event: IncomingMessage) -> None:
        transaction = transaction_of(event.event_id)
        before = await self._app.outbox.find(item.room, transaction)
        if before is not None and before.event_id is not None:
            return  # this event had its reply; the platform delivered it again
        person = await self._person(item.room, event.actor)
        call = Call(self._app, self._port, item.room, person, event.actor, event)
        async with self._busily(event.place):
            said = await self._said(call, again=item.begun > 0)
            reply = _reply(event, said)
            await self._send(item.room, reply, transaction, person=person, shows=said.shows)

    async def _changed(self, item: Item, edit: Edit) -> None:
        """A question that was edited gets its answer in the place of the one before."""
        before = await self._app.outbox.find(item.room, transaction_of(edit.target))
        person = await self._person(item.room, edit.actor)
        if before is None or before.event_id is None or before.person != person.id:
            return
        transaction = transaction_of(edit.event_id)
        known = await self._app.outbox.find(item.room, transaction)
        if known is not None and known.event_id is not None:
            return
        event = IncomingMessage(edit.place, edit.event_id, edit.actor, edit.text, edit.edited_at, thread=edit.thread)
        call = Call(self._app, self._port, item.room, person, edit.actor, event)
        if TABLE.acts(edit.text, self._app.settings.prefix):
            return  # what was done is not done again because a word of it was corrected
        async with self._busily(edit.place):
            said = await self._said(call, again=False)
            await self._app.outbox.put(item.room, transaction, in_reply_to=edit.target, person=person, shows=said.shows)
            reply = Reply(
                edit.place,
                said.page,
                in_reply_to=edit.target,
                thread=edit.thread,
                label=label_of(said.shows),
                replaces=before.event_id,
                sources=sources_of(said.shows or said.about),
            )
            sent = await self._port.send(reply, transaction=transaction)
        # People go on reacting to the message that they see.
        replaced = before.event_id if self._port.capabilities.edits else sent
        await self._app.outbox.sent(item.room, transaction, replaced)

    async def _arrived(self, item: Item, event: Arrival) -> None:
        preferences = await self._app.preferences.of(item.room)
        said = welcome_page(preferences, self._app.settings.prefix, self._port.capabilities)
        await self._send(item.room, Reply(event.place, said), transaction_of(event.event_id), person=None, shows=None)

    async def _withdrawn(self, item: Item, answer_id: str) -> None:
        """An answer whose source or question is gone no longer shows it."""
        shown = await self._app.outbox.showing(item.room, answer_id)
        if shown is None or shown.event_id is None or not self._port.capabilities.edits:
            return
        try:
            kept = await self._app.shuttle.answer(item.room.tenant, answer_id)
        except NotFound:
            kept = None
        said = withdrawn_page(kept, self._app.settings.prefix)
        reply = Reply(self._place(item.room), said, label=label_of(kept), replaces=shown.event_id)
        # A second withdrawal leaves fewer sources than the first: what is left is part of the transaction's name.
        left = ",".join(str(one.hit.serial) for one in kept.citations) if kept else ""
        await self._port.send(reply, transaction=transaction_of(f"{answer_id}:{left}", "withdrawn"))

    async def _starred(self, item: Item, event: ReactionAdded) -> None:
        """Our mark on an answer, where we may; that we may not is once in the log. It holds nothing up for long."""
        try:
            marked = await self._port.mark(event.place, event.target, prompting.MARK)
        except Unavailable:
            if item.begun + 1 < TRIES:
                raise
            return
        if not marked and item.room.id not in self._unmarked:
            self._unmarked.add(item.room.id)
            log.warning("mark.refused", room=item.room.external_id)

    async def _disliked(self, item: Item, event: ReactionAdded) -> None:
        """Asks whoever voted an answer down what they expected, below the answer, if the vote still stands.

        A person is asked once, and about an answer once: who comes second is asked when they vote another one down.
        """
        found = await reaction_named(self._app, item.room, event.event_id)
        behind = await self._app.outbox.answer_behind(item.room, event.target)
        if found is None or not found.standing or behind is None:
            return
        about = prompting.question_about(behind)
        before = await self._app.outbox.find(item.room, about)
        if before is not None and before.event_id is not None:
            return
        person = await self._person(item.room, event.actor)
        try:
            answered = await self._app.shuttle.answer(item.room.tenant, behind)
        except NotFound:
            return  # it is gone meanwhile
        able = self._port.capabilities
        said = prompting.disliked_page(answered, self._app.settings.prefix, able)
        thread = answered.thread or (event.target if able.threads else None)
        reply = Reply(event.place, said, in_reply_to=event.target, thread=thread, beside=True)
        await self._app.outbox.put(item.room, prompting.question_to(person), in_reply_to=event.target, shows=None)
        await self._send(item.room, reply, about, person=None, shows=None)

    async def _said(self, call: Call, *, again: bool) -> Said:
        prefix = self._app.settings.prefix
        try:
            match TABLE.read(call.message.text, prefix):
                case Given(command=command, arguments=arguments, complete=complete):
                    if again and command.once:
                        words = f"I was interrupted while I did `{prefix} {command.name}`; look whether it is done."
                        return Said((hint_line(words),))
                    return await self._run(call, command, arguments, complete=complete)
                case Question(text=text):
                    log.info("question.asked")
                    return await answer(call, text)
                case Misfit(command=command, words=words):
                    hint = f" `{command.usage(prefix)}`; `{prefix} ask …` asks it as a question."
                    return Said((hint_line(words.replace("`", "'"), hint),))
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
        return await command.function(call.given(arguments))

    async def _send(
        self, room: Room, reply: Reply, transaction: str, *, person: Person | None, shows: Answer | None
    ) -> None:
        outgoing = await self._app.outbox.put(
            room, transaction, in_reply_to=reply.in_reply_to, person=person, shows=shows
        )
        if outgoing.event_id is None:
            event_id = await self._port.send(reply, transaction=transaction)
            await self._app.outbox.sent(room, transaction, event_id)

    @contextlib.asynccontextmanager
    async def _busily(self, place: Place) -> AsyncIterator[None]:
        await self._port.busy(place, on=True)
        try:
            yield
        finally:
            await self._port.busy(place, on=False)

    async def _person(self, room: Room, actor: Actor) -> Person:
        return await self._app.directory.person(room.tenant, actor.external_id, actor.name)

    def _place(self, room: Room) -> Place:
        return Place(self._port.platform, room.external_id, room.name)


def served_by(app: App, port: ChatPort) -> Served:
    """The teams that an account of ours speaks for."""
    return Served(tenant=app.tenant) if port.team == LOCAL else Served(platform=port.platform, team=port.team)


def label_of(shown: Answer | None) -> Label | None:
    """What a message of ours says beside its words about the answer that it shows."""
    if shown is None:
        return None
    decision = shown.decision
    return Label(shown.id, shown.serial, decision.route, decision.posterior, asks=decision.solicited)


def sources_of(shown: Answer | None) -> tuple[str, ...]:
    """The event ids of the messages that an answer's marks refer to."""
    return tuple(citation.message_id for citation in shown.citations) if shown is not None else ()


def _reply(event: IncomingMessage, said: Said) -> Reply:
    return Reply(
        event.place,
        said.page,
        in_reply_to=event.event_id,
        thread=event.thread,
        label=label_of(said.shows),
        private=said.private,
        to=event.actor.external_id,
        attachment=said.attachment,
        sources=sources_of(said.shows or said.about),
    )

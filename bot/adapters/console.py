"""The console room: a chat platform of one terminal, or of one pipe.

On a terminal it has a prompt with completion and a line of state below it, and what is said meanwhile (a digest)
appears above the prompt. In a pipe it reads lines, prints plain text and ends with its input. What is typed stays in
memory: no history file holds message texts.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rich.console import Console

from bot import pages
from bot.adapters.console_input import Order, React, Say, Undo, Wrong, read
from bot.models import (
    LOCAL,
    Actor,
    Capabilities,
    ChatEvent,
    Deletion,
    Edit,
    IncomingMessage,
    Place,
    ReactionAdded,
    ReactionRemoved,
    Reply,
    Role,
)
from bot.pages import BAD, FAINT, HEAD, Page, line, page
from bot.render import hint_line, typed
from bot.terminal import lay_out
from memory.errors import WeavebotError
from memory.models import Person
from memory.ports import Clock

PLATFORM: Final = "console"
HELP: Final = (
    line(),
    *typed(
        [
            ("+👍  +👎  +⭐", "react to the last answer; +1 -1 * do the same; any emoji may follow +"),
            ("+👍 3", "react to answer #3"),
            ("-👍", "take that reaction back; undo +1 too, undo alone takes the last one back"),
            ("pick 2", "source 2 is the one that answers; pick 2 of 3 for answer #3"),
            ("/edit TEXT", "change your last message; /delete takes it away"),
            ("/as NAME", "speak as somebody else; /say TEXT says what would be a command"),
            ("/quit", "leave; so do Ctrl-D and Ctrl-C"),
        ]
    ),
)
CAPABILITIES: Final = Capabilities(
    markdown=False,
    tells_votes=True,
    picking="`pick 2` says which",
    hint="`+👍` `+👎` `+⭐` teach the routing · `pick 2` when source 2 is the one · `{prefix} why` explains",
    help=HELP,
)


class Keyboard(Protocol):
    """Where lines come from."""

    async def read(self) -> str | None:
        """The next line; None when there are no more."""


@dataclass(slots=True)
class Seat:
    """Who sits at the console, where, and what the line below the prompt tells."""

    place: Place
    person: Person
    remembered: int = 0
    last_answer: int | None = None

    def actor(self) -> Actor:
        """The person as the room sees them: at one's own console one may do everything."""
        return Actor(self.person.external_id, self.person.name or self.person.external_id, Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the console asks of the rest: people by name, one's newest message, the number of messages."""

    somebody: Callable[[str], Awaitable[Person]]
    newest_message: Callable[[Person], Awaitable[str | None]]
    count: Callable[[], Awaitable[int]]


class ConsolePort:
    """One room, one person at a time."""

    platform = PLATFORM
    team = LOCAL
    capabilities = CAPABILITIES

    def __init__(self, seat: Seat, desk: Desk, keyboard: Keyboard, screen: Console, clock: Clock) -> None:
        self._seat = seat
        self._desk = desk
        self._keyboard = keyboard
        self._screen = screen
        self._clock = clock
        self._reacted: list[React] = []

    async def events(self) -> AsyncIterator[Sequence[ChatEvent]]:
        """What the person at the keyboard does, one thing a batch, until they leave or the input ends."""
        while True:
            self._seat.remembered = await self._desk.count()
            typed_line = await self._keyboard.read()
            if typed_line is None:
                return
            meant = read(typed_line)
            if meant == Order("quit"):
                return
            try:
                event = await self._event(meant)
            except WeavebotError as exc:
                self.show(page(line((BAD, pages.sentence(str(exc))))))
                continue
            if event is not None:
                yield (event,)

    async def send(self, reply: Reply, *, transaction: str) -> str:
        """Prints a reply."""
        del transaction  # a terminal repeats nothing
        self.show(reply.page)
        if reply.answer is None:
            return f"said-{secrets.token_hex(6)}"
        self._seat.last_answer = reply.answer
        return answer_event(reply.answer)

    async def mark(self, place: Place, event_id: str, emoji: str) -> bool:
        """Says it: a printed answer takes no mark."""
        del place
        number = event_id.removeprefix(answer_event(0)[:-1])
        self.show(page(hint_line(f"{emoji} #{number} is kept for the week's digest")))
        return True

    async def busy(self, place: Place, *, on: bool) -> None:
        """Whoever waits at a terminal sees that it works."""

    async def may_read(self, room: str, person: str) -> bool:
        """At one's own console one may read every room."""
        del room, person
        return True

    async def shown_in(self, place: Place, event_id: str) -> str | None:
        """The outbox knows every answer that was shown here."""
        del place, event_id
        return None

    async def health(self, room: str | None = None) -> Page:
        """A terminal has no account."""
        del room
        return page("The console needs no account and is not encrypted.")

    async def close(self) -> None:
        """There is nothing to leave."""

    def show(self, said: Page) -> None:
        """A page, set off from what people type; plain in a pipe."""
        if self._screen.is_terminal:
            self._screen.print(lay_out(self._screen, said, indent=2))
            self._screen.print()
        else:
            self._screen.file.write(pages.plain(said) + "\n")
            self._screen.file.flush()

    async def _event(self, meant: Say | React | Undo | Order | Wrong | None) -> ChatEvent | None:
        match meant:
            case Say(text=text):
                return self._message(text)
            case React():
                return self._reaction(meant)
            case Undo():
                return self._undo()
            case Wrong(words=words):
                self.show(page(hint_line(f"{words}; `/say` says it to the room")))
            case Order():
                return await self._order(meant)
        return None

    def _message(self, text: str) -> IncomingMessage:
        return IncomingMessage(self._seat.place, _event_id(), self._seat.actor(), text, self._clock.now())

    def _reaction(self, meant: React) -> ReactionAdded | ReactionRemoved | None:
        number = meant.number or self._seat.last_answer
        if number is None:
            self.show(page(hint_line("There is no answer to react to yet; ask with `!weave` and a question.")))
            return None
        target, actor, now = answer_event(number), self._seat.actor(), self._clock.now()
        undoing = React(meant.emoji, number, remove=True)
        if meant.remove:
            self._reacted = [one for one in self._reacted if one != undoing]
            return ReactionRemoved(self._seat.place, _event_id(), now, target=target, actor=actor, emoji=meant.emoji)
        self._reacted.append(undoing)
        return ReactionAdded(self._seat.place, _event_id(), target, actor, meant.emoji, now)

    def _undo(self) -> ReactionAdded | ReactionRemoved | None:
        if not self._reacted:
            self.show(page(hint_line("You have reacted to nothing yet; `-👍` takes an earlier one back.")))
            return None
        return self._reaction(self._reacted.pop())

    async def _order(self, order: Order) -> ChatEvent | None:
        match order.name:
            case "help":
                self.show((line((HEAD, "In this console")), *HELP[1:]))
            case "as":
                await self._change_seat(order.rest)
            case "say" if order.rest:
                return self._message(order.rest)
            case "edit" if not order.rest:
                self.show(page(hint_line("What should it say? `/edit TEXT`")))
            case "edit" | "delete":
                return await self._amend(order)
        return None

    async def _amend(self, order: Order) -> Edit | Deletion | None:
        now, seat = self._clock.now(), self._seat
        target = await self._desk.newest_message(seat.person)
        if target is None:
            self.show(page(line((FAINT, "You have written nothing here yet."))))
            return None
        if order.name == "delete":
            self.show(page(line((FAINT, "Your last message is gone, and so is what was derived from it."))))
            return Deletion(seat.place, _event_id(), target, now)
        self.show(page(line((FAINT, "Changed; the earlier text is gone."))))
        return Edit(seat.place, _event_id(), target, seat.actor(), order.rest, now)

    async def _change_seat(self, name: str) -> None:
        if not name:
            self.show(page(hint_line("Who do you want to be? `/as NAME`")))
            return
        self._seat.person = await self._desk.somebody(name)
        self._reacted.clear()
        self.show(page(line((FAINT, f"You are {self._seat.actor().name} now."))))


def answer_event(number: int) -> str:
    """What the console calls the message that shows an answer; the same after a restart."""
    return f"answer-{number}"


def _event_id() -> str:
    return f"console-{secrets.token_hex(8)}"

"""What follows a vote in the room: an answer with a star gets our mark, and who votes one down is asked why, once."""

from __future__ import annotations

from typing import Final

from bot.inbox import Kind
from bot.models import Capabilities, ReactionAdded
from bot.outbox import transaction_of
from bot.pages import Page, line
from bot.render import hint_line
from memory.models import Person
from routing.emoji import STAR, WRONG, normalise
from routing.models import Answer

MARK: Final = "📌"
"""What we put on an answer that somebody starred: it is in the week's digest."""


def follows(event: ReactionAdded) -> Kind | None:
    """What is to be done after a vote; nothing on a message that its author alone sees."""
    normal = normalise(event.emoji)
    if event.private:
        return None
    if normal == STAR:
        return Kind.STARRED
    return Kind.DISLIKED if normal in WRONG else None


def question_to(person: Person) -> str:
    """The transaction that notes that a person was asked after a vote down in a room: so they are asked once."""
    return transaction_of(f"disliked {person.id}", "prompt")


def question_about(answer_id: str) -> str:
    """The transaction of what is asked about an answer: once, however many vote it down."""
    return transaction_of(answer_id, "prompt")


def disliked_page(answer: Answer, prefix: str, able: Capabilities) -> Page:
    """What did they expect, and what they can do about it."""
    command = able.command.format(prefix=prefix)
    ways = [
        f"If another source is the one, {able.picking}." if answer.citations else "",
        f"If it is wrong or old, `{command} remember …` tells me how it is.",
        f"`{command} forget ID` erases what should not have been shown; `{command} why {answer.serial}` has the ids.",
    ]
    asked = line(f"Whoever just voted #{answer.serial} down: what did you expect?")  # names nobody: a press is private
    return (asked, hint_line(" ".join(way for way in ways if way)), hint_line("I ask each of you once."))

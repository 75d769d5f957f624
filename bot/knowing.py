"""What was derived about a person or a thing, each with the message that it comes from.

Only from rooms that whoever asks may read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot import dates
from bot.commands import Call, Said, statement
from bot.pages import FAINT, HEAD, Line, Page, line, one_line, page
from bot.preferences import Preferences
from bot.render import hint_line
from memory.errors import NotFound
from memory.models import Person, Room
from memory.reflection.book import Remembered
from memory.reflection.models import Aspect

WIDE: Final = 120  # characters of a memory
EACH: Final = 6  # memories of a section
WORDS: Final = 4  # of a name or a thing; more are a question
_ASKING: Final = frozenset(
    "how why what who whom whose when where which if whether that about any anyone do does".split()
)

SECTIONS: Final[tuple[tuple[str, frozenset[Aspect]], ...]] = (
    ("Facts", frozenset({Aspect.FACT, Aspect.RELATION})),
    ("Preferences", frozenset({Aspect.PREFERENCE})),
    ("Decisions", frozenset({Aspect.DECISION})),
    ("How-tos", frozenset({Aspect.HOWTO, Aspect.COMMAND})),
    ("Events", frozenset({Aspect.EVENT})),
)


def subject(text: str) -> str:
    """Parses a person or a thing: a few words that ask nothing."""
    words = statement(text).split()
    if len(words) > WORDS or words[0].lower() in _ASKING:
        raise ValueError(text)
    return " ".join(words)


async def known(call: Call, what: str) -> Said:
    """What is known about a person or a thing. Raises Ambiguous when a name fits several people."""
    rooms = [room for room in await call.app.directory.rooms(call.room.tenant) if await _may_read(call, room)]
    ids = [room.id for room in rooms]
    person = await _person(call, what)
    if person is not None:
        found = await call.app.memories.about_person(ids, person)
    else:
        found = await call.app.memories.about_thing(ids, what)
    elsewhere = any(one.room != call.room.id for one in found)
    if not found:
        name = person.name if person else what
        hint = hint_line(f"`{call.app.settings.prefix} {what}?` asks the messages themselves.")
        return Said((*page(f"I have derived nothing about {name} here."), hint), private=person is not None)
    wanted = await call.app.preferences.of(call.room)
    names = {room.id: room.name for room in rooms}
    shown = _page(found, wanted, names if elsewhere else {})
    private = person is not None or elsewhere or any(one.personal for one in found)
    return Said(shown, private=private)


async def _may_read(call: Call, room: Room) -> bool:
    return room.id == call.room.id or await call.port.may_read(room.external_id, call.actor.external_id)


async def _person(call: Call, what: str) -> Person | None:
    try:
        return await call.app.directory.find_person(call.room.tenant, what)
    except NotFound as exc:
        if type(exc) is not NotFound:
            raise  # it fits several people
        return None


def _page(found: Sequence[Remembered], wanted: Preferences, names: dict[int, str]) -> Page:
    lines: list[Line] = []
    for title, aspects in SECTIONS:
        some = [one for one in found if one.aspect in aspects]
        if some:
            more = f" · {len(some) - EACH} more" if len(some) > EACH else ""
            lines += [line((HEAD, title), (FAINT, more)), *(_line(one, wanted, names) for one in some[:EACH])]
    return tuple(lines)


def _line(one: Remembered, wanted: Preferences, names: dict[int, str]) -> Line:
    day = dates.day(one.sent_at, zone=wanted.zone, language=wanted.language)
    where = f", {names[one.room]}" if one.room in names else ""
    return line("  ", one_line(one.text, WIDE), (FAINT, f"  ({one.author_name}, {day}{where}, id {one.message_id})"))

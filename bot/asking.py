"""Operations: asking, and voting on answers; one at a time or from a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bot import shapes, teams
from bot.app import App
from bot.errors import explain
from bot.events import Event, closing, note, result, status
from bot.exits import FAILED
from bot.importing import first_reason, parse_object
from bot.lines import Lines
from bot.render import View, answer_page, vote_page
from bot.settling import catching_up
from memory.errors import BadInput, NotFound, WeavebotError
from memory.models import Person, Room, Scope
from routing.models import Answer

LONGEST_QUESTION = 4096
"""Characters. A question is a sentence or two; a page pasted by mistake would cost a minute of embedding."""
HINT = "`weavebot react {id} 👍 --as NAME` teaches the routing"

M = TypeVar("M", bound=BaseModel)


class AskLine(BaseModel):
    """One question of a batch; its id comes back with the answer."""

    model_config = ConfigDict(strict=True)

    id: str | int
    question: str
    room: str | None = None


class ReactLine(BaseModel):
    """One vote of a batch."""

    model_config = ConfigDict(strict=True)

    answer_id: str
    emoji: str
    person: str
    remove: bool = False


async def weave(
    app: App,
    room: Room,
    question: str,
    *,
    asker: Person | None = None,
    limit: int | None = None,
    tokens: int | None = None,
    route: str | None = None,
    seed: int | None = None,
    thread: str | None = None,
    event_id: str | None = None,
    places: Sequence[Room] = (),
) -> Answer:
    """The answer to a question asked in a room, from its memory, or from that of other ``places``.

    Raises BadInput for a question that is empty or a page long.
    """
    if not question.strip():
        raise BadInput("The question is empty; write what you want to know.")
    if len(question) > LONGEST_QUESTION:
        raise BadInput(f"The question is longer than {LONGEST_QUESTION:,} characters; ask in fewer words.")
    wanted = await app.preferences.of(room)
    return await app.shuttle.weave(
        question,
        Scope(room.tenant, tuple(one.id for one in places or (room,)), asker.id if asker else None),
        asked_in=room.id,
        asked_at=app.clock.now(),
        limit=limit or app.settings.limit,
        tokens=tokens or app.settings.tokens,
        route=route,
        seed=seed,
        thread=thread,
        event_id=event_id,
        zone=wanted.zone,
        solicit=wanted.prompts,
    )


async def room_named(app: App, name: str | None) -> Room:
    """The room of that name; without a name, the only one that there is. Raises NotFound, or BadInput naming them."""
    if name is not None:
        return await teams.find_room(app, name)
    rooms = await teams.rooms(app)
    if len(rooms) == 1:
        return rooms[0]
    if not rooms:
        raise NotFound("Nothing has been remembered yet; start with weavebot import FILE --room NAME.")
    raise BadInput(f"Say which room with --room: {', '.join(room.name for room in rooms)}.")


async def somebody(app: App, name: str, tenant: int | None = None) -> Person:
    """The person of that name or id in a team (the local one unless told), also one who only reads and votes.

    Raises Ambiguous, or BadInput for a blank.
    """
    team = app.tenant if tenant is None else tenant
    if not name.strip():
        raise BadInput("The name after --as is empty; write who you are.")
    try:
        return await app.directory.find_person(team, name)
    except NotFound as exc:
        if type(exc) is not NotFound:  # Ambiguous: asking again with an id helps, a new person would not
            raise
        return await app.directory.person(team, name, name)


async def ask(
    app: App,
    *,
    question: str,
    room: str | None = None,
    person: str | None = None,
    limit: int | None = None,
    tokens: int | None = None,
    route: str | None = None,
    seed: int | None = None,
) -> AsyncIterator[Event]:
    """One question, one answer."""
    where = await room_named(app, room)
    asker = await somebody(app, person, where.tenant) if person is not None else None
    async with closing(catching_up(app)) as events:
        async for event in events:
            yield event
    answer = await weave(app, where, question, asker=asker, limit=limit, tokens=tokens, route=route, seed=seed)
    wanted = await app.preferences.of(where)
    hint = HINT.format(id=answer.id)
    view = View(app.clock.now(), wanted.zone, app.settings.prefix, hint, wanted.language)
    yield result(shapes.answer_object(answer), answer_page(answer, view))


async def ask_batch(
    app: App,
    *,
    lines: Lines,
    room: str | None = None,
    person: str | None = None,
    limit: int | None = None,
    tokens: int | None = None,
    route: str | None = None,
    seed: int | None = None,
) -> AsyncIterator[Event]:
    """One answer for each line, in their order; a line that cannot be answered gives its id and the error."""
    failed = False
    async with closing(catching_up(app)) as events:
        async for event in events:
            yield event
    rooms: dict[str | None, Room] = {}
    async for number, one in _objects(lines, AskLine):
        if isinstance(one, str):
            failed = True
            yield note(f"line {number}: {one}")
            continue
        try:
            where = rooms[one.room] if one.room in rooms else await room_named(app, one.room or room)
            rooms[one.room] = where
            asker = await somebody(app, person, where.tenant) if person is not None else None
            answer = await weave(
                app, where, one.question, asker=asker, limit=limit, tokens=tokens, route=route, seed=seed
            )
        except WeavebotError as exc:
            failed = True
            yield result({"id": one.id, "error": _words(exc)})
        else:
            yield result({"id": one.id, **shapes.answer_object(answer)})
    if failed:
        yield status(FAILED)


async def react(app: App, *, answer_id: str, emoji: str, person: str, remove: bool = False) -> AsyncIterator[Event]:
    """A vote on an answer, or one taken back."""
    yield await _vote(app, ReactLine(answer_id=answer_id, emoji=emoji, person=person, remove=remove))


async def react_batch(app: App, *, lines: Lines) -> AsyncIterator[Event]:
    """One vote for each line, in their order."""
    failed = False
    async for number, one in _objects(lines, ReactLine):
        if isinstance(one, str):
            failed = True
            yield note(f"line {number}: {one}")
            continue
        try:
            yield await _vote(app, one)
        except WeavebotError as exc:
            failed = True
            yield result({"line": number, "answer_id": one.answer_id, "error": _words(exc)})
    if failed:
        yield status(FAILED)


async def _vote(app: App, vote: ReactLine) -> Event:
    tenant = await app.shuttle.tenant_of(vote.answer_id)
    person = await somebody(app, vote.person, tenant)
    told = await app.shuttle.vote(tenant, vote.answer_id, person, vote.emoji, remove=vote.remove, at=app.clock.now())
    return result(shapes.vote_object(told, person, removed=vote.remove), vote_page(told, removed=vote.remove))


async def _objects(lines: Lines, model: type[M]) -> AsyncIterator[tuple[int, M | str]]:
    """Line numbers with the object of each line, or the reason why there is none."""
    number = 0
    async for batch in lines:
        for raw in batch:
            number += 1
            try:
                value: dict[str, Any] | None = parse_object(raw)
                if value is not None:
                    yield number, model.model_validate(value)
            except BadInput as exc:
                yield number, str(exc)
            except ValidationError as exc:
                yield number, first_reason(exc)


def _words(error: WeavebotError) -> str:
    problem = explain(error)
    return problem.words if problem else str(error)

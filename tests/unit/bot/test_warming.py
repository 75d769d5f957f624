"""After a restart the questions that are asked most find their evidence at hand."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select

from bot.app import App
from bot.asking import weave
from bot.warming import QUESTIONS, warm_up
from memory.models import Room
from routing.evidence_cache import Counts
from routing.routes import CHAT, VECTOR
from routing.tables import answers, decisions
from tests.unit.bot.rooms import open_bot, told

OFTEN = "where is the key of the smokehouse?"
TALK = (("Ana", "the key of the smokehouse hangs behind the door"), ("Ben", "the queen is red"))


async def room_of(app: App) -> Room:
    return await app.directory.find_room(app.tenant, "hives")


async def kept(app: App) -> list[int]:
    async with app.database.read() as conn:
        counts = [select(func.count()).select_from(table) for table in (answers, decisions)]
        return [int((await conn.execute(one)).scalar_one()) for one in counts]


async def test_what_was_asked_most_is_at_hand_after_a_restart(tmp_path: Path, database_url: str | None) -> None:
    async with open_bot(tmp_path, database_url=database_url) as app:
        await told(app, *TALK)
        for question, times in ((OFTEN, 3), ("who is red?", 1)):
            for _ in range(times):
                await weave(app, await room_of(app), question, route=CHAT)
    async with open_bot(tmp_path, database_url=database_url) as app:
        before = await kept(app)
        assert await warm_up(app, [await room_of(app)]) == 2
        assert await kept(app) == before  # nothing was decided or answered
        assert app.evidence.counts == Counts()  # and nobody has asked
        await weave(app, await room_of(app), OFTEN, route=CHAT)
        assert app.evidence.counts == Counts(own=1)
        assert await kept(app) == [before[0] + 1, before[1] + 1]


async def test_the_most_asked_first_and_not_all_of_them(app: App) -> None:
    await told(app, *TALK)
    room = await room_of(app)
    for number in range(QUESTIONS + 2):
        for _ in range(number + 1):
            await weave(app, room, f"queen number {number}?", route=CHAT if number % 2 else VECTOR)
    often = await app.shuttle._book.often_asked(room.id, QUESTIONS)
    assert often == [(f"queen number {n}?", CHAT if n % 2 else VECTOR) for n in range(QUESTIONS + 1, 1, -1)]
    assert await warm_up(app, [room]) == QUESTIONS


async def test_what_somebody_took_back_is_not_asked_again(app: App) -> None:
    await told(app, *TALK)
    room = await room_of(app)
    ana = await app.directory.find_person(app.tenant, "Ana")
    await weave(app, room, OFTEN, asker=ana)
    await app.privacy.forget_person(ana)
    assert await app.shuttle._book.often_asked(room.id, QUESTIONS) == []


async def test_when_its_time_is_up_it_stops(app: App) -> None:
    await told(app, *TALK)
    await weave(app, await room_of(app), OFTEN)
    assert await warm_up(app, [await room_of(app)], seconds=0.0) == 0

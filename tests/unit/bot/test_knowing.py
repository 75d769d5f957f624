"""What people see of what was derived: know, reflect, stats, doctor; and where nothing may be derived about people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.app import App
from bot.beside import beside
from bot.working import parts_of
from memory.errors import BadInput
from memory.models import TRIES, Draft
from memory.tables import reflection_queue
from tests.doubles import START
from tests.unit.bot.rooms import Chat, clock_of, open_bot, result, results, run, shown, told

pytestmark = pytest.mark.embedded

SAID = (
    ("Ana", "The gate code is 4471"),
    ("Ben", "I prefer cold tea"),
    ("Ana", "We decided to buy the blue lids"),
    ("Cleo", "How do I open the grey cupboard?"),
    ("Ana", "Turn the key twice and lift the door"),
)


@pytest.fixture
async def derived(chat: Chat) -> Chat:
    """A room in which something was derived."""
    for number, (who, text) in enumerate(SAID, 1):
        await chat.say(who, text, event_id=f"e{number}")
    await chat.app.reflector.drain()
    return chat


@pytest.fixture
async def off(tmp_path: Path) -> AsyncIterator[App]:
    """A bot that derives nothing by itself."""
    async with open_bot(tmp_path, reflection="off") as app:
        yield app


class TestKnow:
    async def test_a_thing_comes_with_the_messages_it_comes_from(self, derived: Chat) -> None:
        said = await derived.say("Ben", "!weave know gate code")
        assert "Facts" in said
        assert "The gate code is 4471  (Ana, 2 Mar 2026, id e1)" in said

    async def test_decisions_and_howtos_are_found_by_their_words(self, derived: Chat) -> None:
        assert "Decisions\n  We decided to buy the blue lids" in await derived.say("Ben", "!weave know lids")
        said = await derived.say("Ben", "!weave know grey cupboard")
        assert "How-tos\n  How do I open the grey cupboard? Turn the key twice" in said

    async def test_a_person_is_told_of_in_private(self, derived: Chat) -> None:
        said = await derived.say("Cleo", "!weave know Ben")
        assert "Preferences\n  I prefer cold tea  (Ben" in said
        assert "gate" not in said
        assert derived.platform.sent[-1].private

    @pytest.mark.parametrize(
        ("who", "text", "thing", "private"),
        [
            ("Ana", "Ben has the grey key", "grey key", True),
            ("Ana", "I moved the grey key yesterday", "grey key", True),
            ("Ana", "My dad is a glazier", "glazier", True),
            ("Ana", "We decided to fire Marta", "fire marta", True),
            ("Ana", "The treasurer has the grey lamp", "grey lamp", True),
            ("Ana", "Hive 4 is awfy light", "hive 4", False),
            ("Ana", "The shed key hangs behind the butt", "shed key", False),
        ],
    )
    async def test_what_is_told_of_somebody_is_private_also_when_a_thing_was_asked_for(
        self, derived: Chat, who: str, text: str, thing: str, *, private: bool
    ) -> None:
        await derived.say(who, text, event_id="e9")
        await derived.app.reflector.drain()
        said = await derived.say("Cleo", f"!weave know {thing}")
        assert "id e9" in said
        assert derived.platform.sent[-1].private is private

    async def test_nothing_known_is_said(self, derived: Chat) -> None:
        assert "I have derived nothing about anvils here." in await derived.say("Ben", "!weave know anvils")

    async def test_only_rooms_that_the_asker_may_read_are_told_of(self, derived: Chat) -> None:
        app = derived.app
        other = await app.directory.room(app.tenant, "!cellar", "cellar")
        await app.journal.admit(other, [Draft("c1", "dora", "Dora", "The wine fridge is empty", START)])
        await app.engine.settle()
        await app.reflector.drain()
        assert "derived nothing" in await derived.say("Ben", "!weave know wine fridge")
        derived.platform.members["!cellar"] = {"@ben:test", "ben", "Ben"}
        assert "The wine fridge is empty  (Dora, 2 Mar 2026, cellar, id c1)" in await derived.say(
            "Ben", "!weave know wine fridge"
        )
        assert derived.platform.sent[-1].private

    async def test_a_sentence_is_a_question(self, derived: Chat) -> None:
        assert "#1" in await derived.say("Ben", "!weave know why the gate is shut")


class TestWhereProfilesAreForbidden:
    async def test_a_discord_team_has_facts_and_decisions_and_nothing_about_people(self, app: App) -> None:
        team = await app.directory.tenant("discord", "1", "guild")
        room = await app.directory.room(team, "c1", "general")
        said = (*SAID, ("Ben", "I moved hive 6 yesterday"), ("Ana", "My dog is called Biscuit"))
        await app.journal.admit(room, [Draft(f"e{i}", w.lower(), w, text, START) for i, (w, text) in enumerate(said)])
        await app.engine.settle()
        await app.reflector.drain()
        kinds = {(one.aspect.value, one.text) for one in await app.memories.all([room.id])}
        assert ("fact", "The gate code is 4471") in kinds
        assert ("decision", "We decided to buy the blue lids") in kinds
        assert not any(word in text for _, text in kinds for word in ("tea", "hive 6", "dog"))
        ben = await app.directory.find_person(team, "ben")
        assert await app.memories.about_person([room.id], ben) == []


class TestReflect:
    async def test_an_import_ends_with_its_memories(self, app: App) -> None:
        await told(app, *SAID)
        stats = await result(app, "stats")
        assert stats["memories_by_kind"] == {"procedural": 2, "semantic": 2}
        assert stats["memories"] == 4
        assert stats["reflection"] == {"waiting": 0, "failed": 0, "oldest_seconds": None}

    async def test_off_nothing_is_derived_until_it_is_asked_for(self, off: App) -> None:
        await told(off, *SAID)
        clock_of(off).advance(timedelta(minutes=11))
        stats = await result(off, "stats")
        assert stats["reflection"] == {"waiting": len(SAID), "failed": 0, "oldest_seconds": 660}
        assert f"{len(SAID)} wait to be reflected on, the oldest for 660 s" in shown(await run(off, "stats"))
        assert (await result(off, "job", name="reflection"))["done"] == "reflection is off"
        assert (await result(off, "reflect"))["memories"] == {"procedural": 2, "semantic": 2}

    async def test_again_reads_the_history_and_shows_how_far_it_is(self, app: App) -> None:
        await told(app, *SAID)
        events = await run(app, "reflect", room="hives", again=True)
        assert any(event.get("progress", {}).get("stage") == "reflecting" for event in events)
        assert events[-1]["result"] == {"memories": {"procedural": 2, "semantic": 2}, "tried_again": 0, "failed": 0}

    async def test_the_job_does_what_waits(self, app: App) -> None:
        await told(app, *SAID)
        clock_of(app).advance(timedelta(days=1))
        await app.sessions.clean_up()
        assert (await result(app, "job", name="reflection"))["done"] == "1 messages and sessions reflected on"

    async def test_the_job_leaves_it_to_a_worker_in_the_same_process(self, app: App) -> None:
        await told(app, *SAID)
        async with beside(app.reflector.run()):
            await asyncio.sleep(0)
            done = (await result(app, "job", name="reflection"))["done"]
        assert done == "the worker beside this reflects on what waits"
        assert not app.reflector.is_running


class TestDoctor:
    async def found(self, app: App) -> tuple[str, str | None]:
        [one] = [one for one in await results(app, "doctor") if one["check"] == "reflection"]
        return one["found"], one["fix"]

    async def test_all_is_well(self, app: App) -> None:
        await told(app, *SAID)
        assert await self.found(app) == ("up to date", None)

    async def test_what_lags_names_the_command(self, app: App) -> None:
        await told(app, *SAID)
        room = await app.directory.find_room(app.tenant, "hives")
        await app.reflector.afresh([room.id])
        clock_of(app).advance(timedelta(minutes=11))
        assert await self.found(app) == (
            "lags: 5 messages and sessions wait, the oldest for 0:11:00",
            "weavebot reflect",
        )

    async def test_what_failed_names_the_command(self, app: App) -> None:
        await told(app, *SAID)
        room = await app.directory.find_room(app.tenant, "hives")
        await app.reflector.afresh([room.id])
        async with app.database.write() as conn:
            await conn.execute(update(reflection_queue).values(attempts=TRIES))
        assert await self.found(app) == ("5 failed, 0 messages and sessions wait", "weavebot reflect")


class TestParts:
    def test_a_comma_list_names_them(self) -> None:
        assert parts_of(None) == ("adapters", "jobs", "worker")
        assert parts_of("worker") == ("worker",)
        assert parts_of(" worker, jobs") == ("jobs", "worker")

    @pytest.mark.parametrize("words", ["", "api", "worker,api"])
    def test_what_there_is_not_is_refused_with_what_there_is(self, words: str) -> None:
        with pytest.raises(BadInput, match="adapters, jobs, worker"):
            parts_of(words)

"""The whole bot on a real Redis: after a restart, beside another process, forgetting, and while it is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
import zstandard
from sqlalchemy import text

from bot.app import App
from memory.models import Room, Scope
from memory.pseudonyms import pseudonyms_of
from routing.models import Answer
from tests.doubles import START
from tests.services.databases import empty_database
from tests.services.redis import PATIENT, open_link, redis_address, scan
from tests.services.servers import Server, address
from tests.unit.bot.rooms import Chat, batch, clock_of, history, open_bot, results, run

pytestmark = pytest.mark.services

TALK = (
    ("Ana", "Søren will mend the extractor on Sunday"),
    ("Ben", "the key of the smokehouse hangs behind the door"),
    ("Cleo", "Ana wants the smokehouse cleaned before Easter"),
)
QUESTION = "Who has the key of the smokehouse?"
AGAIN = timedelta(seconds=20)
"""Longer than a store rests."""
FIRST = 918_273_645
"""Serials begin here, so that one of them stands nowhere by chance."""


@asynccontextmanager
async def open_on_redis(folder: Path, *, answering: float = PATIENT, **given: Any) -> AsyncIterator[App]:
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with open_bot(folder, redis_url=address("REDIS_URL"), redis_timeout=answering, **given) as app:
        yield app


@pytest.fixture
async def redis() -> AsyncIterator[Server]:
    """The server; it runs again after the test, whatever the test did to it."""
    found = Server("redis", alone=True)
    yield found
    await found.recover()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_on_redis(tmp_path) as opened:
        yield opened


async def told(app: App) -> None:
    """A room that has heard the talk."""
    async with app.database.write() as conn:
        if conn.dialect.name == "sqlite":
            await conn.execute(
                text("INSERT INTO sqlite_sequence (name, seq) VALUES ('messages', :first)"), {"first": FIRST}
            )
    await run(app, "import", batch(*history(*TALK)))


async def room_of(app: App) -> Room:
    return await app.directory.find_room(app.tenant, "hives")


async def ask(app: App, question: str = QUESTION) -> Answer:
    scope = Scope(app.tenant, ((await room_of(app)).id,))
    answer = await app.shuttle.weave(question, scope, asked_at=START, route="chat", seed=1)
    await app.evidence.written()
    return answer


async def everything(app: App) -> dict[str, bytes]:
    """What this installation has on the server, by key; findings unpacked."""
    names = await pseudonyms_of(app.database, app.clock)
    async with open_link(redis_address()) as link:
        found = await scan(link, names.installation)
    return {key: opened(value) if ":value:" in key else value for key, value in found.items()}


def opened(value: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(value[18:])


async def finding(app: App) -> dict[str, object]:
    [found] = [one for one in await results(app, "doctor") if one["check"] == "cache"]
    return found


class TestSharing:
    async def test_after_a_restart_what_was_found_is_at_hand(self, tmp_path: Path) -> None:
        async with open_on_redis(tmp_path) as app:
            await told(app)
            first = await ask(app)
        async with open_on_redis(tmp_path) as app:
            again = await ask(app)
            assert (app.evidence.counts.shared, app.evidence.counts.missed) == (1, 0)
            assert (again.text, again.context, again.reasons) == (first.text, first.context, first.reasons)
            assert again.id != first.id
            [numbers] = await results(app, "stats")
            assert numbers["cache"] == {"own": 0, "shared": 1, "missed": 0, "rate": 1.0, "server": "well"}
            assert numbers["answers"] == 2

    async def test_beside_another_process(self, tmp_path: Path) -> None:
        async with empty_database() as url:
            there: dict[str, Any] = {"database_url": url}
            async with open_on_redis(tmp_path / "a", **there) as one, open_on_redis(tmp_path / "b", **there) as two:
                await told(one)
                await ask(one)
                answer = await ask(two)
                assert two.evidence.counts.shared == 1
                assert answer.citations[0].message_id == "h2"
                await two.journal.delete(await room_of(two), "h2", START)
                left = await everything(one)
                assert not [key for key in left if ":value:" in key]
                assert "h2" not in [citation.message_id for citation in (await ask(one)).citations]

    async def test_a_limit_of_questions_counts_in_all_processes(self, tmp_path: Path) -> None:
        async with empty_database() as url:
            there: dict[str, Any] = {"database_url": url, "ask_limit": 2}
            async with open_on_redis(tmp_path / "a", **there) as one, open_on_redis(tmp_path / "b", **there) as two:
                one_room, two_room = Chat(one), Chat(two)
                await one_room.say("Ana", "the queen is red")
                for number, chat in enumerate((one_room, two_room)):
                    assert "queen" in await chat.say("Ben", "!weave queen?", event_id=f"q{number}")
                said = await two_room.say("Ben", "!weave queen?", event_id="q3")
                assert said == "2 questions a minute is as much as I answer one person: ask again in a minute."
                assert "queen" in await two_room.say("Cleo", "!weave queen?", event_id="q4")


class TestForgetting:
    async def test_no_word_no_name_and_after_it_no_number_of_a_message(self, app: App) -> None:
        await told(app)
        answer = await ask(app)
        serial = str(answer.citations[0].hit.serial).encode()
        before = await everything(app)
        assert any(serial in value for value in before.values())
        whole = b" ".join(key.encode() + value for key, value in before.items()).lower()
        for word in ("smokehouse", "behind", "extractor", "easter", "ana", "ben", "cleo", "søren"):
            assert word.encode() not in whole.replace(b"meaning", b"").replace(b"answer", b""), word
        await app.journal.delete(await room_of(app), "h2", START)
        after = await everything(app)
        assert not any(serial in key.encode() + value for key, value in after.items())

    async def test_a_person(self, app: App) -> None:
        await told(app)
        serial = str((await ask(app)).citations[0].hit.serial).encode()
        await app.privacy.forget_person(await app.directory.find_person(app.tenant, "Ben"))
        after = await everything(app)
        assert not any(serial in value for value in after.values())

    @pytest.mark.alone("redis")
    async def test_while_the_server_is_away_it_follows(self, app: App, redis: Server) -> None:
        await told(app)
        serial = str((await ask(app)).citations[0].hit.serial).encode()
        await redis.stop()
        await app.journal.delete(await room_of(app), "h2", START)
        await redis.start()  # with all that it held
        assert any(serial in value for value in (await everything(app)).values())
        assert "h2" not in [citation.message_id for citation in (await ask(app)).citations]  # nothing of it is used
        clock_of(app).advance(AGAIN)
        assert await app.evidence.settle()
        assert not any(serial in value for value in (await everything(app)).values())


@pytest.mark.alone("redis")
class TestAway:
    async def test_a_server_that_is_stopped_costs_nothing_and_is_used_again(self, app: App, redis: Server) -> None:
        await told(app)
        await ask(app)
        with structlog.testing.capture_logs() as logged:
            await redis.stop()
            for number in range(5):
                assert (await ask(app, f"{QUESTION} {number}")).citations[0].message_id == "h2"
            [numbers] = await results(app, "stats")
            assert numbers["cache"]["server"] == "away"
            found = await finding(app)
            assert found["ok"] is False
            assert "rests for some seconds" in str(found["fix"])
            await redis.start()
            clock_of(app).advance(AGAIN)
            await ask(app, "Who will mend the extractor?")
        assert [line["event"] for line in logged if line["event"].startswith("redis.")] == ["redis.down", "redis.back"]
        assert (await finding(app))["ok"] is True
        assert any(":value:" in key for key in await everything(app))

    async def test_a_frozen_one_is_waited_for_once_and_not_for_long(self, tmp_path: Path, redis: Server) -> None:
        async with open_on_redis(tmp_path, answering=0.5) as app:
            await told(app)
            await ask(app)
            await redis.pause()
            began = time.perf_counter()
            for number in range(20):
                await ask(app, f"{QUESTION} {number}")
            away = time.perf_counter() - began
            await redis.resume()
            clock_of(app).advance(AGAIN)
            began = time.perf_counter()
            for number in range(20, 40):
                await ask(app, f"{QUESTION} {number}")
            assert away < 3 * (time.perf_counter() - began) + 4.0  # 20 waits would take 10 s
            assert app.cache is not None
            assert not app.cache.resting

    async def test_the_limit_of_questions_holds_without_it(self, tmp_path: Path, redis: Server) -> None:
        async with open_on_redis(tmp_path, ask_limit=2) as app:
            chat = Chat(app)
            await chat.say("Ana", "the queen is red")
            await chat.say("Ben", "!weave queen?")
            await redis.stop()
            assert "queen" in await chat.say("Ben", "!weave queen?")
            assert "2 questions a minute" in await chat.say("Ben", "!weave queen?")


@pytest.mark.alone("redis")
class TestDoctor:
    async def test_it_says_what_there_is(self, app: App) -> None:
        found = await finding(app)
        assert found["ok"] is True
        assert str(found["found"]).startswith("Redis 7.")

    async def test_a_policy_that_loses_what_finds_values_is_wrong(self, app: App) -> None:
        async with open_link(redis_address()) as link:

            async def choose(policy: str, most: str) -> None:
                await link.run(lambda redis: redis.config_set("maxmemory-policy", policy))
                await link.run(lambda redis: redis.config_set("maxmemory", most))

            try:
                await choose("allkeys-lru", "100mb")
                found = await finding(app)
                assert found["fix"] == "redis-cli CONFIG SET maxmemory-policy volatile-ttl"
                await choose("volatile-ttl", "100mb")
                assert (await finding(app))["ok"] is True
            finally:
                await choose("noeviction", "0")

    async def test_a_wrong_password_names_the_setting_and_not_the_password(self, tmp_path: Path) -> None:
        url = address("REDIS_URL").replace("redis://:", "redis://:wrong-word")
        async with open_bot(tmp_path, redis_url=url) as app:
            found = await finding(app)
            assert found["ok"] is False
            assert "WEAVEBOT_REDIS_URL" in str(found["fix"])
            assert "wrong-word" not in str(found)

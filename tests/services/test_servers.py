"""Each real server answers, in its own protocol."""

from __future__ import annotations

import asyncio
import fcntl
import json
from pathlib import Path

import asyncpg
import pytest
from neo4j import AsyncGraphDatabase
from redis.asyncio import Redis

from deploy.local_services import probes
from deploy.local_services.recipes import PREFIX
from deploy.local_services.services import Services
from tests.services.matrix import Refused, said_by
from tests.services.servers import Server, address, alone_with
from tests.services.synapse import ROOM_VERSIONS, Homeserver

pytestmark = pytest.mark.services


class TestServers:
    async def test_postgres_is_15_or_newer(self) -> None:
        connection = await asyncpg.connect(address("POSTGRES_URL").replace("+asyncpg", ""))
        try:
            assert connection.get_server_version().major >= 15
            assert str(await connection.fetchval("SELECT version()")).startswith("PostgreSQL")
        finally:
            await connection.close()

    async def test_redis_is_7_or_newer(self) -> None:
        async with Redis.from_url(address("REDIS_URL")) as redis:
            assert int((await redis.info("server"))["redis_version"].split(".")[0]) >= 7

    async def test_rabbitmq_opens_a_conversation(self) -> None:
        port = int(address("RABBITMQ_URL").rpartition(":")[2].rstrip("/"))
        assert await asyncio.to_thread(probes.amqp, port)

    async def test_neo4j_is_5_26(self) -> None:
        url = address("NEO4J_URL")
        user, password = url.removeprefix("bolt://").partition("@")[0].split(":")
        async with AsyncGraphDatabase.driver(f"bolt://{url.partition('@')[2]}", auth=(user, password)) as driver:
            found = await driver.execute_query("CALL dbms.components() YIELD versions RETURN versions[0] AS version")
            assert found.records[0]["version"].startswith("5.26.")

    async def test_the_peer_for_encrypted_rooms_is_installed(self) -> None:
        package = Path(address("NODE_PEER")) / "node_modules" / "matrix-js-sdk" / "package.json"
        assert json.loads(package.read_text())["version"] == "37.5.0"


async def redis_of(url: str) -> int:
    """Its process; it has two seconds to say so."""
    async with asyncio.timeout(2), Redis.from_url(url) as redis:
        return int((await redis.info("server"))["process_id"])


class TestAlone:
    @pytest.mark.alone("redis")
    async def test_a_test_disturbs_a_server_that_the_others_do_not_use(self) -> None:
        theirs = Services(Path(address("SERVICES"))).addresses()[f"{PREFIX}REDIS_URL"]
        before, mine = await redis_of(theirs), Server("redis", alone=True)
        assert await redis_of(address("REDIS_URL")) != before
        await mine.pause()
        try:
            with pytest.raises(TimeoutError):
                await redis_of(address("REDIS_URL"))
            assert await redis_of(theirs) == before
        finally:
            await mine.recover()
        await mine.kill()
        await mine.recover()
        assert await redis_of(theirs) == before

    async def test_one_that_is_not_alone_may_not(self) -> None:
        with pytest.raises(AssertionError, match=r"mark this test alone\('redis'\)"):
            await Server("redis").pause()
        assert await redis_of(address("REDIS_URL"))

    async def test_those_who_want_the_same_server_take_turns(self) -> None:
        theirs = address("REDIS_URL")

        def free() -> bool:
            with lock.open("w") as turn:
                try:
                    fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
            return True

        lock = Services(Path(address("SERVICES"))).second("redis").folder / "turn.lock"
        with alone_with(["redis"]):
            assert not free()
            assert address("REDIS_URL") != theirs
        assert address("REDIS_URL") == theirs


class TestSynapse:
    async def test_speaks_the_protocol_of_room_version_12(self, homeserver: Homeserver) -> None:
        assert "v1.12" in await homeserver.versions()

    @pytest.mark.parametrize("version", ROOM_VERSIONS)
    async def test_what_one_says_the_other_hears(self, homeserver: Homeserver, version: str) -> None:
        ana, ben = await homeserver.person("Ana"), await homeserver.person("Ben")
        room = await ana.create_room(version, invite=(ben.user_id,))
        await ben.join(room)
        said = await ana.say(room, "the gate code is 4471")
        event = await ben.hears(room, said_by(ana.user_id, "4471"))
        assert event["event_id"] == said
        assert (await ana.state(room, "m.room.create"))["room_version"] == version

    async def test_edits_reactions_and_redactions_go_round(self, homeserver: Homeserver) -> None:
        ana, ben = await homeserver.person("Ana"), await homeserver.person("Ben")
        room = await ana.create_room(invite=(ben.user_id,))
        await ben.join(room)
        said = await ana.say(room, "at nine")
        await ana.edit(room, said, "at ten")
        mark = await ben.react(room, said, "👍")
        assert [e["content"]["m.relates_to"]["key"] for e in await ana.related(room, said, "m.annotation")] == ["👍"]
        edited = await ben.hears(room, said_by(ana.user_id, "* at ten"))
        assert edited["content"]["m.new_content"]["body"] == "at ten"
        await ben.redact(room, mark)
        await ana.redact(room, said)
        assert await ana.related(room, said, "m.annotation") == []
        assert (await ben.event(room, said))["content"] == {}

    async def test_files_go_up_and_come_down(self, homeserver: Homeserver) -> None:
        ana, ben = await homeserver.person("Ana"), await homeserver.person("Ben")
        assert await ben.download(await ana.upload(b"twelve hives")) == b"twelve hives"

    @pytest.mark.alone("synapse")
    async def test_comes_back_with_what_it_knew(self, homeserver: Homeserver) -> None:
        ana = await homeserver.person("Ana")
        room = await ana.create_room()
        said = await ana.say(room, "still here")
        await homeserver.restart()
        assert (await ana.event(room, said))["content"]["body"] == "still here"

    async def test_has_no_limits_that_a_test_would_meet(self, homeserver: Homeserver) -> None:
        ana = await homeserver.person("Ana")
        room = await ana.create_room()
        assert len({await ana.say(room, f"message {i}") for i in range(40)}) == 40

    async def test_has_its_own_limits_where_that_is_asked_for(self, limited_homeserver: Homeserver) -> None:
        ana = await limited_homeserver.person("Ana")
        room = await ana.create_room()
        with pytest.raises(Refused) as caught:
            await asyncio.gather(*(ana.say(room, f"message {i}") for i in range(40)))
        assert caught.value.status == 429
        assert caught.value.errcode == "M_LIMIT_EXCEEDED"
        assert caught.value.retry_after_ms

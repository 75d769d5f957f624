"""What must hold whatever breaks: the rows of docs/reliability.md that need real servers."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import traceback
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from bot.app import App
from memory.errors import Unavailable
from memory.indexing import Indexer
from tests.doubles import START
from tests.parts import draft
from tests.services.databases import empty_database
from tests.services.faults import FROZEN, FULL, MESSAGES, Fault, House, house, line, lines
from tests.services.servers import Server
from tests.unit.bot.rooms import batch, clock_of, open_bot, run

pytestmark = [pytest.mark.services, pytest.mark.timeout(1_800 if FULL else 300)]

ALL = range(MESSAGES)
KILLED = -signal.SIGKILL


@pytest.fixture
async def servers() -> AsyncIterator[dict[str, Server]]:
    """PostgreSQL and Neo4j; they run again after the test, whatever it did to them."""
    found = {name: Server(name, alone=True) for name in ("postgres", "neo4j")}
    yield found
    for one in found.values():
        await one.recover()


@pytest.mark.alone("neo4j", "postgres")
class TestAServer:
    @pytest.mark.parametrize(
        ("name", "how"),
        [
            ("postgres", "killed"),
            ("postgres", "frozen"),
            ("neo4j", "frozen"),
            ("neo4j", "killed"),
            *([("postgres", "restarted"), ("neo4j", "restarted")] if FULL else []),
        ],
    )
    async def test_that_fails_during_an_import_costs_nothing_that_was_said(
        self, tmp_path: Path, servers: dict[str, Server], name: str, how: str
    ) -> None:
        server = servers[name]

        async def killed(_: House) -> None:
            await server.kill()
            await server.start()

        async def frozen(_: House) -> None:
            await server.pause()
            await asyncio.sleep(FROZEN)
            await server.resume()

        async def restarted(_: House) -> None:
            await server.restart()

        faults: dict[str, Fault] = {"killed": killed, "frozen": frozen, "restarted": restarted}
        async with house(tmp_path) as home:
            counts = await home.import_under(faults[how], ALL)
            assert counts["imported"] + counts["already_known"] == MESSAGES
            await home.check(ALL)
            home.tell(f"{name} {how}")


class TestALine:
    @pytest.mark.parametrize("which", ["sql", "graph"])
    async def test_that_is_slow_then_dropped_then_cut_in_the_middle_of_replies_costs_nothing(
        self, tmp_path: Path, which: str
    ) -> None:
        async def spoil(home: House) -> None:
            bad = home.sql if which == "sql" else home.graph
            bad.latency = 0.02
            await asyncio.sleep(0.5)
            bad.latency = 0.0
            for _ in range(4):
                bad.drop()
                await asyncio.sleep(0.1)
            bad.cut_after = 3_000
            bad.drop()
            await asyncio.sleep(1.0)
            bad.cut_after = None

        async with house(tmp_path) as home:
            counts = await home.import_under(spoil, ALL)
            assert counts["imported"] + counts["already_known"] == MESSAGES
            await home.check(ALL)
            home.tell(f"line to {'PostgreSQL' if which == 'sql' else 'Neo4j'} slow, dropped, cut")


def die_importing(folder: Path, url: str, kill_at: int) -> int:
    """Imports in a process of its own, which kills itself at its n-th commit; gives how it ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            seen = 0

            def count(*_: object) -> None:
                nonlocal seen
                seen += 1
                if seen == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

            async def work() -> None:
                async with open_bot(folder, database_url=url) as app:
                    event.listen(Engine, "commit", count)
                    await run(app, "import", lines(ALL))

            asyncio.run(work())
            status = 0
        except BaseException:  # noqa: BLE001 - the process ends here, and says why
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


class TestAProcess:
    async def test_that_is_killed_between_steps_is_made_up_for_by_another(self, tmp_path: Path) -> None:
        async with house(tmp_path) as home:
            url = home.app.settings.database_url
            assert url is not None
            for number, kill_at in enumerate((2, 4, 7, 9)):
                other = tmp_path / f"killed{number}"
                other.mkdir()
                for _ in range(3):  # one that meets the locks of the dead before it may end with a sentence instead
                    ended = await asyncio.to_thread(die_importing, other, url.get_secret_value(), kill_at)
                    if ended == KILLED:
                        break
                assert ended == KILLED, kill_at
            clock_of(home.app).advance(timedelta(minutes=6))  # what the dead have claimed is free again
            counts = await home.import_under(nothing, ALL)
            assert counts["already_known"] > 0
            await home.check(ALL)
            home.tell("worker killed between steps")


class TestDeliveries:
    async def test_doubled_in_another_order_and_after_their_deletion_they_are_taken_once_or_not_at_all(
        self, tmp_path: Path
    ) -> None:
        mixed = [*ALL, *ALL, *ALL]
        random.Random(5).shuffle(mixed)  # noqa: S311 - an order, the same in each run
        async with house(tmp_path) as home:
            await home.app.journal.delete(await home.room(), "f3", START)
            counts = await home.import_under(nothing, mixed)
            assert counts["imported"] == MESSAGES - 1
            assert counts["already_known"] == 2 * (MESSAGES - 1)
            assert counts["kept_out"] == 3
            await home.check([number for number in ALL if number != 3])
            home.tell("deliveries three times, shuffled, one after its deletion")


async def nothing(_: House) -> None:
    """Nothing breaks."""


class TestClocks:
    async def test_one_that_jumps_forward_and_back_during_an_import_loses_and_doubles_nothing(
        self, tmp_path: Path
    ) -> None:
        async def leap(home: House) -> None:
            clock_of(home.app).advance(timedelta(days=400))
            await home.ask(1_000)
            clock_of(home.app).advance(timedelta(days=-800))
            await home.ask(1_001)

        async with house(tmp_path) as home:
            await home.import_under(leap, ALL)
            await home.check(ALL)
            home.tell("clock 400 days forward, then 800 back")

    async def test_two_workers_that_hold_the_same_message_keep_it_once(self, tmp_path: Path) -> None:
        """A clock that jumps makes a claim run out while its owner is still at it."""
        async with empty_database() as url:
            (tmp_path / "a").mkdir()
            (tmp_path / "b").mkdir()
            async with (
                open_bot(tmp_path / "a", database_url=url) as one,
                open_bot(tmp_path / "b", database_url=url) as two,
            ):
                room = await one.directory.room(one.tenant, "hives", "hives")
                said = [draft(f"e{number}", "Ana", line(number)["text"]) for number in range(30)]
                await one.journal.admit(room, said)
                clock_of(two).advance(timedelta(hours=1))

                async def drain(app: App) -> int:
                    indexer: Indexer = app.indexer
                    return await indexer.drain()

                claimed = (await one.indexer._claim(0)).tasks
                assert len(claimed) == 30
                await asyncio.gather(drain(two), one.indexer._store(await one.indexer._derive(claimed)))
                async with one.database.read() as conn:
                    held = {
                        name: int((await conn.execute(text(f"SELECT count(*) FROM {name}"))).scalar_one())  # noqa: S608 - names of ours
                        for name in ("messages", "embeddings", "index_outbox")
                    }
                    doubled = "SELECT count(*) FROM mentions GROUP BY message_serial, entity_id HAVING count(*) > 1"
                    assert (await conn.execute(text(doubled))).all() == []
                assert held == {"messages": 30, "embeddings": 30, "index_outbox": 0}


class TestAFullDisk:
    async def test_an_import_ends_with_a_sentence_and_again_brings_everything_once(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path) as app:
            await run(app, "import", batch())
            engine = app.database._engine.sync_engine  # type: ignore[attr-defined]  # of SqlDatabase
            limit = 0

            def small(connection: object, _record: object) -> None:
                cursor = connection.cursor()  # type: ignore[attr-defined]  # the driver's
                cursor.execute(f"PRAGMA max_page_count={limit}")
                cursor.close()

            async with app.database.read() as conn:
                limit = int((await conn.execute(text("PRAGMA page_count"))).scalar_one()) + 40
            event.listen(engine, "connect", small)
            await app.database._engine.dispose()  # type: ignore[attr-defined]  # the next connection is a small one
            with pytest.raises(Unavailable, match="the disk is full: free some space"):
                await run(app, "import", lines(range(500)))
            limit = 1 << 20
            await app.database._engine.dispose()  # type: ignore[attr-defined]  # as above
            counts = (await run(app, "import", lines(range(500))))[-1]["result"]
            assert counts["imported"] + counts["already_known"] == 500
            async with app.database.read() as conn:
                assert (await conn.execute(text("SELECT count(*) FROM messages"))).scalar_one() == 500
                assert (await conn.execute(text("SELECT count(*) FROM index_outbox"))).scalar_one() == 0

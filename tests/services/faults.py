"""One house for every fault: a bot on PostgreSQL and Neo4j that imports while it is asked, and what must hold after.

``MESSAGES`` is how much it imports: 500, or what ``WEAVEBOT_TEST_FAULT_MESSAGES`` says (``make faults``: 10,000).
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from sqlalchemy import make_url, select, text

from bot.app import App
from bot.drift import drifts
from bot.lines import Lines
from memory.adapters.neo4j_link import Neo4jLink
from memory.breaker import Breaker
from memory.embedding import content_hash
from memory.errors import Unavailable, WeavebotError
from memory.models import Room, Scope
from memory.pseudonyms import pseudonyms_of
from memory.tables import embeddings, index_outbox, messages
from tests.doubles import START
from tests.e2e.eventually import eventually
from tests.services.databases import empty_database
from tests.services.neo4j import neo4j_address
from tests.services.proxy import Proxy, proxy
from tests.unit.bot.rooms import clock_of, open_bot, run

MESSAGES: Final = int(os.environ.get("WEAVEBOT_TEST_FAULT_MESSAGES", "500"))
FULL: Final = MESSAGES > 500
FIGURES: Final = os.environ.get("WEAVEBOT_TEST_FAULT_FIGURES")
"""A file that a line is added to for each fault."""
FROZEN: Final = 30.0 if FULL else 3.0
"""Seconds for which a server is stopped (SIGSTOP)."""
PATIENCE: Final = 5.0 if FULL else 2.0
"""Seconds that PostgreSQL may take for a statement."""
ROOM: Final = "hives"
BATCH: Final = 100
PAUSE: Final = 0.3
"""Seconds between two questions."""
WRITERS: Final = ("Quillon Marsh", "Ottoline Vane", "Percival Dray", "Sunniva Holt", "Thaddeus Pell")
"""Names that occur nowhere but in what is imported."""
WORD: Final = "kestrelwort"
REST: Final = timedelta(seconds=30)
"""Longer than a breaker and a source rest."""
Fault = Callable[["House"], Awaitable[None]]


def line(number: int) -> dict[str, Any]:
    """A message of the import; it names a person, a thing and a tag, and has a word that no other message has."""
    author, named = WRITERS[number % 5], WRITERS[(number * 3 + 1) % 5]
    return {
        "id": f"f{number}",
        "room": ROOM,
        "author": author,
        "text": f"{named} left the `{WORD}{number % 40}` by hive {number % 9}, see #{WORD}tag{number % 7} mark{number}",
        "sent_at": (START + timedelta(minutes=number)).isoformat(),
        "reply_to": f"f{number - 2}" if number % 4 == 0 and number > 2 else None,
    }


async def lines(numbers: Sequence[int], over: asyncio.Event | None = None) -> Lines:
    """The messages with these numbers, in batches; the last comes when something is ``over``."""
    for begin in range(0, len(numbers), BATCH):
        if over is not None and begin + BATCH >= len(numbers):
            await over.wait()
        yield [json.dumps(line(number)).encode() for number in numbers[begin : begin + BATCH]]


@dataclass(slots=True)
class House:
    """A bot, its servers' lines, and what was seen of it."""

    app: App
    sql: Proxy
    graph: Proxy
    answered: int = 0
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0

    async def room(self) -> Room:
        """The room that is imported into."""
        return await self.app.directory.room(self.app.tenant, ROOM, ROOM)

    async def ask(self, number: int) -> None:
        """One question: an answer, or a sentence. Anything else is raised."""
        question = f"Who left the {WORD}{number % 40} ({number})?"
        try:
            room = await self.room()
            scope = Scope(self.app.tenant, (room.id,))
            answer = await self.app.shuttle.weave(question, scope, asked_at=START, route="linked", seed=number)
            assert answer.text
            self.answered += 1
        except WeavebotError as exc:
            self.refused.append(str(exc))

    async def import_under(self, fault: Fault, numbers: Sequence[int]) -> dict[str, Any]:
        """Imports while somebody asks; the fault comes when the first batch is there. Gives the counts.

        The last batch comes when the fault is over: there is an import under way all the while.
        """
        began = time.perf_counter()
        over = asyncio.Event()
        importing = asyncio.create_task(run(self.app, "import", lines(numbers, over)))
        asking = asyncio.create_task(self._ask_on(importing))
        try:
            await eventually(self._held, lambda held: held >= BATCH // 2 or importing.done(), patience=60)
            await fault(self)
            over.set()
            events = await importing
        finally:
            importing.cancel()
            await asyncio.gather(importing, return_exceptions=True)
        await asking
        assert all(words.strip() and "\n" not in words for words in self.refused), self.refused
        self.seconds = time.perf_counter() - began
        told: dict[str, Any] = events[-1]["result"]
        return told

    async def _ask_on(self, importing: asyncio.Task[Any]) -> None:
        number = 0
        while not importing.done():
            await self.ask(number)
            number += 1
            clock_of(self.app).advance(timedelta(seconds=1))
            await asyncio.sleep(PAUSE)

    async def _held(self) -> int:
        try:
            async with self.app.database.read() as conn:
                return int((await conn.execute(text("SELECT count(*) FROM messages"))).scalar_one())
        except Unavailable:
            return 0

    async def settle(self) -> None:
        """The servers are back: everything that was missed is made up."""
        self.sql.latency = self.graph.latency = 0.0
        self.sql.cut_after = self.graph.cut_after = None

        async def caught_up() -> bool:
            clock_of(self.app).advance(REST)
            try:
                await self.app.engine.settle()
                await self.app.rooms.catch_up()
            except Unavailable:
                await asyncio.sleep(0.2)
                return False
            return not self.app.rooms.owed

        await eventually(caught_up, bool, patience=90)

    async def check(self, numbers: Sequence[int]) -> None:
        """Everything that must hold, with these messages in the room."""
        await self.settle()
        room = await self.room()
        async with self.app.database.read() as conn:
            held = (await conn.execute(select(messages.c.external_id))).scalars().all()
            assert sorted(held) == sorted(f"f{number}" for number in numbers), "every message in SQL exactly once"
            assert (await conn.execute(select(index_outbox))).all() == []
        await self._same_as_rebuilt(room)
        await self._only_in_sql()
        await self._forgets(room, numbers[len(numbers) // 2])
        before = self.answered
        await self.ask(10_000)
        assert self.answered == before + 1, self.refused[-1:]

    async def _same_as_rebuilt(self, room: Room) -> None:
        assert self.app.graph is not None
        assert [drift async for drift in drifts(self.app, self.app.graph)] == []
        kept = await self.app.rooms.view(room.id)
        rows = {
            name: kept.columns[name].array.copy() for name in ("authors", "sent_at", "sessions", "lengths", "alive")
        }
        serials, vectors = kept.serials.copy(), np.asarray(kept.vectors).copy()
        await self.app.rooms.wipe(room.id)
        built = await self.app.rooms.view(room.id)
        living = rows["alive"].astype(bool)
        assert np.array_equal(serials[living], built.serials)
        for name, values in rows.items():
            assert np.array_equal(values[living], built.columns[name].array), name
        assert len(vectors) >= len(np.asarray(built.vectors)) > 0

    async def _stored_in_graph(self) -> str:
        """Everything that the graph server holds of this installation, as words."""
        installation = (await pseudonyms_of(self.app.database, self.app.clock)).installation
        link = Neo4jLink(neo4j_address(reading=60.0), Breaker("Neo4j", self.app.clock))
        statement = """
            MATCH (n) WHERE coalesce(n.scope, n.key) STARTS WITH $installation
            OPTIONAL MATCH (n)-[t]->()
            RETURN labels(n) AS labels, properties(n) AS node, collect([type(t), properties(t)]) AS ties
        """
        try:
            return repr(await link.read(lambda tx: tx.rows(statement, installation=installation)))
        finally:
            await link.close()

    async def _only_in_sql(self) -> None:
        held = (await self._stored_in_graph()).lower()
        assert len(held) > 1_000, "there is something to look through"
        for words in (WORD, "left the", *(part for name in WRITERS for part in name.lower().split())):
            assert words not in held, f"{words!r} is in the graph server"
        for file in self.app.settings.data.rglob("*"):
            if file.is_file():
                assert WORD.encode() not in file.read_bytes(), f"{file.name} holds a text"

    async def _forgets(self, room: Room, number: int) -> None:
        assert self.app.graph is not None
        async with self.app.database.read() as conn:
            query = select(messages.c.serial).where(messages.c.external_id == f"f{number}")
            serial = int((await conn.execute(query)).scalar_one())
        await self.app.privacy.forget_message(self.app.tenant, f"f{number}", room)
        await self.settle()
        async with self.app.database.read() as conn:
            assert (await conn.execute(query)).all() == []
            hashed = content_hash(line(number)["text"])
            left = select(embeddings.c.content_hash).where(embeddings.c.content_hash == hashed)
            assert (await conn.execute(left)).all() == []
            for table in ("mentions", "relations", "citations", "index_outbox"):
                found = text(f"SELECT count(*) FROM {table} WHERE message_serial = :serial")  # noqa: S608 - names of ours
                assert (await conn.execute(found, {"serial": serial})).scalar_one() == 0, table
        view = await self.app.rooms.view(room.id)
        assert serial not in view.serials[view.alive].tolist()
        assert f"'serial': {serial}," not in await self._stored_in_graph()
        assert [drift async for drift in drifts(self.app, self.app.graph)] == []

    def tell(self, name: str) -> None:
        """Adds a line to the figures, if somebody collects them."""
        if FIGURES is None:
            return
        told = {
            "fault": name,
            "messages": MESSAGES,
            "seconds": round(self.seconds, 1),
            "answered": self.answered,
            "refused": len(self.refused),
        }
        with Path(FIGURES).open("a", encoding="utf-8") as out:
            out.write(json.dumps(told) + "\n")


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """A house on a database of its own and a corner of the graph server, both reached through a proxy."""
    where = neo4j_address()
    place = urlsplit(where.url)
    async with AsyncExitStack() as stack:
        url = make_url(await stack.enter_async_context(empty_database()))
        sql = await stack.enter_async_context(proxy(url.host or "", url.port or 0))
        graph = await stack.enter_async_context(proxy(place.hostname or "", place.port or 0))
        own = folder / "house"
        own.mkdir()
        app = await stack.enter_async_context(
            open_bot(
                own,
                database_url=url.set(host="127.0.0.1", port=sql.port).render_as_string(hide_password=False),
                database_timeout=PATIENCE,
                neo4j_url=f"bolt://127.0.0.1:{graph.port}",
                neo4j_user=where.user,
                neo4j_password=where.password,
                neo4j_timeout=3.0,
                neo4j_write_timeout=20.0,
            )
        )
        made = House(app, sql, graph)
        yield made
        assert app.graph is not None
        for room in await app.directory.rooms(app.tenant):
            await app.graph.drop(room.id)

"""With 100,000 messages and 20,000 answers no statement of the hot paths reads a whole table."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection, event

from bot.app import App
from bot.inbox import Kind, Served
from bot.notebook import SqlNotebook
from memory.adapters.sql import SqlDatabase
from memory.models import Person, Room, Scope
from tests.doubles import START
from tests.parts import draft
from tests.services.databases import connect, empty_database
from tests.unit.bot.rooms import open_bot

pytestmark = pytest.mark.services

ROWS = """
INSERT INTO tenants (id, platform, external_id, name, created_at) VALUES (100, 'matrix', 'big', 'big', 0);
INSERT INTO rooms (id, tenant_id, external_id, name, version, created_at)
    SELECT 100 + r, 100, 'room' || r, 'room' || r, 3000, 0 FROM generate_series(1, 40) r;
INSERT INTO people (id, tenant_id, external_id, name, created_at)
    SELECT 100 + p, 100, 'p' || p, 'P' || p, 0 FROM generate_series(1, 500) p;
INSERT INTO sessions (id, room_id, started_at, last_message_at, messages)
    SELECT 100 + s, 101 + s % 40, s, s, 0 FROM generate_series(1, 4000) s;
INSERT INTO messages (serial, room_id, external_id, author_id, session_id, text, content_hash, sent_at, provenance,
                      revision, version)
    SELECT 1000 + m, 101 + m % 40, 'e' || m, 101 + m % 500, 101 + m % 4000, '\\x00616263',
           decode(md5(m::text), 'hex'), m * 1000000::bigint, 'live', 1, 1 + m / 40 FROM generate_series(1, 100000) m;
INSERT INTO embeddings (content_hash, model_id, vectors, token_ids, codes)
    SELECT content_hash, (SELECT id FROM models LIMIT 1), decode(repeat('00', 68), 'hex'), '', '' FROM messages;
INSERT INTO index_outbox (message_serial, revision, attempts) SELECT 1000 + m, 1, 0 FROM generate_series(1, 100000) m;
INSERT INTO memories (room_id, kind, aspect, number, author_id, created_at, message_serial, subject, verb, object,
                      subject_key, object_key)
    SELECT 101 + m % 40, 'x', 'x', 0, 101 + m % 500, 0, 1000 + m, '\\x00', '\\x00', '\\x00', 's' || m, 'o' || m
    FROM generate_series(1, 20000) m;
INSERT INTO memory_sources (memory_id, place, message_serial) SELECT id, 1, message_serial + 1 FROM memories;
INSERT INTO reflection_queue (message_serial, todo, since) SELECT 1000 + m, 7, 0 FROM generate_series(1, 100000) m;
INSERT INTO session_queue (session_id, since) SELECT 100 + s, 0 FROM generate_series(1, 4000) s;
INSERT INTO reactions (room_id, event_id, target, person_id, emoji, added_at)
    SELECT 101 + m % 40, 'r' || m, 'e' || m, 101 + m % 500, 'x', 0 FROM generate_series(1, 20000) m;
INSERT INTO tombstones (room_id, external_id, serial, version, deleted_at)
    SELECT 101 + m % 40, 'gone' || m, m, 1 + m / 40, 0 FROM generate_series(1, 20000) m;
INSERT INTO answers (serial, id, tenant_id, room_id, asker_id, event_id, thread, question, text, confidence, abstained,
                     asked_at, ms)
    SELECT 1000 + a, 'a' || a, 100, 101 + a % 40, 101 + a % 500, 'q' || a, 't' || a % 900, '\\x00', '\\x00',
           1, false, a, 1
    FROM generate_series(1, 20000) a;
INSERT INTO decisions (answer_serial, route, route_version, policy, propensity, propensities, rule_route, reasons,
                       features_version, features, epsilon, seed, explored, gap, contributions, evidence, posterior,
                       solicited)
    SELECT 1000 + a, 'chat', 1, 'x', 1, '{}', 'chat', '[]', 1, '{}', 0, 1, false, 0, '[]', 0, '', false
    FROM generate_series(1, 20000) a;
INSERT INTO citations (answer_serial, rank, message_serial, score, features)
    SELECT 1000 + a, r, 1000 + a * 3 + r, 1, '{}' FROM generate_series(1, 20000) a, generate_series(1, 3) r;
INSERT INTO votes (answer_serial, person_id, emoji, cast_at)
    SELECT 1000 + a, 101 + a % 500, 'x', 0 FROM generate_series(1, 20000) a;
INSERT INTO send_outbox (id, room_id, transaction_id, in_reply_to, person_id, answer_serial, answer_id, event_id,
                         created_at)
    SELECT 1000 + a, 101 + a % 40, 't' || a, 'q' || a, 101 + a % 500, 1000 + a, 'a' || a, 's' || a, 0
    FROM generate_series(1, 20000) a;
INSERT INTO inbox (id, room_id, kind, event_id, payload, begun, received_at)
    SELECT 1000 + a, 101 + a % 40, 'asked', 'i' || a, '\\x00', 0, 0 FROM generate_series(1, 20000) a;
INSERT INTO entities (id, room_id, kind, key, label)
    SELECT 1000 + e, 101 + e % 40, 'thing', 'k' || e, '' FROM generate_series(1, 20000) e;
INSERT INTO mentions (message_serial, entity_id, is_subject)
    SELECT 1000 + m, 1000 + m, false FROM generate_series(1, 20000) m;
INSERT INTO relations (room_id, subject_id, predicate, object_id, message_serial, observed_at)
    SELECT 101 + m % 40, 101 + m % 500, 'x', 101 + (m + 1) % 500, 1000 + m, 0 FROM generate_series(1, 20000) m;
ANALYZE;
"""

SMALL = frozenset(
    {"tenants", "rooms", "people", "models", "settings", "team_settings", "notes", "promotions", "experiments"}
)
"""Tables that stay small, where reading all of it is right."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A bot on that database, and the statements that it sent."""

    app: App
    room: Room
    ana: Person
    sent: list[tuple[str, Any]]
    direct: asyncpg.Connection

    async def whole_tables(self) -> set[str]:
        """The large tables that one of the statements since the last call would read as a whole."""
        found = set()
        for words, values in {words: (words, values) for words, values in self.sent}.values():
            for given in (values if isinstance(values, list) else [values])[:1]:
                plan = await self.direct.fetchval("EXPLAIN (FORMAT JSON) " + words, *given)
                found |= {name for name in _scanned(json.loads(plan)[0]["Plan"]) if name not in SMALL}
        self.sent.clear()
        return found


def _scanned(plan: dict[str, Any]) -> set[str]:
    own = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return own.union(*(_scanned(part) for part in plan.get("Plans", [])))


@pytest.fixture
async def watched(tmp_path: Any) -> AsyncIterator[Watched]:
    """The database filled, the model and the room known."""
    async with empty_database() as url, open_bot(tmp_path, database_url=url) as app:
        direct = await connect(url)
        await direct.execute(ROWS)
        room = await app.directory.room_by_id(101)
        ana = await app.directory.find_person(100, "p1")
        assert isinstance(app.database, SqlDatabase)
        sent: list[tuple[str, Any]] = []

        def note(_c: Connection, _cursor: object, words: str, values: Any, _context: object, _many: bool) -> None:  # noqa: FBT001 - SQLAlchemy's
            if words.startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")) and "pg_" not in words:
                sent.append((words, values))

        event.listen(app.database._engine.sync_engine, "before_cursor_execute", note)
        yield Watched(app, room, ana, sent, direct)
        await direct.close()


class TestPlans:
    async def test_no_statement_of_the_hot_paths_reads_a_whole_table(self, watched: Watched) -> None:
        assert await coming_in(watched) == set()
        assert await indexing(watched) == set()
        assert await carrying_out(watched) == set()
        assert await asking_and_voting(watched) == set()
        assert await loading(watched) == set()
        assert await coming_back(watched) == set()
        assert await erasing(watched) <= {"pools", "mentions"}  # those of a room's entities; and who chose from it


async def coming_in(watched: Watched) -> set[str]:
    app, room = watched.app, watched.room
    await app.journal.admit(room, [draft(f"new{i}", "p1", "hello there") for i in range(3)])
    await app.journal.react(room, "r-new", "e40", watched.ana, "x", START)
    await app.journal.unreact(room, "r-new", START)
    await app.inbox.put(room, Kind.WITHDRAWN, "w1", "a1")
    return await watched.whole_tables()


async def indexing(watched: Watched) -> set[str]:
    indexer = watched.app.indexer
    tasks = (await indexer._claim(0)).tasks
    await indexer._store(await indexer._derive(tasks[:50]))
    return await watched.whole_tables()


async def carrying_out(watched: Watched) -> set[str]:
    app, room = watched.app, watched.room
    await app.outbox.find(room, "t40")
    await app.outbox.answer_behind(room, "s40")
    await app.outbox.showing(room, "a40")
    await app.outbox.newest_answer(room)
    await app.inbox.waiting(Served(tenant=1))
    return await watched.whole_tables()


async def asking_and_voting(watched: Watched) -> set[str]:
    app, room = watched.app, watched.room
    book, scope = app.shuttle._book, Scope(100, (room.id,), watched.ana.id)
    await book.bearings(scope)
    await book.bearings(scope, thread="t40", event_id="q40")
    await book.last(room.id)
    await book.last(room.id, "t40")
    await book.read(100, "a40")
    await book.decision(1040)
    await book.cast(1040, watched.ana.id, "👍", START)
    await book.retract(1040, watched.ana.id, "👍")
    await book.decided(100, [1040, 1041])
    await book.routes_of([1040, 1041], room.id, "x")
    return await watched.whole_tables()


async def loading(watched: Watched) -> set[str]:
    await watched.app.rooms.view(watched.room.id)
    await watched.app.journal.admit(watched.room, [draft("newest", "p1", "hello there")])
    await watched.app.rooms.view(watched.room.id)
    return await watched.whole_tables()


async def erasing(watched: Watched) -> set[str]:
    await watched.app.journal.edit(watched.room, "e40", "p41", "changed", START)
    await watched.app.journal.delete(watched.room, "e80", START)
    return await watched.whole_tables()


async def coming_back(watched: Watched) -> set[str]:
    notebook = SqlNotebook(watched.app.database, watched.app.clock, platform="matrix", account="a", team="big")
    await notebook.note("since", "x")
    await notebook.read("since")
    await notebook.knows("room1", ["e40", "r40", "i40"])
    await notebook.answers("room1", 50)
    return await watched.whole_tables()

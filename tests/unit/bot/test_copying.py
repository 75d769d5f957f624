"""Tables are copied row by row as they are stored, go on where they were, and are told apart by their sums."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from bot import copying, schema
from bot.copying import Count
from memory.adapters.sql import SqlDatabase
from memory.columns import metadata
from memory.errors import Refused
from memory.models import Scope
from memory.ports import Database
from memory.tables import messages, sessions
from tests.doubles import START
from tests.unit.bot.rooms import batch, history, open_bot, run

SOURCE = "a" * 32
TALK = tuple((name, f"{name} saw swarm {number} at the orchard ☂") for number in range(5) for name in ("Ana", "Ben"))


def made(folder: Path) -> Path:
    """The folder, which is there now."""
    folder.mkdir()
    return folder


@asynccontextmanager
async def lived_in(folder: Path) -> AsyncIterator[Database]:
    """A database in which people have written, edited, erased, asked and voted."""
    async with open_bot(made(folder)) as app:
        await run(app, "import", batch(*history(*TALK)))
        room = await app.directory.find_room(app.tenant, "hives")
        await app.journal.edit(room, "h2", "ben", "the smoker, not a swarm", START)
        await app.privacy.forget_message(app.tenant, "h10", room)
        ana = await app.directory.find_person(app.tenant, "Ana")
        asked = Scope(app.tenant, (room.id,), ana.id)
        answer = await app.shuttle.weave("Which swarm did Ben see?", asked, asked_at=START, asked_in=room.id, seed=1)
        await app.shuttle.vote(app.tenant, answer.id, ana, "👍", at=START)
        yield app.database


@asynccontextmanager
async def empty(folder: Path) -> AsyncIterator[SqlDatabase]:
    """A database with tables and nothing in them."""
    database = SqlDatabase.in_folder(made(folder))
    await schema.bring_up_to_date(database)
    try:
        yield database
    finally:
        await database.close()


async def last(database: Database, name: str) -> Count:
    """Rows and checksum of a table."""
    [copied] = [one for one in copying.tables() if one.name == name]
    return [one async for one in copying.count_of(database, copied)][-1]


async def copied(source: Database, target: Database, limit: int = 3) -> dict[str, int]:
    """Everything; how many rows there are afterwards."""
    return {
        one.name: [there async for there in copying.copy(source, target, one, limit)][-1] for one in copying.tables()
    }


class TestCopying:
    async def test_every_table_is_there_as_it_was(self, tmp_path: Path) -> None:
        async with lived_in(tmp_path / "a") as source, empty(tmp_path / "b") as target:
            await copying.claim(target, SOURCE)
            rows = await copied(source, target)
            assert rows["messages"] == 9
            assert min(rows[name] for name in ("answers", "citations", "decisions", "votes", "pools", "tombstones")) > 0
            for name in rows:
                assert await last(source, name) == await last(target, name), name

    async def test_all_tables_of_the_program_are_copied_but_the_notes_on_moving(self) -> None:
        assert {one.name for one in copying.tables()} == set(metadata.tables) - {"moves"}

    async def test_a_row_may_refer_to_one_that_comes_later(self, tmp_path: Path) -> None:
        async with lived_in(tmp_path / "a") as source, empty(tmp_path / "b") as target:
            async with source.write() as conn:
                first = (await conn.execute(select(sessions))).first()
                assert first is not None
                later = {**first._mapping, "id": first.id + 7, "previous_id": None}
                await conn.execute(sessions.insert(), later)
                await conn.execute(update(sessions).where(sessions.c.id == first.id).values(previous_id=later["id"]))
            await copying.claim(target, SOURCE)
            await copied(source, target, limit=1)
            assert await last(source, "sessions") == await last(target, "sessions")

    async def test_cut_off_it_goes_on_behind_the_last_page(self, tmp_path: Path) -> None:
        async with lived_in(tmp_path / "a") as source, empty(tmp_path / "b") as target:
            await copying.claim(target, SOURCE)
            for one in copying.tables():
                steps = copying.copy(source, target, one, limit=2)
                async for _ in steps:
                    break  # after one page
                await steps.aclose()  # type: ignore[attr-defined]  # a generator
                if one.name == "messages":
                    break
            assert (await last(target, "messages")).rows == 2
            assert await copying.claim(target, SOURCE)
            rows = await copied(source, target)
            for name in rows:
                assert await last(source, name) == await last(target, name), name

    async def test_a_nul_in_a_name_is_left_out_and_does_not_count_as_a_difference(self, tmp_path: Path) -> None:
        async with lived_in(tmp_path / "a") as source, empty(tmp_path / "b") as target:
            async with source.write() as conn:
                await conn.execute(text("UPDATE rooms SET name = 'hi' || char(0) || 'ves'"))
            await copying.claim(target, SOURCE)
            await copied(source, target)
            async with target.read() as conn:
                assert await conn.scalar(text("SELECT name FROM rooms")) == "hives"
            assert await last(source, "rooms") == await last(target, "rooms")

    async def test_cleared_it_begins_again(self, tmp_path: Path) -> None:
        async with lived_in(tmp_path / "a") as source, empty(tmp_path / "b") as target:
            await copying.claim(target, SOURCE)
            await copied(source, target)
            await copying.clear(target)
            assert (await last(target, "messages")).rows == 0
            await copied(source, target)
            assert await last(source, "messages") == await last(target, "messages")


class TestCounting:
    async def test_a_single_bit_makes_another_sum(self, tmp_path: Path) -> None:
        async with lived_in(tmp_path / "a") as source:
            before = await last(source, "messages")
            async with source.write() as conn:
                await conn.execute(update(messages).where(messages.c.serial == 1).values(revision=2))
            after = await last(source, "messages")
            assert before.rows == after.rows == 9
            assert before.sum != after.sum

    async def test_the_order_of_rows_does_not_matter(self, tmp_path: Path) -> None:
        async with lived_in(tmp_path / "a") as source:
            [table] = [one for one in copying.tables() if one.name == "messages"]
            async with source.read() as conn:
                rows = await copying.page_of(conn, table, None, 100)
            sums = {copying._words(sum(map(copying._hash, some))) for some in (rows, rows[::-1])}
            assert sums == {(await last(source, "messages")).sum}

    def test_keys_of_bytes_and_words_come_back(self) -> None:
        by_name = {one.name: one for one in copying.tables()}
        for name, key in (("embeddings", [b"\x00\xff", 3]), ("notes", ["matrix:@a", 'q"']), ("messages", [7])):
            assert copying.unpack_key(by_name[name], copying.pack_key(key)) == key

    async def test_pages_go_on_behind_a_key_of_two_columns(self, tmp_path: Path) -> None:
        async with lived_in(tmp_path / "a") as source:
            [table] = [one for one in copying.tables() if one.name == "mentions"]
            one_by_one = [row for page in [page async for page in copying.pages(source, table, 1)] for row in page]
            async with source.read() as conn:
                assert one_by_one == await copying.page_of(conn, table, None, 1_000)
            assert len(one_by_one) > 5


class TestWhereItMayGo:
    async def test_a_database_that_was_only_opened_is_taken(self, tmp_path: Path) -> None:
        async with open_bot(made(tmp_path / "b")) as app:
            assert not await copying.claim(app.database, SOURCE)
            async with app.database.read() as conn:
                assert await conn.scalar(text("SELECT count(*) FROM tenants")) == 0

    async def test_one_with_data_of_its_own_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        async with lived_in(tmp_path / "a") as source:
            with pytest.raises(Refused, match=r"holds data of its own .* create an empty one"):
                await copying.claim(source, SOURCE)
            assert (await last(source, "messages")).rows == 9

    async def test_one_of_another_program_is_refused(self, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / "weavebot.sqlite3") as conn:
            conn.execute("CREATE TABLE orders (id integer)")
        conn.close()
        database = SqlDatabase.in_folder(tmp_path)
        with pytest.raises(Refused, match=r"another program \(orders\): create a database for Weavebot"):
            await copying.check_free(database, SOURCE)
        await database.close()

    async def test_one_that_another_folder_moves_into_is_refused(self, tmp_path: Path) -> None:
        async with empty(tmp_path / "b") as target:
            await copying.claim(target, SOURCE)
            with pytest.raises(Refused, match="moved from another data folder"):
                await copying.claim(target, "b" * 32)

    async def test_what_was_compared_is_not_taken_out(self, tmp_path: Path) -> None:
        async with lived_in(tmp_path / "a") as source, empty(tmp_path / "b") as target:
            await copying.claim(target, SOURCE)
            await copied(source, target)
            counts = {one.name: await last(target, one.name) for one in copying.tables()}
            await copying.note_compared(target, counts, START)
            with pytest.raises(Refused, match="left as it is"):
                await copying.clear(target)
            assert await last(target, "messages") == await last(source, "messages")
            assert {name: one.compared for name, one in (await copying.parts(target)).items()} == counts

    async def test_half_moved_it_is_not_opened(self, tmp_path: Path) -> None:
        async with empty(tmp_path / "b") as target:
            await copying.claim(target, SOURCE)
            with pytest.raises(Refused, match="is being moved into this database"):
                async with open_bot(tmp_path / "b"):
                    pass
            await copying.note_compared(target, {one.name: Count(0, "") for one in copying.tables()}, START)
            assert await copying.ended_at(target) is None
            with pytest.raises(Refused, match="is being moved into this database"):
                await copying.check_whole(target)
            await copying.end(target, START)
            assert await copying.ended_at(target) == START
        async with open_bot(tmp_path / "b"):
            pass


def test_every_table_has_a_key_to_page_by() -> None:
    assert all(one.primary_key.columns for one in copying.tables())

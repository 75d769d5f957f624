"""Small keepers: preferences, outbox, audit, schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text

from bot import schema
from bot.app import App
from bot.outbox import transaction_of
from bot.tables import audit
from memory.adapters.sql import SqlDatabase
from memory.errors import BadInput, Refused
from tests.unit.bot.rooms import Chat, open_bot, result, results, run, told


class TestPreferences:
    async def test_a_rooms_own_hold_over_the_general_ones(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path, timezone="Europe/Berlin", digest_at="friday 16:00") as app:
            await told(app, ("Ana", "hello"))
            room = await app.directory.find_room(app.tenant, "hives")
            await app.preferences.change(room, "timezone", "Asia/Tokyo", None)

            chosen = await app.preferences.of(room)

            assert chosen.as_mapping() == {
                "listen": "on",
                "retention": "off",
                "digest": "on",
                "digest_at": "friday 16:00",
                "timezone": "Asia/Tokyo",
                "language": "en",
                "prompts": "on",
            }
            assert str(chosen.zone) == "Asia/Tokyo"

    async def test_one_that_there_is_not_is_refused(self, app: App) -> None:
        await told(app, ("Ana", "hello"))
        room = await app.directory.find_room(app.tenant, "hives")

        there = "listen, retention, digest, digest_at, timezone, language, prompts"
        with pytest.raises(BadInput, match=f"no setting 'colour'; there are {there}"):
            await app.preferences.change(room, "colour", "red", None)


class TestTheOutbox:
    async def test_a_transaction_has_one_reply(self, app: App) -> None:
        await told(app, ("Ana", "hello"))
        room = await app.directory.find_room(app.tenant, "hives")
        transaction = transaction_of("e1")

        await app.outbox.put(room, transaction, in_reply_to="e1", shows=None)
        await app.outbox.sent(room, transaction, "sent1")
        again = await app.outbox.put(room, transaction, in_reply_to="e1", shows=None)

        assert again.event_id == "sent1"

    async def test_unknown_ones_are_nothing(self, app: App) -> None:
        await told(app, ("Ana", "hello"))
        room = await app.directory.find_room(app.tenant, "hives")

        assert await app.outbox.find(room, "nope") is None
        assert await app.outbox.answer_behind(room, "nope") is None
        assert await app.outbox.newest_answer(room) is None

    def test_a_transaction_id_is_a_function_of_event_and_purpose(self) -> None:
        assert transaction_of("e1") == transaction_of("e1")
        assert len({transaction_of("e1"), transaction_of("e2"), transaction_of("e1", "post")}) == 3


class TestTheAudit:
    async def actions(self, app: App) -> list[tuple[str, object, object]]:
        async with app.database.read() as conn:
            rows = (await conn.execute(select(audit).order_by(audit.c.id))).all()
        return [(row.action, row.person_id, row.detail) for row in rows]

    async def test_what_others_may_ask_about_is_kept_without_words(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the secret", event_id="e1")
        await chat.say("Ana", "!weave forget last")
        await run(app, "settings", name="timezone", value="Asia/Tokyo")

        kept = await self.actions(app)

        assert [action for action, _, _ in kept] == ["forget_message", "change_setting"]
        assert "secret" not in str(kept)

    async def test_a_forgotten_person_is_not_named(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "one")
        await chat.say("Ana", "!weave optout")
        await run(app, "forget", person="Ana")

        assert all(person is None for _, person, _ in await self.actions(app))

    async def test_a_person_gets_their_actions_with_an_export(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "!weave optout")

        items = await results(app, "export", person="Ana")

        assert {"kind": "action", "action": "opt_out"}.items() <= items[-1].items()


class TestTheSchema:
    async def test_an_empty_database_is_brought_up_to_date(self, tmp_path: Path) -> None:
        database = SqlDatabase.in_folder(tmp_path)
        assert await schema.revision_of(database) is None

        assert await schema.bring_up_to_date(database) == schema.newest()

        assert await schema.revision_of(database) == schema.newest()
        assert await schema.bring_up_to_date(database) == schema.newest()
        await database.close()

    async def test_data_of_a_newer_version_is_refused_untouched(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path) as app, app.database.write() as conn:
            await conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))

        with pytest.raises(Refused, match=r"newer Weavebot \(schema 9999.*--data"):
            async with open_bot(tmp_path):
                pass

    async def test_the_owner_says_its_schema(self, app: App) -> None:
        assert (await result(app, "migrate"))["schema"] == schema.newest()

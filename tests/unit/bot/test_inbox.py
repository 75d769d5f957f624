"""What waits to be answered, also beside a newer version, and what it left."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from structlog.testing import capture_logs

from bot.app import App
from bot.inbox import Served
from bot.models import IncomingMessage
from bot.tables import inbox
from tests.unit.bot.rooms import HIVES, Chat, actor, open_bot

pytestmark = pytest.mark.embedded


async def ask(chat: Chat, event_id: str) -> None:
    question = IncomingMessage(HIVES, event_id, actor("Ben"), "!weave what is red?", chat.app.clock.now())
    await chat.dispatch.take([question])


async def left(app: App) -> list[str]:
    async with app.database.read() as conn:
        return list((await conn.execute(select(inbox.c.event_id))).scalars())


async def test_a_row_of_a_kind_that_nobody_knows_is_left_to_a_newer_version(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as app:
        chat = Chat(app)
        await ask(chat, "q1")
        async with app.database.write() as conn:
            row = (await conn.execute(select(inbox))).one()._asdict()
            await conn.execute(update(inbox).values(kind="sung", event_id="s1"))
            await conn.execute(insert(inbox).values(**{**row, "id": row["id"] + 1}))
        await chat.dispatch.replies.settle()
        assert len(chat.platform.sent) == 1
        assert await left(app) == ["s1"]


async def test_a_row_that_cannot_be_read_is_logged_once_without_its_words_and_holds_nobody_up(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as app:
        chat = Chat(app)
        await ask(chat, "q1")
        async with app.database.write() as conn:
            await conn.execute(update(inbox).values(payload='{"text": "the gate code"}'))
        await ask(chat, "q2")
        with capture_logs() as logged:
            await chat.dispatch.replies.settle()
            await ask(chat, "q3")
            await chat.dispatch.replies.settle()
        [line] = [one for one in logged if one["event"] == "inbox.unreadable"]
        assert "gate" not in str(line)
        assert len(chat.platform.sent) == 2
        assert await left(app) == ["q1"]


async def test_what_an_older_version_could_not_read_the_newer_one_answers(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as app:
        chat = Chat(app)
        await ask(chat, "q1")
        async with app.database.write() as conn:
            payload = (await conn.execute(select(inbox.c.payload))).scalar_one()
            await conn.execute(update(inbox).values(payload='{"another": "shape"}'))
        await chat.dispatch.replies.settle()
        assert await app.inbox.waiting(Served(app.tenant)) == []
        async with app.database.write() as conn:
            await conn.execute(update(inbox).values(payload=payload))
    async with open_bot(tmp_path) as app:
        chat = Chat(app)
        await chat.dispatch.replies.settle()
        assert len(chat.platform.sent) == 1
        assert await left(app) == []

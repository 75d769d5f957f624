"""A question that its author corrects while it is taken up or answered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.app import App
from bot.inbox import Item, Served
from bot.models import Capabilities, Edit, IncomingMessage
from bot.tables import inbox
from routing.tables import answers
from tests.unit.bot.rooms import HIVES, Chat, Platform, actor


@pytest.fixture
async def edits(app: App) -> Chat:
    """A room that knows something, and in which a question waits."""
    chat = Chat(app, Platform(Capabilities(edits=True)))
    await chat.say("Ana", "the queen is red", event_id="e1")
    question = IncomingMessage(HIVES, "q1", actor("Ben"), "!weave what is blue?", app.clock.now())
    await chat.dispatch.take([question])
    return chat


async def first(app: App) -> Item:
    [room] = await app.inbox.waiting(Served(tenant=app.tenant))
    item = await app.inbox.first(room)
    assert item is not None
    return item


def corrected(app: App) -> Edit:
    return Edit(HIVES, "x1", "q1", actor("Ben"), "!weave what is red?", app.clock.now())


async def test_while_it_is_taken_up_it_is_answered_as_corrected(app: App, edits: Chat) -> None:
    item = await first(app)
    await edits.dispatch.take([corrected(app)])

    await edits.dispatch.replies.carry_out(item)

    async with app.database.read() as conn:
        assert (await conn.execute(select(answers.c.question))).scalars().all() == ["what is red?"]
    assert len(edits.platform.sent) == 1


async def test_while_it_is_answered_it_is_answered_anew(app: App, edits: Chat) -> None:
    await app.inbox.begin(await first(app))
    await edits.dispatch.take([corrected(app)])

    await edits.dispatch.replies.settle()

    assert "the queen is red" in edits.platform.said
    assert edits.platform.sent[-1].replaces == "sent1"


async def test_a_correction_loses_against_a_begin_that_came_in_between(
    app: App, edits: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes on one database: the other one begins after the row was read and before it is changed."""
    del edits
    item = await first(app)
    ben = await app.directory.find_person(app.tenant, "ben")
    execute = AsyncConnection.execute

    async def late(conn: AsyncConnection, statement: Any, *given: Any) -> Any:
        done = await execute(conn, statement, *given)
        if isinstance(statement, Select):
            await execute(conn, update(inbox).values(begun=1))
        return done

    with monkeypatch.context() as patched:
        patched.setattr(AsyncConnection, "execute", late)
        assert not await app.inbox.reword(item.room, "q1", ben, "!weave what is red?")
    assert await first(app) == replace(item, begun=1)

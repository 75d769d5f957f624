"""What an account notes and looks up is its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.app import App
from bot.models import Capabilities, Deletion, Edit, IncomingMessage, Place, ReactionAdded
from bot.notebook import SqlNotebook
from bot.outbox import transaction_of
from tests.unit.bot.rooms import Chat, Platform, actor

TEAM = "@weave:one"
ROOM = Place("matrix", "r1", "hives", TEAM)


class Matrix(Platform):
    platform = "matrix"
    team = TEAM


@pytest.fixture
def notebook(app: App) -> SqlNotebook:
    return SqlNotebook(app.database, app.clock, platform="matrix", account=TEAM, team=TEAM)


def other(app: App) -> SqlNotebook:
    return SqlNotebook(app.database, app.clock, platform="matrix", account="@else:one", team="@else:one")


class TestNotes:
    async def test_the_last_one_counts(self, app: App, notebook: SqlNotebook) -> None:
        assert await notebook.read("since") is None

        await notebook.note("since", "s1")
        await notebook.note("since", "s2")

        assert await notebook.read("since") == "s2"
        assert await other(app).read("since") is None


class TestLookingUp:
    async def test_what_is_journalled_in_whatever_way_is_known(self, app: App, notebook: SqlNotebook) -> None:
        chat, now = Chat(app, Matrix()), app.clock.now()
        asked = IncomingMessage(ROOM, "q1", actor("Ben"), "!weave what is red?", now)
        waits = IncomingMessage(ROOM, "q2", actor("Ben"), "!weave what is blue?", now)
        await chat.dispatch.take([IncomingMessage(ROOM, "e1", actor("Ana"), "the queen is red", now), asked])
        await chat.dispatch.replies.settle()
        await chat.dispatch.take([Deletion(ROOM, "d1", "e0", now), waits])
        await chat.dispatch.take([ReactionAdded(ROOM, "r1", "sent1", actor("Ben"), "👍", now)])

        found = await notebook.knows("r1", ["e0", "e1", "q1", "q2", "r1", "unheard"])

        assert found == {"e0", "e1", "q1", "q2", "r1"}
        assert await other(app).knows("r1", ["e1"]) == set()

    async def test_what_an_edit_may_have_changed_is_the_question_and_its_authors_edited_messages_nearest_first(
        self, app: App, notebook: SqlNotebook
    ) -> None:
        chat, now = Chat(app, Matrix(Capabilities(edits=True))), app.clock.now()
        said = [IncomingMessage(ROOM, f"e{n}", actor("Ana"), f"the queen is number {n}", now) for n in range(4)]
        asked = IncomingMessage(ROOM, "q1", actor("Ana"), "!weave which queen?", now)
        theirs = IncomingMessage(ROOM, "b1", actor("Ben"), "the smoker is lost", now)
        await chat.dispatch.take([*said, theirs, asked])
        await chat.dispatch.replies.settle()
        edits = [("x0", "e0", "Ana", 1), ("x1", "e1", "Ana", 2), ("x2", "e2", "Ana", 3), ("xb", "b1", "Ben", 2)]
        for event, target, who, minute in edits:
            at = now + timedelta(minutes=minute)
            await chat.dispatch.take([Edit(ROOM, event, target, actor(who), f"it is {event} after all", at)])
        changed = Edit(ROOM, "xq", "q1", actor("Ana"), "!weave which queen is it?", now + timedelta(minutes=4))
        await chat.dispatch.take([changed])
        await chat.dispatch.replies.settle()
        ana, middle = actor("Ana").external_id, now + timedelta(minutes=2)

        assert await notebook.edited("r1", "unheard", ana, middle, 5) == ["e1", "e0", "e2"]
        assert await notebook.edited("r1", "unheard", ana, middle, 1) == ["e1"]
        assert (await notebook.edited("r1", "xq", ana, middle, 5))[0] == "q1"
        assert await notebook.edited("r1", "unheard", "@nobody:one", middle, 5) == []
        assert await other(app).edited("r1", "xq", ana, middle, 5) == []

    async def test_rooms_and_answers_are_those_of_the_account(self, app: App, notebook: SqlNotebook) -> None:
        chat, now = Chat(app, Matrix()), app.clock.now()
        await chat.dispatch.take([IncomingMessage(ROOM, "q1", actor("Ben"), "!weave what is red?", now)])
        await chat.dispatch.take([IncomingMessage(ROOM, "q2", actor("Ben"), "!weave help", now)])
        await chat.dispatch.replies.settle()

        assert await notebook.rooms() == ["r1"]
        assert await notebook.answers("r1", 10) == ["sent1"]  # help is no answer
        assert await other(app).rooms() == []
        room = (await app.directory.rooms(await app.directory.tenant("matrix", TEAM, TEAM)))[0]
        assert await app.outbox.find(room, transaction_of("q2")) is not None


async def test_a_message_is_forgotten_in_the_team_of_its_room(app: App) -> None:
    chat, now = Chat(app, Matrix()), app.clock.now()
    said = IncomingMessage(ROOM, "e1", actor("Ana"), "the queen is red", now)
    forget = IncomingMessage(ROOM, "f1", actor("Ana"), "!weave forget last", now)

    await chat.dispatch.take([said, forget])
    await chat.dispatch.replies.settle()

    assert "Forgotten everywhere" in chat.platform.said

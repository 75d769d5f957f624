"""Replies: asked once, answered once, whatever dies or is refused in between; what is edited or deleted is followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bot.app import App
from bot.inbox import Kind
from bot.models import Arrival, Capabilities, Deletion, Edit, IncomingMessage, ReactionAdded, ReactionsStanding, Reply
from bot.pages import plain
from bot.replying import KEPT, Replies, served_by
from bot.tables import inbox, send_outbox
from bot.turns import MOST
from memory.errors import Refused, Unavailable
from memory.models import Provenance
from routing.tables import answers, votes
from tests.unit.bot.rooms import HIVES, Chat, Platform, actor, clock_of, open_bot

EDITS = Capabilities(edits=True, files=True)


async def waiting(app: App) -> int:
    async with app.database.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(inbox))).scalar_one())


def asked(app: App, text: str = "!weave what colour is the queen?", event_id: str = "q1") -> IncomingMessage:
    return IncomingMessage(HIVES, event_id, actor("Ben"), text, app.clock.now())


@pytest.fixture
async def edits(app: App) -> Chat:
    """A platform on which a message of ours can be replaced, and a room that knows something."""
    chat = Chat(app, Platform(EDITS))
    await chat.say("Ana", "the queen is red", event_id="e1")
    return chat


class TestTaking:
    async def test_a_question_is_committed_before_it_is_answered(self, app: App) -> None:
        chat = Chat(app)

        await chat.dispatch.take([asked(app)])

        assert chat.platform.sent == []
        assert await waiting(app) == 1
        await chat.dispatch.replies.settle()
        assert len(chat.platform.sent) == 1
        assert await waiting(app) == 0

    async def test_delivered_twice_it_is_answered_once(self, app: App) -> None:
        chat = Chat(app)

        await chat.dispatch.take([asked(app), asked(app)])
        await chat.dispatch.replies.settle()
        await chat.dispatch.take([asked(app)])
        await chat.dispatch.replies.settle()

        assert len(chat.platform.sent) == 1

    async def test_messages_of_a_batch_are_kept_in_order_among_what_else_happens(self, app: App) -> None:
        chat, now = Chat(app), app.clock.now()
        said = [
            IncomingMessage(HIVES, f"e{i}", actor("Ana"), f"line {i}", now + timedelta(seconds=i)) for i in range(9)
        ]

        await chat.dispatch.take([*said[:5], Edit(HIVES, "x1", "e4", actor("Ana"), "line four", now), *said[5:]])

        assert await chat.texts() == sorted([f"line {i}" for i in range(9) if i != 4] + ["line four"])

    async def test_a_question_from_before_we_came_is_neither_answered_nor_remembered(self, app: App) -> None:
        chat = Chat(app)

        assert await chat.say("Ben", "!weave what is red?", provenance=Provenance.HISTORY) == ""
        assert await chat.texts() == []

    async def test_one_asked_while_we_were_away_is_answered(self, app: App) -> None:
        chat = Chat(app)

        assert await chat.say("Ben", "!weave what is red?", provenance=Provenance.RECOVERED) != ""

    async def test_one_that_was_taken_back_before_it_came_is_not_answered(self, app: App) -> None:
        chat = Chat(app)

        await chat.dispatch.take([Deletion(HIVES, "d1", "q1", app.clock.now()), asked(app)])
        await chat.dispatch.replies.settle()

        assert chat.platform.sent == []

    async def test_the_database_down_raises_so_that_the_same_comes_again(self, app: App) -> None:
        chat = Chat(app)
        await chat.say("Ana", "hello")
        real, app_database = app.database.write, app.database

        def down() -> AsyncIterator[None]:
            raise Unavailable("the database does not answer")

        object.__setattr__(app_database, "write", down)
        with pytest.raises(Unavailable):
            await chat.dispatch.take([asked(app)])
        object.__setattr__(app_database, "write", real)
        await chat.dispatch.take([asked(app)])

        assert await waiting(app) == 1


class TestSending:
    async def test_what_the_platform_does_not_take_is_kept_and_sent_later(self, app: App) -> None:
        chat = Chat(app)
        chat.platform.broken = Unavailable("rate limited")

        await chat.dispatch.take([asked(app)])
        with pytest.raises(Unavailable):
            await chat.dispatch.replies.settle()
        assert await waiting(app) == 1

        chat.platform.broken = None
        await chat.dispatch.replies.settle()
        assert len(chat.platform.sent) == 1
        async with app.database.read() as conn:
            assert (await conn.execute(select(func.count()).select_from(answers))).scalar_one() == 1

    async def test_after_a_day_it_is_given_up(self, app: App) -> None:
        chat = Chat(app)
        await chat.dispatch.take([asked(app)])
        chat.platform.broken = Unavailable("down")
        clock_of(app).advance(KEPT + timedelta(hours=1))

        await chat.dispatch.replies.settle()

        assert await waiting(app) == 0

    async def test_what_it_never_takes_is_let_go(self, app: App) -> None:
        chat = Chat(app)
        await chat.dispatch.take([asked(app)])
        chat.platform.broken = Refused("we were removed from the room")

        await chat.dispatch.replies.settle()

        assert await waiting(app) == 0

    async def test_the_worker_answers_room_by_room_and_tries_again_by_itself(self, app: App) -> None:
        chat = Chat(app)
        replies = Replies(app, chat.platform, pause=0.001)
        chat.platform.broken = Unavailable("down")
        work = asyncio.create_task(replies.run())
        await chat.dispatch.take([asked(app), asked(app, event_id="q2")])
        replies.nudge()
        await asyncio.sleep(0)
        chat.platform.broken = None

        async with asyncio.timeout(30):
            await chat.platform.spoken(2)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

        assert [reply.in_reply_to for reply in chat.platform.sent] == ["q1", "q2"]

    async def test_after_a_restart_what_waited_is_answered(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path) as first:
            await Chat(first).dispatch.take([asked(first)])
        async with open_bot(tmp_path) as second:
            chat = Chat(second)
            await chat.dispatch.replies.settle()

            assert [reply.in_reply_to for reply in chat.platform.sent] == ["q1"]

    async def test_a_command_that_must_be_done_once_is_not_repeated_after_a_crash(self, app: App) -> None:
        chat = Chat(app)
        await chat.say("Ana", "one")
        await chat.say("Ana", "two")
        message = IncomingMessage(HIVES, "f1", actor("Ana"), "!weave forget last", app.clock.now())
        await chat.dispatch.take([message])
        room = await app.directory.find_room(app.tenant, "hives")
        item = await app.inbox.first(room.id)
        assert item is not None
        await app.inbox.begin(item)  # and then the process died

        await chat.dispatch.replies.settle()

        assert "interrupted" in chat.platform.said
        assert await chat.texts() == ["one", "two"]

    async def test_a_reply_carries_the_label_of_its_answer(self, app: App) -> None:
        chat = Chat(app)
        await chat.say("Ana", "the queen is red")
        await chat.say("Ben", "!weave what is red?")

        label = chat.platform.sent[-1].label

        assert label is not None
        assert (await app.shuttle.answer(app.tenant, label.answer)).serial == label.number


class TestAnEditedQuestion:
    async def test_its_answer_is_replaced_once(self, app: App, edits: Chat) -> None:
        await edits.say("Ben", "!weave what colour is the king?", event_id="q1")
        change = Edit(HIVES, "x1", "q1", actor("Ben"), "!weave what colour is the queen?", app.clock.now())

        await edits.handle(change)
        await edits.handle(change)

        replaced = [reply for reply in edits.platform.sent if reply.replaces]
        assert [reply.replaces for reply in replaced] == ["sent1"]
        assert "red" in plain(replaced[0].page)

    async def test_a_reaction_to_the_same_message_rates_the_new_answer(self, app: App, edits: Chat) -> None:
        await edits.say("Ben", "!weave what colour is the king?", event_id="q1")
        await edits.handle(Edit(HIVES, "x1", "q1", actor("Ben"), "!weave what colour is the queen?", app.clock.now()))
        await edits.handle(ReactionAdded(HIVES, "r1", "sent1", actor("Ben"), "👍", app.clock.now()))

        async with app.database.read() as conn:
            rated = (await conn.execute(select(votes.c.answer_serial))).scalar_one()
        label = edits.platform.sent[-1].label
        assert label is not None
        assert rated == label.number

    async def test_somebody_elses_edit_changes_nothing(self, app: App, edits: Chat) -> None:
        await edits.say("Ben", "!weave what colour is the king?", event_id="q1")

        assert await edits.handle(Edit(HIVES, "x1", "q1", actor("Eve"), "!weave the queen?", app.clock.now())) == ""

    async def test_one_that_waits_is_asked_in_its_new_words(self, app: App, edits: Chat) -> None:
        await edits.dispatch.take([asked(app, "!weave help")])
        await edits.dispatch.take([Edit(HIVES, "x1", "q1", actor("Ben"), "!weave what is red?", app.clock.now())])
        await edits.dispatch.replies.settle()

        assert len(edits.platform.sent) == 1
        assert "the queen is red" in edits.platform.said

    async def test_what_was_done_is_not_done_again_because_a_word_was_corrected(self, app: App, edits: Chat) -> None:
        await edits.say("Ben", "!weave remember the gate is blue", event_id="q1")

        said = await edits.handle(
            Edit(HIVES, "x1", "q1", actor("Ben"), "!weave remember the gate is green", app.clock.now())
        )

        assert said == ""

    async def test_a_message_that_becomes_a_question_is_asked_and_no_longer_remembered(
        self, app: App, edits: Chat
    ) -> None:
        await edits.say("Ben", "weave what is red?", event_id="m1")

        said = await edits.handle(Edit(HIVES, "x1", "m1", actor("Ben"), "!weave what is red?", app.clock.now()))

        assert "the queen is red" in said
        assert await edits.texts() == ["the queen is red"]


class TestWhatIsTakenAway:
    async def test_the_answer_that_cited_it_is_edited_to_say_so(self, app: App, edits: Chat) -> None:
        await edits.say("Ben", "!weave what is red?", event_id="q1")

        await edits.handle(Deletion(HIVES, "d1", "e1", app.clock.now()))

        assert edits.platform.sent[-1].replaces == "sent1"
        assert "taken back" in edits.platform.said
        assert "queen" not in edits.platform.said

    async def test_forgetting_reaches_what_stands_in_the_room(self, edits: Chat) -> None:
        await edits.say("Ben", "!weave what is red?", event_id="q1")

        await edits.say("Ana", "!weave forget e1")

        assert edits.platform.sent[-1].replaces == "sent1"

    async def test_where_nothing_can_be_edited_nothing_waits(self, app: App) -> None:
        chat = Chat(app)
        await chat.say("Ana", "the queen is red", event_id="e1")
        await chat.say("Ben", "!weave what is red?", event_id="q1")

        await chat.handle(Deletion(HIVES, "d1", "e1", app.clock.now()))

        assert await waiting(app) == 0
        assert len(chat.platform.sent) == 1

    async def test_a_deleted_question_leaves_no_words(self, app: App, edits: Chat) -> None:
        await edits.say("Ben", "!weave what is red in secret?", event_id="q1")

        await edits.handle(Deletion(HIVES, "d1", "q1", app.clock.now()))

        async with app.database.read() as conn:
            kept = (await conn.execute(select(answers.c.question, answers.c.text))).one()
        assert "secret" not in kept.question
        assert "red" not in kept.text
        assert edits.platform.sent[-1].replaces == "sent1"

    async def test_one_that_waits_is_not_answered_any_more(self, app: App, edits: Chat) -> None:
        await edits.dispatch.take([asked(app)])

        await edits.dispatch.take([Deletion(HIVES, "d1", "q1", app.clock.now())])
        await edits.dispatch.replies.settle()

        assert edits.platform.sent == []

    async def test_a_person_who_is_forgotten_has_nothing_waiting_and_no_reply(self, app: App, edits: Chat) -> None:
        await edits.say("Ben", "!weave what is red?", event_id="q1")
        await edits.dispatch.take([asked(app, event_id="q2")])
        ben = await app.directory.find_person(app.tenant, "ben")

        await app.privacy.forget_person(ben)

        assert await waiting(app) == 0
        async with app.database.read() as conn:
            assert set((await conn.execute(select(send_outbox.c.person_id))).scalars()) == {None}

    async def test_a_question_that_comes_while_its_person_is_forgotten_comes_again(self, app: App, edits: Chat) -> None:
        await edits.say("Ben", "the queen is red", event_id="m1")
        ben = await app.directory.find_person(app.tenant, "ben")
        room = await app.directory.room(app.tenant, HIVES.room, HIVES.name)
        await app.privacy.forget_person(ben)

        with pytest.raises(Unavailable):
            await app.inbox.put(room, Kind.ASKED, "q1", asked(app), ben)
        await edits.dispatch.take([asked(app)])

        assert await waiting(app) == 1


class TestReactionsMissed:
    def added(self, app: App, event_id: str, who: str, emoji: str) -> ReactionAdded:
        return ReactionAdded(HIVES, event_id, "sent1", actor(who), emoji, app.clock.now())

    async def emoji(self, app: App) -> list[str]:
        async with app.database.read() as conn:
            return sorted((await conn.execute(select(votes.c.emoji))).scalars())

    async def test_what_stands_is_what_counts(self, app: App, edits: Chat) -> None:
        await edits.say("Ben", "!weave what is red?", event_id="q1")
        await edits.handle(self.added(app, "r1", "Ben", "👍"))
        standing = (self.added(app, "r2", "Cleo", "⭐"), self.added(app, "r3", "Dan", "👎"))

        for _ in range(2):
            await edits.handle(ReactionsStanding(HIVES, "sent1", standing, app.clock.now()))

        assert await self.emoji(app) == ["⭐", "👎"]

    async def test_a_reaction_is_resolved_by_the_label_when_our_map_is_lost(self, app: App, edits: Chat) -> None:
        await edits.say("Ben", "!weave what is red?", event_id="q1")
        label = edits.platform.sent[-1].label
        assert label is not None
        edits.platform.labels["elsewhere"] = label.answer

        await edits.handle(ReactionAdded(HIVES, "r1", "elsewhere", actor("Ben"), "👍", app.clock.now()))
        edits.platform.labels["strange"] = "00000000"
        await edits.handle(ReactionAdded(HIVES, "r2", "strange", actor("Ben"), "👎", app.clock.now()))

        assert await self.emoji(app) == ["👍"]


class TestComing:
    async def test_the_notice_is_said_once_when_it_is_wanted(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path, welcome=True) as app:
            chat = Chat(app)
            arrival = Arrival(HIVES, "a1", app.clock.now())
            await chat.handle(arrival)
            await chat.handle(arrival)

            assert len(chat.platform.sent) == 1
            assert "retention" in chat.platform.said

    async def test_by_default_nothing_is_said(self, app: App) -> None:
        chat = Chat(app)
        await chat.handle(Arrival(HIVES, "a1", app.clock.now()))

        assert chat.platform.sent == []


class TestTurns:
    async def test_two_bots_do_not_answer_each_other_for_ever(self, app: App) -> None:
        chat = Chat(app)
        batch = [asked(app, "!weave help", event_id=f"q{i}") for i in range(MOST + 20)]

        await chat.dispatch.take(batch)

        assert await waiting(app) == MOST
        clock_of(app).advance(timedelta(minutes=6))
        assert await chat.say("Ben", "!weave help") != ""

    async def test_another_bot_is_neither_answered_nor_remembered(self, app: App) -> None:
        chat = Chat(app)

        assert await chat.say("Robot", "!weave help", is_bot=True) == ""
        await chat.say("Robot", "beep", is_bot=True)
        assert await chat.texts() == []


class TestAnotherRoom:
    async def other(self, app: App, chat: Chat) -> None:
        room = await app.directory.room(app.tenant, "r-kitchen", "#kitchen")
        from tests.parts import draft  # noqa: PLC0415 - only here

        await app.journal.admit(room, [draft("k1", "Cleo", "the kettle is broken")])
        await app.engine.settle()
        await chat.say("Ana", "hello")

    async def test_who_is_in_it_is_answered_alone(self, app: App) -> None:
        chat = Chat(app)
        await self.other(app, chat)
        chat.platform.members["r-kitchen"] = {"ana"}

        said = await chat.say("Ana", "!weave what is broken? in:#kitchen")

        assert "kettle" in said
        assert chat.platform.sent[-1].private
        assert chat.platform.sent[-1].to == "ana"

    async def test_why_is_told_to_them_alone_and_to_nobody_else(self, app: App) -> None:
        chat = Chat(app)
        await self.other(app, chat)
        chat.platform.members["r-kitchen"] = {"ana"}
        await chat.say("Ana", "!weave what is broken? in:#kitchen")

        assert "kettle" in await chat.say("Ana", "!weave why")
        assert (chat.platform.sent[-1].private, chat.platform.sent[-1].sources) == (True, ("k1",))
        said = await chat.say("Ben", "!weave why")
        assert said == "Answer #1 is from a room that I do not know you to be in."

    @pytest.mark.parametrize("name", ["#kitchen", "r-kitchen", "#nowhere"])
    async def test_who_is_not_in_it_learns_not_even_that_it_exists(self, app: App, name: str) -> None:
        chat = Chat(app)
        await self.other(app, chat)

        said = await chat.say("Ana", f"!weave what is broken? in:{name}")

        hidden = f"There is no room {name.lstrip('#')} that both of us are in"
        assert said == f"{hidden}; write its name as your app shows it, or its id."


class TestAnotherRoute:
    async def test_the_route_that_is_named_is_taken_and_why_tells_its_steps(self, app: App) -> None:
        chat = Chat(app)
        await chat.say("Ana", "Zebedee Crane mended the kettle")
        await chat.say("Ben", "Zebedee Crane keeps goats")

        said = await chat.say("Ana", "!weave who mended the kettle? route:recursive")

        assert "recursive route" in said
        why = await chat.say("Ana", "!weave why")
        assert "who mended the kettle?" in why
        assert "route:" not in why
        assert "The pattern recursive: vector " in why
        assert "I stopped because" in why

    async def test_a_route_that_there_is_not_is_answered_with_those_that_there_are(self, app: App) -> None:
        chat = Chat(app)
        await chat.say("Ana", "hello")
        said = await chat.say("Ana", "!weave who mended the kettle? route:nowhere")
        assert said.startswith("There is no route 'nowhere'; choose one of chat, ")
        assert "adaptive" in said


class TestSettingsOfARoom:
    async def test_listen_off_remembers_nothing_and_still_answers(self, app: App) -> None:
        chat = Chat(app)
        await chat.say("Ana", "the queen is red")
        room = await app.directory.find_room(app.tenant, "hives")
        await app.preferences.change(room, "listen", "off", None)

        await chat.say("Ana", "the king is blue")

        assert await chat.texts() == ["the queen is red"]
        assert "red" in await chat.say("Ben", "!weave what is red?")

    async def test_dates_speak_the_rooms_language(self, app: App) -> None:
        chat = Chat(app)
        await chat.say("Ana", "the queen is red")
        room = await app.directory.find_room(app.tenant, "hives")
        await app.preferences.change(room, "language", "de", None)

        assert "Mo. 2 März" in await chat.say("Ben", "!weave what is red?")

    async def test_an_admin_of_ours_is_one_in_every_room(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path, admins=("ana",)) as app:
            chat = Chat(app)

            assert await chat.say("Ana", "!weave settings listen off") == "listen is now off"


def test_a_team_of_its_own_is_served_by_its_account_alone(app: App) -> None:
    class Elsewhere(Platform):
        platform = "matrix"
        team = "@weave:one"

    served = served_by(app, Elsewhere())

    assert (served.platform, served.team, served.tenant) == ("matrix", "@weave:one", None)
    assert Kind("asked") is Kind.ASKED
    assert Reply(HIVES, ()).answer is None

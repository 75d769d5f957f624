"""What follows an answer and a vote in the room: the question whether it answered, the mark, and what was wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select

from bot.app import App
from bot.models import Capabilities, ReactionAdded, ReactionRemoved, Reply
from bot.pages import plain
from bot.replying import TRIES
from memory.errors import Unavailable
from memory.models import Scope
from routing.tables import decisions
from tests.unit.bot.rooms import HIVES, Chat, Platform, actor, open_bot

ASKS = "Did this answer it?"
WRONG = "what did you expect?"
QUIET = Capabilities(threads=True, buttons=True, edits=True)


@pytest.fixture
async def asking(tmp_path: Path, database_url: str | None) -> AsyncIterator[App]:
    """A bot each of whose answers asks for a vote."""
    async with open_bot(tmp_path, database_url=database_url, solicit=1.0) as opened:
        yield opened


async def answered(chat: Chat, question: str = "!weave what colour is the queen?") -> tuple[str, Reply]:
    """An answer in a room that knows something: its event and what was said."""
    await chat.say("Ana", "the queen is red")
    await chat.say("Ben", question)
    place = max(n for n, reply in enumerate(chat.platform.sent, 1) if reply.answer is not None)
    return f"sent{place}", chat.platform.sent[place - 1]


async def react(chat: Chat, target: str, emoji: str, who: str = "Ben", *, private: bool = False) -> str:
    chat.count += 1
    now = chat.app.clock.now()
    return await chat.handle(ReactionAdded(HIVES, f"r{chat.count}", target, actor(who), emoji, now, private=private))


async def solicited(app: App) -> list[bool]:
    async with app.database.read() as conn:
        return list((await conn.execute(select(decisions.c.solicited).order_by(decisions.c.answer_serial))).scalars())


class TestAskingForVotes:
    async def test_an_answer_that_asks_says_so_and_it_is_logged(self, asking: App) -> None:
        _, reply = await answered(Chat(asking))
        assert f"{ASKS} One reaction helps." in plain(reply.page)
        assert reply.label is not None
        assert reply.label.asks
        assert await solicited(asking) == [True]

    async def test_where_there_are_buttons_nobody_is_told_to_react_for_it(self, asking: App) -> None:
        _, reply = await answered(Chat(asking, Platform(QUIET)))
        assert ASKS in plain(reply.page)
        assert "One reaction helps" not in plain(reply.page)

    async def test_a_room_that_wants_no_prompts_is_not_asked_and_the_log_knows(self, asking: App) -> None:
        chat = Chat(asking)
        await chat.say("Ana", "the queen is red")
        room = await asking.directory.find_room(asking.tenant, "hives")
        await asking.preferences.change(room, "prompts", "off", None)
        _, reply = await answered(chat)
        assert ASKS not in plain(reply.page)
        assert await solicited(asking) == [False]

    async def test_nor_does_one_by_a_route_that_somebody_chose(self, asking: App) -> None:
        _, reply = await answered(Chat(asking), "!weave what colour is the queen? route:keyword")
        assert ASKS not in plain(reply.page)

    @pytest.mark.parametrize(("share", "asks"), [(0.05, True), (0.0, False)])
    async def test_the_setting_is_the_share_of_seeds_that_ask(
        self, tmp_path: Path, share: float, *, asks: bool
    ) -> None:
        async with open_bot(tmp_path, solicit=share) as app:
            chat = Chat(app)
            await chat.say("Ana", "the queen is red")
            room = await app.directory.find_room(app.tenant, "hives")
            for seed in (0, 1):
                await app.shuttle.weave("what is red?", chat_scope(app, room.id), seed=seed)
            assert await solicited(app) == [asks, False]


class TestTheFirstVoteDown:
    async def test_who_casts_it_is_asked_once_below_the_answer(self, app: App) -> None:
        chat = Chat(app, Platform(QUIET))
        target, reply = await answered(chat)
        said = await react(chat, target, "👎")
        assert f"Whoever just voted #{reply.answer} down: {WRONG}" in said
        assert "`!weave" not in said  # plain text has no marks
        assert "!weave remember" in said
        prompt = chat.platform.sent[-1]
        assert (prompt.in_reply_to, prompt.thread, prompt.label) == (target, target, None)
        assert await react(chat, target, "❌") == ""

    async def test_everybody_is_asked_for_themselves(self, app: App) -> None:
        chat = Chat(app, Platform(QUIET))
        target, _ = await answered(chat)
        assert WRONG in await react(chat, target, "👎", "Ben")
        assert await react(chat, target, "⛔", "Cleo") == ""  # it stands below the answer already
        other, _ = await answered(chat, "!weave what is red?")
        assert WRONG in await react(chat, other, "⛔", "Cleo")
        assert await react(chat, other, "👎", "Ben") == ""

    @pytest.mark.parametrize("emoji", ["👍", "🤔", "🔁", "🐌", "🍕", "1️⃣"])
    async def test_only_a_vote_down_asks(self, app: App, emoji: str) -> None:
        chat = Chat(app, Platform(QUIET))
        target, _ = await answered(chat)
        assert await react(chat, target, emoji) == ""

    async def test_not_where_prompts_are_off_nor_below_what_one_person_sees(self, app: App) -> None:
        chat = Chat(app, Platform(QUIET))
        target, _ = await answered(chat)
        assert await react(chat, target, "👎", private=True) == ""
        room = await app.directory.find_room(app.tenant, "hives")
        await app.preferences.change(room, "prompts", "off", None)
        assert await react(chat, target, "👎", "Cleo") == ""

    async def test_not_when_it_was_taken_back_before_it_could_be_said(self, app: App) -> None:
        chat = Chat(app, Platform(QUIET))
        target, _ = await answered(chat)
        before, now = len(chat.platform.sent), app.clock.now()
        down = ReactionAdded(HIVES, "d1", target, actor("Ben"), "👎", now)
        await chat.dispatch.take([down, ReactionRemoved(HIVES, "x1", now, reaction="d1")])
        await chat.dispatch.replies.settle()
        assert len(chat.platform.sent) == before

    async def test_what_the_platform_does_not_take_is_said_later_and_once(self, app: App) -> None:
        chat = Chat(app, Platform(QUIET))
        target, _ = await answered(chat)
        chat.platform.broken = Unavailable("the platform is down")
        await chat.dispatch.take([ReactionAdded(HIVES, "d1", target, actor("Ben"), "👎", app.clock.now())])
        with pytest.raises(Unavailable):
            await chat.dispatch.replies.settle()
        chat.platform.broken = None
        for _ in range(2):
            await chat.dispatch.replies.settle()
        assert sum(WRONG in plain(reply.page) for reply in chat.platform.sent) == 1

    async def test_an_answer_of_a_conversation_is_asked_about_in_it(self, app: App) -> None:
        chat = Chat(app, Platform(QUIET))
        await chat.say("Ana", "the queen is red")
        room = await app.directory.find_room(app.tenant, "hives")
        made = await app.shuttle.weave("what is red?", chat_scope(app, room.id), thread="t1")
        await app.outbox.put(room, "x", in_reply_to=None, shows=made)
        await app.outbox.sent(room, "x", "sent99")
        assert WRONG in await react(chat, "sent99", "👎")
        assert chat.platform.sent[-1].thread == "t1"


def chat_scope(app: App, room: int) -> Scope:
    return Scope(app.tenant, (room,))


class TestTheMark:
    async def test_a_star_gets_it(self, app: App) -> None:
        chat = Chat(app, Platform(QUIET))
        target, _ = await answered(chat)
        assert await react(chat, target, "⭐️") == ""
        await react(chat, target, "👍")
        assert chat.platform.marked == [(target, "📌")]

    async def test_where_we_may_not_it_is_once_in_the_log_and_nowhere_else(self, app: App) -> None:
        chat = Chat(app, Platform(QUIET))
        chat.platform.may_mark = False
        target, _ = await answered(chat)
        with structlog.testing.capture_logs() as logged:
            said = [await react(chat, target, "⭐", who) for who in ("Ben", "Cleo", "Dan")]
        assert said == ["", "", ""]
        assert [one["event"] for one in logged].count("mark.refused") == 1

    async def test_a_platform_that_is_down_is_not_asked_for_ever(self, app: App) -> None:
        chat = Chat(app, Platform(QUIET))
        target, _ = await answered(chat)
        chat.platform.broken = Unavailable("the platform is down")
        await chat.dispatch.take([ReactionAdded(HIVES, "s1", target, actor("Ben"), "⭐", app.clock.now())])
        for _ in range(TRIES - 1):
            with pytest.raises(Unavailable):
                await chat.dispatch.replies.settle()
        await chat.dispatch.replies.settle()
        chat.platform.broken = None
        await chat.dispatch.replies.settle()
        assert chat.platform.marked == []

    async def test_not_on_what_one_person_sees(self, app: App) -> None:
        chat = Chat(app, Platform(QUIET))
        target, _ = await answered(chat)
        await react(chat, target, "⭐", private=True)
        assert chat.platform.marked == []

"""What we say: once each, in a form that stands alone, to the right people."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.models import Arrival, Attachment, Deletion, Edit, IncomingMessage, Reply
from bot.pages import FAINT, STRONG, line, page, plain
from memory.errors import Refused
from tests.services.bot.adapters.matrix.bots import Bot, label, room_with
from tests.services.matrix import Event, Person, said_by
from tests.services.synapse import ROOM_VERSIONS, Homeserver

pytestmark = pytest.mark.services


def ours(events: list[Event], bot: Bot) -> list[Event]:
    return [one for one in events if one["type"] == "m.room.message" and one["sender"] == bot.user_id]


class TestATransaction:
    """Row 22: the same transaction posts once, whatever ends in between."""

    async def test_given_twice_posts_once(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        first = await bot.says(place, "In the shed.", transaction="question-1")
        assert await bot.says(place, "In the shed.", transaction="question-1") == first
        assert await bot.says(place, "In the shed.", transaction="question-2") != first
        assert len(ours(await ana.history(place.room), bot)) == 2

    @pytest.mark.alone("synapse")
    @pytest.mark.parametrize("encrypted", [False, True])
    async def test_posts_once_over_restarts_of_both(
        self, resting_bot: Bot, ana: Person, homeserver: Homeserver, *, encrypted: bool
    ) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana, encrypted=encrypted)
            first = await bot.says(place, "In the shed.", transaction="question-1")
        async with resting_bot.running() as bot:
            assert await bot.says(place, "In the shed.", transaction="question-1") == first
            await homeserver.restart()
            assert await bot.says(place, "In the shed.", transaction="question-1") == first
        sent = [one for one in await ana.history(place.room) if one["sender"] == bot.user_id and "state_key" not in one]
        assert [one["event_id"] for one in sent] == [first]


class TestAnAnswer:
    """Row 23, and how it looks."""

    async def test_in_a_thread_stays_there(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        root = await ana.say(place.room, "About the smoker.")
        question = await ana.say(place.room, "!weave where is it?", thread=root)
        seen = await bot.sees(IncomingMessage, lambda one: one.event_id == question)
        assert (seen.thread, seen.reply_to) == (root, None)
        await bot.says(place, "In the shed.", in_reply_to=question, thread=root)
        relation = (await ana.hears(place.room, said_by(bot.user_id)))["content"]["m.relates_to"]
        assert relation == {
            "rel_type": "m.thread",
            "event_id": root,
            "is_falling_back": False,
            "m.in_reply_to": {"event_id": question},
        }

    async def test_has_html_and_a_plain_body_that_stands_alone(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        assert bot.port is not None
        shown = page(line((STRONG, "Ana"), (FAINT, ", Tue — "), "<b>5 > 3</b>"))
        await bot.port.send(Reply(place, shown), transaction="")
        content = (await ana.hears(place.room, said_by(bot.user_id)))["content"]
        assert content["body"] == "Ana, Tue — <b>5 > 3</b>"
        assert content["formatted_body"] == "<strong>Ana</strong><em>, Tue — </em>&lt;b&gt;5 &gt; 3&lt;/b&gt;"
        assert content["m.mentions"] == {}

    async def test_is_not_heard_by_ourselves_and_notices_of_other_bots_neither(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        await bot.says(place, "!weave is this a question?")
        await ana.say(place.room, "!weave is this one?", kind="m.notice")
        await ana.say(place.room, "waves", kind="m.emote")
        await bot.sees(IncomingMessage, lambda one: one.text == "waves")
        assert [one.text for one in bot.all(IncomingMessage)] == ["waves"]

    async def test_can_be_resolved_from_the_room_alone(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        assert bot.port is not None
        answer = await bot.says(place, "In the shed.", label=label("answer-1"))
        assert await bot.port.shown_in(place, answer) == "answer-1"
        await bot.says(place, "In the cellar.", label=label("answer-2"), replaces=answer)
        assert await bot.port.shown_in(place, answer) == "answer-2"
        other = await bot.says(place, "Hello.")
        theirs = await ana.say(place.room, "hello")
        assert [await bot.port.shown_in(place, one) for one in (other, theirs, "$none")] == [None, None, None]


class TestAnEdit:
    """Row 20."""

    async def test_of_ours_takes_the_place_of_the_answer(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        answer = await bot.says(place, "In the shed.", label=label("answer-1"))
        await bot.says(place, "In the cellar.", label=label("answer-2"), replaces=answer)
        newest = (await ana.event(place.room, answer))["unsigned"]["m.relations"]["m.replace"]
        assert newest["content"]["m.new_content"]["body"] == "In the cellar."
        assert newest["content"]["body"] == "* In the cellar."
        assert newest["content"]["m.new_content"]["msgtype"] == "m.notice"

    async def test_of_a_question_is_an_edit_and_no_second_question(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        question = await ana.say(place.room, "!weave where is the smokr?")
        await ana.edit(place.room, question, "!weave where is the smoker?")
        edit = await bot.sees(Edit)
        assert edit.text == "!weave where is the smoker?"
        assert [one.event_id for one in bot.all(IncomingMessage)] == [question]

    async def test_that_is_taken_away_gives_the_text_before_it_back(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        first = await ana.say(place.room, "The smoker is in the shed.")
        kept = await ana.edit(place.room, first, "The smoker is in the cellar.")
        regretted = await ana.edit(place.room, first, "The code of the cellar is 1234.")
        await bot.sees(Edit, lambda one: one.event_id == regretted)
        redaction = await ana.redact(place.room, regretted)
        back = await bot.sees(Edit, lambda one: one.event_id == redaction)
        assert (back.target, back.text) == (first, "The smoker is in the cellar.")
        redaction = await ana.redact(place.room, kept)
        back = await bot.sees(Edit, lambda one: one.event_id == redaction)
        assert back.text == "The smoker is in the shed."
        await ana.redact(place.room, first)
        assert (await bot.sees(Deletion)).target == first

    async def test_by_somebody_else_is_ignored_also_after_a_restart(
        self, resting_bot: Bot, ana: Person, ben: Person
    ) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana)
            await ana.invite(place.room, ben.user_id)
            await ben.join(place.room)
            first = await ana.say(place.room, "The smoker is in the shed.")
            await ben.edit(place.room, first, "The smoker is mine.")
            marker = await ana.say(place.room, "so far")
            await bot.sees(IncomingMessage, lambda one: one.event_id == marker)
            assert bot.all(Edit) == []
        async with resting_bot.running() as bot:
            await ben.edit(place.room, first, "The smoker is mine, I say.")
            marker = await ana.say(place.room, "and further")
            await bot.sees(IncomingMessage, lambda one: one.event_id == marker)
            assert bot.all(Edit) == []


class TestALongAnswer:
    """Row 21."""

    @pytest.mark.parametrize("encrypted", [False, True])
    async def test_is_cut_at_sense_with_the_whole_as_a_file(self, bot: Bot, ana: Person, *, encrypted: bool) -> None:
        place = await room_with(bot, ana, encrypted=encrypted)
        assert bot.port is not None
        long = page(*(f"Sentence {n} of a very long answer about bees & honey. " * 4 for n in range(400)))
        event_id = await bot.port.send(Reply(place, long, label=label()), transaction="long")
        assert await bot.port.send(Reply(place, long, label=label()), transaction="long") == event_id
        if encrypted:
            return  # what is in it is read by the peer's tests
        said, handed = ours(await ana.history(place.room), bot)
        assert said["content"]["body"].endswith("honey. \n… The rest stands in the file below.")
        assert handed["content"]["msgtype"] == "m.file"
        assert (await ana.download(handed["content"]["url"])).decode().strip() == plain(long).strip()

    async def test_of_characters_that_grow_in_html_and_edits_still_fits(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        assert bot.port is not None
        first = await bot.says(place, "wait")
        grows = page(*(line((STRONG, "<&>\N{HONEYBEE}" * 500)) for _ in range(40)))
        await bot.port.send(Reply(place, grows, replaces=first), transaction="")
        newest = (await ana.event(place.room, first))["unsigned"]["m.relations"]["m.replace"]
        assert "<&>" in newest["content"]["m.new_content"]["body"]


class TestAPrivateReply:
    async def test_goes_to_a_room_of_two_that_is_found_again(self, resting_bot: Bot, ana: Person, ben: Person) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana)
            await ana.invite(place.room, ben.user_id)
            await ben.join(place.room)
            await bot.says(place, "What I know about you.", private=True, to=ben.user_id, transaction="export")
            direct = await _invited(ben)
            await ben.join(direct)
            assert (await ben.hears(direct, said_by(bot.user_id)))["content"]["body"] == "What I know about you."
            assert await ben.members(direct) == {ben.user_id, bot.user_id}
        async with resting_bot.running() as bot:
            await bot.says(place, "More.", private=True, to=ben.user_id)
            await ben.hears(direct, said_by(bot.user_id, "More."))
        assert ours(await ana.history(place.room), bot) == []

    async def test_from_an_encrypted_room_goes_to_an_encrypted_one(self, bot: Bot, ana: Person, ben: Person) -> None:
        plain_room = await room_with(bot, ana)
        await bot.says(plain_room, "Plainly.", private=True, to=ben.user_id)
        first = await _invited(ben)
        await ben.join(first)
        secret = await room_with(bot, ana, encrypted=True)
        await bot.says(secret, "In secret.", private=True, to=ben.user_id)
        second = await _invited(ben, but=first)
        await ben.join(second)
        assert (await ben.state(second, "m.room.encryption"))["algorithm"] == "m.megolm.v1.aes-sha2"
        assert "In secret." not in str(await ben.history(first))

    async def test_with_a_file_hands_it_over_there(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        file = Attachment("export.jsonl", ['{"text": "hello"}', '{"text": "bees"}'])
        await bot.says(place, "Here it is.", private=True, to=ana.user_id, attachment=file)
        # the room is already one of the two of them
        handed = await ana.hears(place.room, lambda one: one["content"].get("msgtype") == "m.file")
        assert (handed["content"]["filename"], handed["content"]["info"]["size"]) == ("export.jsonl", 35)
        assert await ana.download(handed["content"]["url"]) == b'{"text": "hello"}\n{"text": "bees"}\n'

    async def test_in_a_room_that_they_opened_with_us_goes_there(self, bot: Bot, ana: Person, ben: Person) -> None:
        direct = await ben.create_room("12", name="", invite=(bot.user_id,), is_direct=True)
        await bot.comes_to(direct)
        await asyncio.sleep(0.3)
        place = await room_with(bot, ana)
        await bot.says(place, "Only for you.", private=True, to=ben.user_id)
        await ben.hears(direct, said_by(bot.user_id, "Only for you."))

    async def test_after_they_left_the_room_of_two_opens_another(self, bot: Bot, ana: Person, ben: Person) -> None:
        place = await room_with(bot, ana)
        await bot.says(place, "One.", private=True, to=ben.user_id)
        first = await _invited(ben)
        await ben.join(first)
        await ben.leave(first)
        await bot.says(place, "Two.", private=True, to=ben.user_id)
        assert await _invited(ben, but=first) != first


class TestWhereWeAreNot:
    async def test_sending_is_refused_for_good(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        await ana.kick(place.room, bot.user_id)
        with pytest.raises(Refused):  # also while the kick has not reached us yet
            await bot.says(place, "Hello?")
        await bot.sees(Arrival, lambda one: not one.joined)
        with pytest.raises(Refused):
            await bot.says(place, "Hello?")

    @pytest.mark.parametrize("version", ROOM_VERSIONS)
    async def test_so_is_a_room_where_we_may_not_speak(self, bot: Bot, ana: Person, version: str) -> None:
        place = await room_with(bot, ana, version)
        levels = await ana.state(place.room, "m.room.power_levels")
        await ana.set_state(place.room, "m.room.power_levels", {**levels, "events_default": 50})
        with pytest.raises(Refused, match="refuses that"):
            await bot.says(place, "Hello?")


async def _invited(person: Person, *, but: str = "") -> str:
    """The room that the person is invited to, waiting for it."""
    for _ in range(30):
        rooms = [room for room in person.invited if room != but]
        if rooms:
            return rooms[0]
        await person.sync(500)
    raise AssertionError(f"{person.user_id} was not invited")


class TestAMark:
    """On an answer that somebody starred."""

    async def test_is_one_reaction_however_often_it_is_put(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        answer = await bot.says(place, "In the shed.")
        assert bot.port is not None
        assert [await bot.port.mark(place, answer, mark) for mark in ("📌", "📌")] == [True, True]
        marks = [one for one in await ana.history(place.room) if one["type"] == "m.reaction"]
        relation = {"rel_type": "m.annotation", "event_id": answer, "key": "📌"}
        assert [(one["sender"], one["content"]["m.relates_to"]) for one in marks] == [(bot.user_id, relation)]

    async def test_is_left_out_where_we_may_not_and_where_nothing_is(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        answer = await bot.says(place, "In the shed.")
        assert bot.port is not None
        levels = await ana.state(place.room, "m.room.power_levels")
        events = {**levels.get("events", {}), "m.reaction": 50}
        await ana.set_state(place.room, "m.room.power_levels", {**levels, "events": events})
        assert not await bot.port.mark(place, answer, "📌")
        assert not await bot.port.mark(replace(place, room="!nowhere:localhost"), answer, "📌")
        assert [one for one in await ana.history(place.room) if one["type"] == "m.reaction"] == []

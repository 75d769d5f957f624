"""What happens while we are away, or while a batch is not committed, is not lost and not told twice."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from bot.models import Arrival, Deletion, Edit, Gap, IncomingMessage, ReactionAdded, ReactionRemoved, ReactionsStanding
from memory.models import Provenance
from tests.services.bot.adapters.matrix.bots import Bot, by_hand, label, room_with
from tests.services.matrix import Person
from tests.services.synapse import ROOM_VERSIONS, Homeserver

pytestmark = pytest.mark.services


def texts(bot: Bot, room: str) -> list[str]:
    return [one.text for one in bot.all(IncomingMessage, room)]


class TestABatchThatWasNotCommitted:
    """Rows 5, 6, 7: the token is ours and moves after the commit."""

    async def test_comes_again_whole_after_a_crash(self, resting_bot: Bot, ana: Person) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana)
        await ana.say(place.room, "one")
        await ana.say(place.room, "two")
        before = dict(resting_bot.notebook.notes)
        resting_bot.refuse = lambda batch: any(isinstance(one, IncomingMessage) for one in batch)
        with contextlib.suppress(SystemError):
            async with resting_bot.running():
                await asyncio.sleep(2)
        assert resting_bot.notebook.notes["sync"] == before["sync"]
        await ana.say(place.room, "three")
        resting_bot.refuse = lambda _: False
        async with resting_bot.running() as bot:
            await bot.sees(IncomingMessage, lambda one: one.text == "three")
            assert texts(bot, place.room) == ["one", "two", "three"]

    async def test_what_was_committed_is_not_told_again(self, resting_bot: Bot, ana: Person) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana)
            await ana.say(place.room, "one")
            await bot.sees(IncomingMessage)
            await ana.say(place.room, "two")  # the sync that brings it notes the token of the one before
            await bot.sees(IncomingMessage, lambda one: one.text == "two")
            await asyncio.sleep(0.5)
        async with resting_bot.running() as bot:
            await ana.say(place.room, "three")
            await bot.sees(IncomingMessage, lambda one: one.text == "three")
            assert texts(bot, place.room) == ["one", "two", "three"]

    async def test_a_database_that_is_down_delays_the_token_and_nothing_else(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        bot.notebook.broken = True
        await ana.say(place.room, "one")
        await bot.sees(IncomingMessage, lambda one: one.text == "one")
        noted = bot.notebook.notes["sync"]
        bot.notebook.broken = False
        await ana.say(place.room, "two")
        await bot.sees(IncomingMessage, lambda one: one.text == "two")
        await asyncio.sleep(0.5)
        assert bot.notebook.notes["sync"] != noted


class TestAConsumerThatIsSlow:
    """Row 8: nothing is answered inside the sync, so answers leave while a batch is still being committed."""

    async def test_does_not_keep_us_from_sending(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        committed = asyncio.Event()
        bot.hold = committed
        await ana.say(place.room, "one")
        event_id = await bot.says(place, "An answer.")
        assert (await ana.hears(place.room, lambda one: one["event_id"] == event_id))["sender"] == bot.user_id
        assert texts(bot, place.room) == []
        committed.set()
        await bot.sees(IncomingMessage)


@pytest.mark.parametrize("version", ROOM_VERSIONS)
class TestTheFirstSync:
    """Row 9: what was said before we came is history, and never a command."""

    async def test_gives_what_was_before_our_coming_as_history(self, bot: Bot, ana: Person, version: str) -> None:
        room = await ana.create_room(version)
        before = await ana.say(room, "!weave where is the smoker?")
        await ana.invite(room, bot.user_id)
        place = await bot.comes_to(room)
        after = await ana.say(place.room, "!weave and the veil?")
        await bot.sees(IncomingMessage, lambda one: one.event_id == after)
        how = {one.event_id: one.provenance for one in bot.all(IncomingMessage, room)}
        assert how == {before: Provenance.HISTORY, after: Provenance.LIVE}

    async def test_of_an_account_that_was_there_before_is_history(
        self, resting_bot: Bot, ana: Person, version: str, homeserver: Homeserver
    ) -> None:
        room = await ana.create_room(version, invite=(resting_bot.user_id,))
        await Person(ana._session, homeserver.url, by_hand(resting_bot)).join(room)
        sent = [await ana.say(room, f"!weave question {n}") for n in range(60)]
        async with resting_bot.running() as bot:
            await bot.sees(IncomingMessage, lambda one: one.event_id == sent[-1])
            assert {one.provenance for one in bot.all(IncomingMessage, room)} == {Provenance.HISTORY}
            assert bot.all(Arrival) == []


class TestAGap:
    """Row 10: what did not fit into the sync is read page by page, oldest first, up to a bound."""

    async def test_beyond_the_bound_is_told_with_its_times(self, resting_bot: Bot, ana: Person) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana)
            await ana.say(place.room, "before")
            await bot.sees(IncomingMessage)
        sent = [await ana.say(place.room, f"message {n}") for n in range(120)]
        async with resting_bot.running(most=40) as bot:
            await bot.sees(IncomingMessage, lambda one: one.event_id == sent[-1])
            gap = bot.all(Gap)[0]
            assert gap.place.room == place.room
            assert gap.since < gap.until
            missed = [one.event_id for one in bot.all(IncomingMessage) if one.text != "before"]
            assert missed == sent[-90:]  # 50 of the sync itself, 40 read before them

    async def test_ends_where_we_came_to_the_room(self, resting_bot: Bot, ana: Person) -> None:
        async with resting_bot.running() as bot:
            await room_with(bot, ana)
        room = await ana.create_room("12")
        for n in range(20):
            await ana.say(room, f"before us {n}")
        await ana.invite(room, resting_bot.user_id)
        async with resting_bot.running() as bot:
            await bot.comes_to(room)
            assert bot.all(Gap) == []
            assert {one.provenance for one in bot.all(IncomingMessage, room)} == {Provenance.HISTORY}


class TestReactionsMissed:
    """Row 3, and reactions reconciled at start."""

    async def test_a_reaction_that_came_and_went_is_a_reaction_removed(self, resting_bot: Bot, ana: Person) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana)
            answer = await bot.says(place, "In the shed.", label=label())
        reaction = await ana.react(place.room, answer, "👍")
        await ana.redact(place.room, reaction)
        async with resting_bot.running() as bot:
            removed = await bot.sees(ReactionRemoved)
            assert removed.reaction == reaction
            assert bot.all(ReactionAdded) == []

    async def test_a_reaction_from_before_that_a_moderator_took_away(
        self, resting_bot: Bot, ana: Person, ben: Person
    ) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana)
            await ana.invite(place.room, ben.user_id)
            await ben.join(place.room)
            answer = await bot.says(place, "In the shed.", label=label())
            reaction = await ben.react(place.room, answer, "👎")
            await bot.sees(ReactionAdded)
        await ana.redact(place.room, reaction)
        async with resting_bot.running() as bot:  # nothing of before is in memory now: the homeserver is asked
            assert (await bot.sees(ReactionRemoved)).reaction == reaction
            assert bot.all(Deletion) == []

    async def test_what_stands_on_our_answers_is_read_again_at_start(self, resting_bot: Bot, ana: Person) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana)
            answers = [await bot.says(place, f"Answer {n}.", label=label()) for n in range(30)]
            bot.notebook.shown[place.room] = answers[::-1]
        await ana.react(place.room, answers[3], "👍")
        await ana.react(place.room, answers[3], "⭐")
        gone = await ana.react(place.room, answers[4], "👎")
        await ana.redact(place.room, gone)
        async with resting_bot.running() as bot:
            await bot.sees(ReactionsStanding, lambda one: one.target == answers[0])
            standing = {one.target: {each.emoji for each in one.standing} for one in bot.all(ReactionsStanding)}
        assert set(standing) == set(answers)
        assert standing[answers[3]] == {"👍", "⭐"}
        assert standing[answers[4]] == set()


class TestEditsAndDeletionsMissed:
    async def test_arrive_after_what_they_change(self, resting_bot: Bot, ana: Person) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana)
        first = await ana.say(place.room, "The smoker is in the shead.")
        edit = await ana.edit(place.room, first, "The smoker is in the shed.")
        gone = await ana.say(place.room, "secret")
        await ana.redact(place.room, gone)
        async with resting_bot.running() as bot:
            assert (await bot.sees(Edit)).event_id == edit
            assert (await bot.sees(Deletion)).target == gone
            told = [type(one) for one in bot.seen if one.place.room == place.room and not isinstance(one, Arrival)]
            assert told.index(IncomingMessage) < told.index(Edit)
            assert "secret" not in texts(bot, place.room)

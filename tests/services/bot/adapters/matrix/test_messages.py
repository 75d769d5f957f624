"""What people write reaches us, and what we write reaches them."""

from __future__ import annotations

import pytest

from bot.models import Deletion, Edit, IncomingMessage, ReactionAdded, ReactionRemoved
from memory.models import Provenance
from tests.services.bot.adapters.matrix.bots import Bot, label, room_with
from tests.services.matrix import Person, said_by
from tests.services.synapse import ROOM_VERSIONS

pytestmark = pytest.mark.services


@pytest.mark.parametrize("version", ROOM_VERSIONS)
class TestARoom:
    async def test_a_message_reaches_us_once_and_live(self, bot: Bot, ana: Person, version: str) -> None:
        place = await room_with(bot, ana, version)
        event_id = await ana.say(place.room, "The smoker is in the shed.")
        seen = await bot.sees(IncomingMessage, lambda one: one.event_id == event_id)
        assert (seen.text, seen.actor.external_id, seen.actor.name) == (
            "The smoker is in the shed.",
            ana.user_id,
            "Ana",
        )
        assert (seen.provenance, seen.place.name, seen.place.team) == (Provenance.LIVE, "hives", bot.user_id)

    async def test_an_answer_reaches_people_as_a_notice(self, bot: Bot, ana: Person, version: str) -> None:
        place = await room_with(bot, ana, version)
        question = await ana.say(place.room, "!weave where is the smoker?")
        await bot.sees(IncomingMessage, lambda one: one.event_id == question)
        event_id = await bot.says(place, "In the shed.", in_reply_to=question, label=label(), transaction="t1")
        heard = await ana.hears(place.room, said_by(bot.user_id))
        assert heard["event_id"] == event_id
        content = heard["content"]
        assert (content["msgtype"], content["body"]) == ("m.notice", "In the shed.")
        assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": question}}
        assert content["org.weavebot.answer"]["answer_id"] == "answer-1"

    async def test_reactions_come_and_go(self, bot: Bot, ana: Person, version: str) -> None:
        place = await room_with(bot, ana, version)
        answer = await bot.says(place, "In the shed.", label=label())
        reaction = await ana.react(place.room, answer, "👍")
        added = await bot.sees(ReactionAdded)
        assert (added.event_id, added.target, added.emoji) == (reaction, answer, "👍")
        await ana.redact(place.room, reaction)
        removed = await bot.sees(ReactionRemoved)
        assert removed.reaction == reaction

    async def test_edits_and_redactions(self, bot: Bot, ana: Person, version: str) -> None:
        place = await room_with(bot, ana, version)
        first = await ana.say(place.room, "!weave where is the smokr?")
        edit = await ana.edit(place.room, first, "!weave where is the smoker?")
        seen = await bot.sees(Edit)
        assert (seen.event_id, seen.target, seen.text) == (edit, first, "!weave where is the smoker?")
        await ana.redact(place.room, first)
        gone = await bot.sees(Deletion)
        assert gone.target == first
        assert [one.event_id for one in bot.all(IncomingMessage)] == [first]

    async def test_what_was_said_while_away_is_recovered(self, resting_bot: Bot, ana: Person, version: str) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana, version)
            await ana.say(place.room, "before")
            await bot.sees(IncomingMessage)
        sent = [await ana.say(place.room, f"message {n}") for n in range(120)]
        async with resting_bot.running() as bot:
            await bot.sees(IncomingMessage, lambda one: one.event_id == sent[-1])
            missed = bot.all(IncomingMessage)[1:]
            assert [one.event_id for one in missed] == sent
            assert {one.provenance for one in missed} == {Provenance.RECOVERED}

"""The digest tells a room's week."""

from __future__ import annotations

from datetime import timedelta

from memory.models import Room
from routing.digest import Digests
from routing.statistics import Statistician
from tests.doubles import START
from tests.parts import Memory, draft

TALK = (
    ("Ana", "the extractor is broken again"),
    ("Ben", "who has the long ladder of the club?"),
    ("Cleo", "nice weather for a swarm today"),
    ("Ana", "where does the spare queen cage live these days?"),
    ("Ben", "the spare queen cage lives in the blue box"),
)


def digests(memory: Memory) -> Digests:
    return Digests(memory.database, memory.rooms, memory.learner, memory.clock)


class TestComposing:
    async def test_open_questions_are_those_that_nobody_answered(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK, start=START - timedelta(days=1))
        digest = await digests(memory).compose(room)
        assert [line.text for line in digest.open_questions] == [TALK[1][1]]
        assert (digest.messages, digest.people) == (5, 3)

    async def test_a_reply_closes_a_question(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK, start=START - timedelta(days=1))
        await memory.journal.admit(room, [draft("r1", "Cleo", "me, sorry", reply_to="e2")])
        assert (await digests(memory).compose(room)).open_questions == ()

    async def test_last_weeks_talk_is_not_this_weeks(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK, start=START - timedelta(days=9))
        digest = await digests(memory).compose(room)
        assert (digest.messages, digest.open_questions, digest.asked) == (0, (), ())

    async def test_what_was_asked_what_helped_and_what_was_starred(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK, start=START - timedelta(days=1))
        ana = await memory.directory.find_person(memory.tenant, "ana")
        scope = memory.scope(room, asker=ana.id)
        good = await memory.shuttle.weave("Where does the queen cage live?", scope, seed=1)
        for _ in range(2):
            await memory.shuttle.weave("What is the weather like?", scope, seed=1)
        await memory.shuttle.vote(memory.tenant, good.id, ana, "⭐")
        digest = await digests(memory).compose(room)
        assert [line.text for line in digest.asked] == ["What is the weather like?", "Where does the queen cage live?"]
        assert [line.text for line in digest.helped] == ["Where does the queen cage live?"]
        assert [line.id for line in digest.starred] == [good.citations[0].message_id]
        assert (digest.answers, digest.liked, digest.disliked) == (3, 1, 0)
        assert digest.routes[0].decisions == 3

    async def test_a_week_is_kept_once(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK, start=START - timedelta(days=1))
        book = digests(memory)
        digest = await book.compose(room, START)
        assert await book.keep(room, digest)
        await book.posted(room, digest.until)
        assert not await book.keep(room, digest)


class TestStatistics:
    async def test_numbers_are_those_of_the_scope(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        other = await memory.room("market")
        await memory.say(other, ("Zoe", "hello"))
        ana = await memory.directory.find_person(memory.tenant, "ana")
        answer = await memory.shuttle.weave("Where is the cage?", memory.scope(room, asker=ana.id), route="chat")
        await memory.shuttle.vote(memory.tenant, answer.id, ana, "👍")
        stats = await Statistician(memory.database, memory.learner, memory.clock).stats(memory.scope(room))
        assert (stats.messages, stats.people, stats.sessions, stats.answers, stats.votes) == (5, 3, 1, 1, 1)
        [chat] = stats.routes
        assert (chat.route, chat.decisions, chat.votes, chat.recent) == ("chat", 1, 1, 1)
        assert chat.low < chat.mean < chat.high
        assert chat.mean > 0.5

    async def test_the_change_is_this_week_against_before(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        ana = await memory.directory.find_person(memory.tenant, "ana")
        scope = memory.scope(room, asker=ana.id)
        for emoji, at in (("👎", START - timedelta(days=10)), ("👍", START)):
            answer = await memory.shuttle.weave(f"Where is it {emoji}?", scope, route="chat", asked_at=at)
            await memory.shuttle.vote(memory.tenant, answer.id, ana, emoji)
        stats = await Statistician(memory.database, memory.learner, memory.clock).stats(scope)
        change = stats.routes[0].change
        assert change is not None
        assert change > 0

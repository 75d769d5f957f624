"""What leans on the question before, and what it takes over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from benchmarks.followups import inherits, pairs, right
from benchmarks.harness import drafts
from benchmarks.rooms import rooms
from memory.models import Message, Query, Room, Scope
from routing.following import Said, follows, in_words, inherited
from tests.doubles import START
from tests.parts import Memory

pytestmark = pytest.mark.embedded  # nothing here depends on the database

PEOPLE = {"ana": 1, "ben": 2, "kwame": 3}
LATER = timedelta(minutes=5)
TALK = (
    ("Ana", "I mended the extractor with a gear of brass"),
    ("Ben", "the barrow stands in the yard"),
    ("Ana", "the gear for the extractor cost nine euros"),
    ("Ben", "the tea cost four euros"),
    ("Kwame", "hive 4 is dead, poor bees"),
    ("Ben", "it starved in the cold"),
)


def said(question: str, author: str = "", text: str = "", serial: int = 1) -> Said:
    """A question and the message that answered it."""
    if not author:
        return Said(serial, question)
    return Said(serial, question, Message(9, 1, "e9", PEOPLE[author.lower()], author, text, START))


def taken(question: str, *course: Said) -> tuple[str, ...]:
    """What a follow-up takes over, as people call it."""
    return inherited(Query(question, Scope(1, (1,)), START, PEOPLE), course).labels


class TestFollows:
    @pytest.mark.parametrize(
        "question",
        ["And why?", "Why?", "By whom?", "What was wrong with it?", "Who told them?", "When was that?",
         "What about Ana?", "Who will look then?", "What book is she lending to Ana?"],
    )  # fmt: skip
    def test_it_leans_on_what_was_asked(self, question: str) -> None:
        assert follows(question, ("ana",))

    @pytest.mark.parametrize(
        "question",
        ["Is there any honey?", "Is it true that bees sleep?", "How long does it take to extract?", "What's new?",
         "When did Ana get her first sting?", "Who lost their hat?", "And by the way, who has the key?",
         "When did the farmer say he would spray?", "Was it Ana who came?", "Why do bees swarm?", "How are you?"],
    )  # fmt: skip
    def test_it_only_looks_so(self, question: str) -> None:
        assert not follows(question, ("ana",))


class TestInheriting:
    def test_the_words_of_the_question_before(self) -> None:
        assert taken("And why?", said("When was the extractor broken?")) == ("extractor", "broken")

    def test_people_come_first_and_count_as_authors(self) -> None:
        query = Query("And when?", Scope(1, (1,)), START, PEOPLE)
        found = inherited(query, [said("What did Ana mend?")])
        assert found.labels == ("Ana", "mend")
        assert [person for person, _ in found.expansion.people] == [1]
        assert [mention.key for mention in found.expansion.mentions] == ["1"]

    def test_whoever_the_answer_is_when_it_was_asked_who(self) -> None:
        assert taken("When did he do it?", said("Who mended the pump?", "Ben", "I mended it")) == (
            "Ben",
            "mended",
            "pump",
        )

    def test_somebody_whom_the_answer_names_before_its_author(self) -> None:
        assert "Kwame" in taken("And when?", said("Who mended the pump?", "Ben", "Kwame mended the pump"))

    def test_a_thing_that_the_answer_opens_with(self) -> None:
        assert (
            taken("How is it fed?", said("What is the new colony?", "Ana", "We call her Wanderer now."))[0]
            == "Wanderer"
        )

    @pytest.mark.parametrize("question", ["And hive 7?", "What about hive 7?"])
    def test_a_thing_of_the_same_sort_takes_the_place_of_the_one_before(self, question: str) -> None:
        query = Query(question, Scope(1, (1,)), START, PEOPLE)
        found = inherited(query, [said("How many mites fell from hive 4?", "Ana", "hive 4 dropped 12")])
        assert found.labels == ("mites", "fell")
        assert "4" not in dict(found.expansion.terms)

    def test_an_older_question_counts_less_and_only_through_one_that_leant_on_it(self) -> None:
        query = Query("And where?", Scope(1, (1,)), START, PEOPLE)
        newest, older, oldest = (
            said("And the frames?", serial=3),
            said("Who has the barrow?", serial=2),
            said("Why bees?"),
        )
        found = inherited(query, [newest, older, oldest])
        weights = dict(found.expansion.terms)
        assert weights["fram"] == 2 * weights["barrow"] > 0
        assert found.follows == (3, 2)

    def test_nothing_before_gives_nothing(self) -> None:
        assert not inherited(Query("And why?", Scope(1, (1,)), START, PEOPLE), [])

    def test_it_is_told_in_a_sentence(self) -> None:
        told = in_words("Who mended it?", ("Ana", "brass", "hive 4"))
        assert told == "This follows up on \u201cWho mended it?\u201d, so I also look for Ana, brass and hive 4."


class TestInARoom:
    async def test_a_follow_up_finds_what_it_is_about_and_says_so(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        scope = memory.scope(room)
        await memory.shuttle.weave("Who mended the extractor?", scope, asked_at=START, route="keyword")
        then = await memory.shuttle.weave("And what did it cost?", scope, asked_at=START + LATER, route="keyword")
        ids = [citation.message_id for citation in then.citations]
        assert ids.index("e3") < ids.index("e4")
        why = await memory.shuttle.why(memory.tenant, then.id)
        assert (
            "This follows up on \u201cWho mended the extractor?\u201d, so I also look for Ana, mended and extractor."
            in why
        )

    async def test_without_inheriting_it_finds_what_its_own_words_say(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        scope = memory.scope(room)
        for thread, inherit in (("a", False), ("b", True)):
            await memory.shuttle.weave(
                "Who mended the extractor?", scope, asked_at=START, route="keyword", thread=thread
            )
            then = await memory.shuttle.weave(
                "And why?", scope, asked_at=START + LATER, route="keyword", inherit=inherit, thread=thread
            )
            assert ("e1" in {citation.message_id for citation in then.citations}) is inherit

    @pytest.mark.parametrize("late", [timedelta(minutes=31), timedelta(days=1)])
    async def test_after_half_an_hour_nothing_is_taken_over(self, memory: Memory, room: Room, late: timedelta) -> None:
        await memory.say(room, *TALK)
        scope = memory.scope(room)
        await memory.shuttle.weave("Who mended the extractor?", scope, asked_at=START)
        then = await memory.shuttle.weave("And what did it cost?", scope, asked_at=START + late)
        assert (await memory.book.traced(then.serial))[1] == ()

    async def test_a_thread_has_a_course_of_its_own(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        scope = memory.scope(room)
        first = await memory.shuttle.weave("Who mended the extractor?", scope, asked_at=START, thread="a")
        await memory.shuttle.weave("Which hive is dead?", scope, asked_at=START, thread="b")
        then = await memory.shuttle.weave("And why?", scope, asked_at=START + LATER, thread="a")
        assert (await memory.book.traced(then.serial))[1] == (first.serial,)

    async def test_nothing_is_taken_over_from_a_thread_into_the_room(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        scope = memory.scope(room)
        first = await memory.shuttle.weave("Who mended the extractor?", scope, asked_at=START)
        await memory.shuttle.weave("Which hive is dead?", scope, asked_at=START, thread="b")
        then = await memory.shuttle.weave("And why?", scope, asked_at=START + LATER)
        assert (await memory.book.traced(then.serial))[1] == (first.serial,)
        course = await memory.book.course(room.id, then.serial, START)
        assert [kept.serial for kept in course] == [then.serial, first.serial]

    async def test_what_was_asked_of_another_room_is_not_handed_on(self, memory: Memory, room: Room) -> None:
        other = await memory.room("secret")
        await memory.say(other, ("Ana", "the surprise party is on Friday"))
        await memory.say(room, *TALK)
        await memory.shuttle.weave("When is the surprise party?", memory.scope(other), asked_at=START, asked_in=room.id)
        then = await memory.shuttle.weave("And who comes?", memory.scope(room), asked_at=START + LATER)
        assert (await memory.book.traced(then.serial))[1] == ()
        assert not any("party" in line for line in await memory.shuttle.why(memory.tenant, then.id))

    async def test_an_erased_message_is_handed_on_no_longer(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK[:1])
        scope = memory.scope(room)
        await memory.shuttle.weave("Who mended the extractor?", scope, asked_at=START)
        then = await memory.shuttle.weave("And when?", scope, asked_at=START + LATER)
        await memory.privacy.forget_message(memory.tenant, "e1", room)
        assert not any("look for" in line for line in await memory.shuttle.why(memory.tenant, then.id))

    async def test_no_word_and_no_name_is_kept_of_what_was_taken_over(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        scope = memory.scope(room)
        for number, question in enumerate(("Who mended the extractor?", "And when did Ana do it?")):
            answer = await memory.shuttle.weave(
                question, scope, asked_at=START + number * LATER, route="recursive", seed=1
            )
        [row] = await memory.book.decided(memory.tenant, [answer.serial])
        assert row.trace["follows"]
        assert not any(word in str(row.trace).lower() for word in ("ana", "extractor", "mend", "gear", "brass"))
        assert all(type(found) is int for room_ in row.trace["rooms"] for _, _, found, _ in room_["steps"])


class TestTheSet:
    async def test_routes_and_entities_of_our_own_follow_ups(self, memory: Memory) -> None:
        [demo] = rooms("demo") or []
        kept = await memory.room(demo.name)
        await memory.journal.admit(kept, drafts(demo.messages))
        await memory.indexer.drain()
        at = demo.messages[-1].sent_at + timedelta(hours=1)
        verdicts: dict[bool, list[bool]] = {True: [], False: []}
        for pair in pairs()[::2]:  # the benchmark asks them all
            _, route, told = await inherits(memory.shuttle, memory.scope(kept), pair, at)
            verdicts[pair.follows].append(route and right(pair, told))
        assert sum(pair.follows for pair in pairs()) >= 100
        assert sum(verdicts[True]) >= 0.95 * len(verdicts[True])
        assert sum(verdicts[False]) >= 0.95 * len(verdicts[False])

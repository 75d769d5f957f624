"""What the rules derive from messages, and what they leave alone."""

from __future__ import annotations

from datetime import date

import pytest

from memory.models import EntityKind, Mention
from memory.reflection import episodic, procedural, semantic
from memory.reflection.models import Aspect, Before, Derived, Line, Material
from tests.doubles import START

PRIYA = Mention(EntityKind.PERSON, "7", "Priya Nair")
HIVE = Mention(EntityKind.NAME, "hive 4", "Hive 4")


def material(text: str, *mentions: Mention, before: Before | None = None) -> Material:
    return Material(1, 3, text, START, mentions, before)


def said(found: list[Derived] | tuple[Derived, ...]) -> list[tuple[str, str, str, str]]:
    return [(one.aspect.value, one.subject, one.verb, one.object) for one in found]


class TestSemantic:
    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("The gate code is 4471.", ("fact", "The gate code", "is", "4471")),
            ("Hive 4 is awfy light, but it will do", ("fact", "Hive 4", "is", "awfy light")),
            ("FYI: our insurance costs £180 a year!", ("fact", "our insurance", "costs", "£180 a year")),
            ("I live in Bristol, and you?", None),
            ("I live in Bristol.", ("fact", "I", "live", "in Bristol")),
            ("I prefer cold tea.", ("preference", "I", "prefer", "cold tea")),
            ("I can't stand the smell of propolis", ("preference", "I", "can't stand", "the smell of propolis")),
            ("My favourite honey is heather", ("preference", "My favourite honey", "is", "heather")),
            ("Priya has the grey key", ("relation", "Priya", "has", "the grey key")),
        ],
    )
    def test_a_statement_is_taken_in_its_own_words(self, text: str, wanted: tuple[str, ...] | None) -> None:
        found = said(list(semantic.derive(material(text, PRIYA, HIVE))))
        assert found == ([] if wanted is None else [wanted])

    @pytest.mark.parametrize(
        "text",
        [
            "Is the gate code 4471?",
            "Maybe the gate code is 4471",
            "If the gate code is 4471 we are in",
            "It is great",
            "The view is lovely",
            "I like that",
            "I love it!",
            "I'd like a word",
            "The kettle is boiling",
            "Ruth has written about the lease",
            "the {disfmarker} remote is uh blue",
            "> The gate code is 4471",
            "",
        ],
    )
    def test_questions_guesses_and_feelings_are_left_alone(self, text: str) -> None:
        assert semantic.derive(material(text)) == []

    def test_what_tells_of_people_is_marked_so_and_names_whom(self) -> None:
        [relation] = semantic.derive(material("Priya has the grey key", PRIYA))
        [own] = semantic.derive(material("I prefer cold tea"))
        [thing] = semantic.derive(material("The gate code is 4471"))
        assert (relation.of, relation.personal) == ("7", True)
        assert (own.of, own.personal) == (None, True)
        assert not thing.personal

    @pytest.mark.parametrize("text", ["Nair has the grey key", "Priya has the grey key", "Priya Nair has the grey key"])
    def test_every_part_of_a_name_names_the_person(self, text: str) -> None:
        [found] = semantic.derive(material(text, PRIYA))
        assert (found.aspect, found.of) == (Aspect.RELATION, "7")

    def test_a_part_that_two_people_share_names_neither(self) -> None:
        other = Mention(EntityKind.PERSON, "8", "Priya Das")
        assert all(one.of is None for one in semantic.derive(material("Priya has the key", PRIYA, other)))


class TestEpisodic:
    @pytest.mark.parametrize(
        ("text", "wanted", "on"),
        [
            ("I moved hive 6 yesterday.", ("event", "I", "moved", "hive 6 yesterday"), date(2026, 3, 1)),
            ("Ordered 34 jars", ("event", "I", "ordered", "34 jars"), date(2026, 3, 2)),
            ("Priya spotted the queen", ("event", "Priya", "spotted", "the queen"), date(2026, 3, 2)),
        ],
    )
    def test_who_did_what_when(self, text: str, wanted: tuple[str, ...], on: date) -> None:
        [found] = episodic.derive(material(text, PRIYA))
        assert (*said([found]), found.on, found.personal) == (wanted, on, True)

    @pytest.mark.parametrize(
        "text", ["I wanted a coat", "Would I have moved it?", "Jonas spotted the queen", "I loved that", "Noted."]
    )
    def test_wishes_and_strangers_are_left_alone(self, text: str) -> None:
        assert episodic.derive(material(text)) == []

    def test_a_session_is_told_by_its_most_central_messages_in_order(self) -> None:
        texts = [
            "good morning everybody",
            "the extractor in the cellar lost its bearing again",
            "a new bearing for the extractor costs thirty pounds",
            "has anybody seen my green hat",
            "then we buy the bearing and mend the extractor on Saturday",
            "lunch was nice today by the river",
        ]
        lines = [Line(i, 1, text, ()) for i, text in enumerate(texts)]
        told = episodic.summarise(lines)
        assert told is not None
        assert set(told.serials) <= {1, 2, 4}
        assert list(told.serials) == sorted(told.serials)
        assert {"extractor", "bearing"} <= set(told.topics)
        assert episodic.summarise(lines) == told

    def test_two_messages_that_say_the_same_are_not_both_told(self) -> None:
        same = "the extractor in the cellar lost its bearing again"
        texts = [same, same, "the wax melter in the shed works fine today", "new frames arrived in the red van"] * 3
        told = episodic.summarise([Line(i, 1, text, ()) for i, text in enumerate(texts)])
        assert told is not None
        assert len({texts[serial] for serial in told.serials}) == len(told.serials)

    def test_a_short_session_has_no_summary(self) -> None:
        assert episodic.summarise([Line(i, 1, "the extractor lost its bearing", ()) for i in range(3)]) is None


class TestProcedural:
    def test_a_numbered_list_is_a_howto_with_its_title(self) -> None:
        text = "Making fondant:\n1. Stir sugar and water.\n2. Boil to 114 degrees.\n3. Beat it."
        [found] = procedural.derive(material(text))
        assert said([found]) == [
            ("howto", "Making fondant", "", "Stir sugar and water.\nBoil to 114 degrees.\nBeat it.")
        ]

    def test_minutes_are_no_howto(self) -> None:
        assert procedural.derive(material("Minutes of Wednesday\n1. Lease.\n2. Jars.")) == []

    def test_an_answer_to_how_is_a_howto_with_its_question(self) -> None:
        asked = Before(8, 9, "Morning. How do I get into the shed?", replied=False)
        [found] = procedural.derive(material("Combination padlock, 4471 is the number", before=asked))
        assert found.subject == "How do I get into the shed?"
        assert found.also == (8,)

    @pytest.mark.parametrize("text", ["no idea, ask Ruth about that", "what do you need in there?", "ok"])
    def test_chatter_is_no_answer(self, text: str) -> None:
        asked = Before(8, 9, "How do I get into the shed?", replied=True)
        assert procedural.derive(material(text, before=asked)) == []

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("We decided to requeen hive 2 on Friday.", ("decision", "We", "decided to", "requeen hive 2 on Friday")),
            ("Decision: the hexagonal jars", ("decision", "", "Decision", "the hexagonal jars")),
            ("So let's go with the blue lids", ("decision", "", "let's", "go with the blue lids")),
        ],
    )
    def test_decisions(self, text: str, wanted: tuple[str, ...]) -> None:
        assert said(list(procedural.derive(material(text)))) == [wanted]

    def test_a_proposal_that_somebody_agrees_to_is_a_decision_of_both(self) -> None:
        proposed = Before(8, 9, "Bad hinge. Let's move hive 6 to the hedge", replied=True)
        [found] = procedural.derive(material("Agreed!", before=proposed))
        assert (found.aspect, found.object, found.also) == (Aspect.DECISION, "move hive 6 to the hedge", (8,))

    def test_nobody_agrees_with_themselves(self) -> None:
        proposed = Before(8, 3, "Let's move hive 6 to the hedge", replied=True)
        assert procedural.derive(material("Agreed!", before=proposed)) == []

    def test_commands_and_code_are_kept_to_the_letter(self) -> None:
        text = "Run `git rebase main`, not `main`.\n$ make  lint\n```sh\nmake test\n  make bench\n```"
        assert [one.object for one in procedural.derive(material(text))] == [
            "make test\n  make bench",
            "make  lint",
            "git rebase main",
        ]


class TestAnyText:
    @pytest.mark.parametrize(
        "text",
        ["a" * 50_000, "the " * 20_000, "I " * 20_000, "I moved " * 5_000, "1. \n" * 5_000, "`" * 9_000, "\x00\ud800"],
    )
    def test_no_text_breaks_a_rule_or_takes_long(self, text: str) -> None:
        for derive in (semantic.derive, episodic.derive, procedural.derive):
            derive(material(text, PRIYA, before=Before(8, 9, text, replied=True)))

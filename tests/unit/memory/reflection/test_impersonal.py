"""Where nothing may be derived about people, what is kept is surely about things."""

from __future__ import annotations

import pytest

from memory import ranking
from memory.extraction.entities import mentions
from memory.models import EntityKind, Mention
from memory.reflection import episodic, procedural, semantic
from memory.reflection.impersonal import name_parts, tells_of_nobody
from memory.reflection.models import Before, Derived, Material
from tests.doubles import START

PEOPLE = {1: "Marta Weiss", 2: "Marta Klein", 3: "Tom Hughes", 4: "kwame_b 🐝"}
FORMS = {form: str(key) for form, key in ranking.names(PEOPLE.items()).items()}
NAMES = frozenset(part for name in PEOPLE.values() for part in name_parts(name))


def material(text: str, before: str | None = None) -> Material:
    found = [
        Mention(one.kind, one.key, PEOPLE[int(one.key)]) if one.kind is EntityKind.PERSON else one
        for one in mentions(text, people=FORMS, sent_at=START)
    ]
    asked = Before(2, 9, before, replied=True) if before else None
    return Material(1, 3, text, START, tuple(found), asked)


def kept(text: str, before: str | None = None) -> list[str]:
    read = material(text, before)
    found: list[Derived] = [one for rules in (episodic, semantic, procedural) for one in rules.derive(read)]
    return [
        " ".join(filter(None, (one.subject, one.verb, one.object)))
        for one in found
        if tells_of_nobody(one, read, NAMES)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "I talked to Marta. Marta has diabetes.",
        "Hughes has two sons.",
        "Tom Hughes lives in Leeds.",
        "Kwame lives in Leeds. I saw Kwame.",
        "Thomas lives with his mother.",
        "James has diabetes.",
        "Dr Miller lives in Leeds.",
        "The treasurer has cancer.",
        "Our new committee chairwoman is on holiday in Spain",
        "the marta report is late",
        '"Sarah" has two kids',
        "Sarah is allergic to bees.",
        "@Marta lives in Leeds",
        "kwame_b keeps the grey key",
        "The culprit is Bob",
        "The Millers own three hives",
        "We decided to fire Marta",
        "We decided to fire Sarah",
        "We agreed to sack the treasurer",
        "Decided: Sarah does the swarm list",
        "Sarah's tea:\n1. Boil the water.\n2. Ask her for sugar.",
        "I prefer cold tea",
        "I moved hive 6 yesterday",
    ],
)
def test_nothing_that_may_be_about_a_person(text: str) -> None:
    assert kept(text) == []


@pytest.mark.parametrize(
    "answer", ["Marta has the grey key for it", "Sarah has the grey key for it", "the key is with her in the shop"]
)
def test_no_answer_that_names_somebody(answer: str) -> None:
    assert kept(answer, "How do I get into the shed?") == []


@pytest.mark.parametrize("asked", ["How does Sarah get to work?", "How do we help the treasurer out?"])
def test_no_answer_about_somebody(asked: str) -> None:
    assert kept("by the number 5 bus from the corner", asked) == []


def test_no_agreement_about_somebody() -> None:
    assert kept("Agreed!", "Let's put Sarah on the list") == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The gate code is 4471.", "The gate code is 4471"),
        ("our insurance costs £180 a year", "our insurance costs £180 a year"),
        ("HV-07 is empty since Monday", "HV-07 is empty since Monday"),
        ("We decided to requeen hive 2 on Friday.", "We decided to requeen hive 2 on Friday"),
        ("Run `git rebase main`", "git rebase main"),
        ("Making fondant:\n1. Stir it.\n2. Boil it.", "Making fondant Stir it.\nBoil it."),
    ],
)
def test_things_stay(text: str, wanted: str) -> None:
    assert kept(text) == [wanted]


def test_an_answer_about_a_thing_stays() -> None:
    assert len(kept("Combination padlock, 4471 is the number", "How do I get into the shed?")) == 1

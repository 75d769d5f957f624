"""Whether a memory surely tells of no person: what may be kept where nothing may be derived about people. Pure.

What cannot be told apart is dropped: a name that nobody here has, a role, a word with a capital that may be a name.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Final

from memory.extraction.entities import normal
from memory.models import EntityKind
from memory.reflection.models import Aspect, Derived, Material
from memory.text import STOP

_KEPT: Final = frozenset({Aspect.FACT, Aspect.HOWTO, Aspect.COMMAND, Aspect.DECISION})
_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_THING: Final = re.compile(r"(?:the|our)\s+(?=\S)", re.IGNORECASE)
_SIGNED: Final = re.compile(r"[\d/.()#]|--")  # what a code has and a name lacks
_STARTS: Final = re.compile(r"[.!?:;\n)][\s\"'*_-]*$")
_NEAR: Final = 8  # characters in front of a word that say whether it opens a sentence
_LIVES: Final = frozenset(
    "lives live speaks studies teaches owns manages drives leads knows wants says thinks".split()
)  # what things do not do
_DOES: Final = re.compile(r"\s+(?:is|was|has|had|knows|keeps|can|will|does|did|and|or|said|says)\b")
_PRONOUNS: Final = frozenset("he she him her his hers he's she's himself herself".split())
_OWN: Final = frozenset("i i'm i've my his her their".split())
_CALENDAR: Final = frozenset(
    "january february march april may june july august september october november december monday tuesday wednesday"
    " thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays sundays christmas"
    " easter i i'm i've i'll i'd".split()
)
_ROLES: Final = frozenset(
    """
    accountant actor admin administrator adviser advisor agent analyst apprentice architect artist assistant aunt
    author baby baker barber boss boy boyfriend bride brother builder buyer captain carer caretaker chair chairman
    chef chief child children cleaner clerk client coach colleague colleagues consultant cook councillor cousin
    customer customers dad daughter daughters dean dentist deputy designer developer developers director doctor
    doctors driver editor electrician employee employees employer engineer engineers expert family farmer father
    fiance fiancee founder friend friends gardener girl girlfriend girls boys groom guest guests guide guy head
    helper hero host husband inspector instructor intern janitor judge kid kids lad lady landlady landlord lawyer
    leader leaders librarian lodger maid maintainer maker manager managers mate mates mayor mechanic member members
    mentor minister moderator mod mods mother mum mom nan nanny neighbor neighbors neighbour neighbours nephew newbie
    newcomer niece nurse officer official organiser organizer organisers organizers owner owners painter parent
    parents partner partners patient patients pensioner person people pilot player players plumber policeman postman
    president priest prime professor programmer pupil recruit recruiter rep reporter representative researcher
    resident residents sales secretary seller senior sergeant singer sister sisters son sons staff stranger student
    students supervisor teacher teachers teammate teen teenager tenant tenants toddler trainee trainer treasurer
    trustee tutor twin twins uncle user users vet vicar victim visitor visitors volunteer volunteers waiter waitress
    widow widower wife witness woman women man men worker workers writer grandma grandpa gran granddad
    """.split()
)
_STATES: Final = frozenset(
    """
    adhd aids alcoholic allergic anorexic anxiety arthritis asthma asthmatic atheist autism autistic bisexual blind
    buddhist cancer catholic christian covid dementia depressed depression diabetes diabetic disabled disease divorced
    dyslexic engaged epilepsy epileptic fired gay hindu hiv homosexual hospital ill illness jewish lesbian married
    migraine migraines muslim pregnancy pregnant protestant queer retired sacked salary sick single straight stroke
    suicidal surgery therapy trans transgender tumour tumor unemployed vegan vegetarian widowed
    """.split()
)
_ROLE: Final = re.compile(r".{2,}(?:man|woman|men|women|person|people|keeper|ologist|ician|mother|father|sitter)")


def tells_of_nobody(one: Derived, material: Material, names: AbstractSet[str]) -> bool:
    """``names``: the parts of the names of everybody who is known here, in lower case."""
    if one.personal or one.of is not None or one.aspect not in _KEPT:
        return False
    told = f"{one.subject} {one.verb} {one.object}"
    called = names | _mentioned(material)
    if any(word in called for word in _words(told)):
        return False
    if one.aspect is Aspect.COMMAND:
        return True
    if any(_is_somebody(word) for word in _words(told)):
        return False
    if one.aspect is Aspect.FACT:
        return _is_thing(one.subject, material) and one.verb.lower() not in _LIVES and not _names(f"a {one.object}")
    said = f"a {one.object}" if one.aspect is Aspect.DECISION else one.object
    texts = (one.subject, said, *_answered(one, material))
    return not any(_names(text) or _opens_with_a_name(text) for text in texts)


def may_tell_of_somebody(one: Derived, about: int | None) -> bool:
    """Whether a memory that is kept may be about a person, by its words alone: for whom it is shown to."""
    if about is not None or one.aspect not in _KEPT:
        return one.aspect is not Aspect.SUMMARY
    if one.aspect is Aspect.COMMAND:
        return False
    first, _, _ = one.subject.lower().partition(" ")
    if first in _OWN or any(_is_somebody(word) for word in _words(f"{one.subject} {one.object}")):
        return True
    if one.aspect is Aspect.FACT:
        return not _THING.match(one.subject) and not any(sign.isdigit() for sign in one.subject)
    said = f"a {one.object}" if one.aspect is Aspect.DECISION else one.object
    return any(_names(text) or _opens_with_a_name(text) for text in (one.subject, said))


def _answered(one: Derived, material: Material) -> tuple[str, ...]:
    """The question or proposal that was read with the message: it says whom the answer is about."""
    return (material.before.text,) if one.also and material.before is not None else ()


def _is_thing(subject: str, material: Material) -> bool:
    """Whether a subject is a code or a topic, or ``the`` and nouns without a capital."""
    key = normal(subject)
    for mention in material.mentions:
        if mention.key == key and mention.kind is EntityKind.TOPIC:
            return not _names(f"a {subject}")
        if mention.key == key and mention.kind is EntityKind.CODE:
            return _SIGNED.search(subject) is not None
    article = _THING.match(subject)
    return article is not None and not _names(f"the {subject[article.end() :]}")


def _names(text: str) -> bool:
    """Whether a word that opens no sentence is written as a name is; what has a digit is a code."""
    for found in _WORD.finditer(text):
        word = found[0]
        plain = word.lower().replace("\u2019", "'")
        if word[0].isupper() and plain not in _CALENDAR and not any(sign.isdigit() for sign in word):
            opens = found.start() == 0 or _STARTS.search(text[max(0, found.start() - _NEAR) : found.start()])
            if not opens or plain.endswith("'s"):
                return True
    return False


def _opens_with_a_name(text: str) -> bool:
    """Whether a sentence begins with a word that somebody who acts is called: *Marta has the key*."""
    for found in _WORD.finditer(text):
        word = found[0]
        if word[0].isupper() and word.lower() not in STOP | _CALENDAR and _DOES.match(text, found.end()):
            return True
    return False


def _is_somebody(word: str) -> bool:
    return word in _ROLES or word in _STATES or word in _PRONOUNS or _ROLE.fullmatch(word) is not None


def _words(text: str) -> set[str]:
    found = {found[0].lower().replace("\u2019", "'").removesuffix("'s") for found in _WORD.finditer(text)}
    return found | {part for word in found for part in word.split("-")}


def _mentioned(material: Material) -> set[str]:
    """Parts of the names of whom the message mentions."""
    labels = [m.label for m in material.mentions if m.kind is EntityKind.PERSON]
    return {word for label in labels for word in name_parts(label)}


def name_parts(name: str) -> set[str]:
    """The parts of a name by which somebody may be called, in lower case; no common words."""
    found = {found[0].lower() for found in _WORD.finditer(name)}
    return {part for part in found if len(part) > 2 and part not in STOP}  # noqa: PLR2004 - "Al" is a word too

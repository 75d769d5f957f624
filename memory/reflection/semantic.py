"""Semantic memories: facts about things, what ties people to things and to each other, and preferences.

Rules of English chat, precise rather than plentiful: a clause counts when it opens with its subject and states
something in the present tense.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from memory.reflection import clauses
from memory.reflection.models import Aspect, Derived, Material

_STATES: Final = (
    r"(?:is|are|isn't|aren't|has|have|uses|use|costs|cost|lives|live|works|work|belongs?|contains?|holds?"
    r"|needs?|takes?|means"
    r"|lasts|weighs|opens|closes|runs|hangs|stands|sits|expires|starts|ends|owns|leads|manages|teaches"
    r"|keeps|looks after"
    r"|speaks|studies|drives|comes from|grows|survives?|makes|gives|goes|stays|arrives)"
)
_OF_ONE: Final = re.compile(r"\w+s\b|isn't", re.IGNORECASE)
_FACT: Final = re.compile(rf"^(?P<subject>[^,;:?!]{{2,60}}?)\s+(?P<verb>{_STATES})\s+(?P<object>.+)$", re.IGNORECASE)
_OPINION: Final = re.compile(
    r"^(?:(?:so|really|very|pretty|quite|just|such|absolutely|truly|always|a|an|the|most|more|too|not|all"
    r"|super|definitely"
    r"|looking|going|gonna|about|my|our)\s+)*"
    r"(?:nice|great|good|lovely|cool|awesome|amazing|fun|beautiful|gorgeous|incredible|wonderful|fantastic|stunning"
    r"|inspiring|important|key|worth|true|right|wrong|fine|ok|okay|bad|terrible|awful|sad|happy|glad|sorry|sure|ready"
    r"|excited|perfect|hard|tough|easy|interesting|crazy|weird|funny|adorable|cute|delicious|yummy|tasty"
    r"|here|there|back"
    r"|done|gone|coming|up|down|over|on|off|out|always|everything|all|special|powerful|precious|priceless|impressive"
    r"|full of|part of|made of|all about|about|so|such|what|why|how|where|who|when|because|like|that|this"
    r"|it|a (?:lot|blast|treat|must|dream|blessing))\b",
    re.IGNORECASE,
)
_GOING_ON: Final = re.compile(
    r"^(?:not\s+|still\s+|now\s+|just\s+|already\s+|also\s+)*(?!during|string|spring|king)\w{2,}ing\b"
)
_PERFECT: Final = re.compile(
    r"^(?:(?:not|just|now|already|also|always|never|recently|finally|really|all|since"
    r"|only)\s+)*(?:\w{2,}ed|been|made|written|come"
    r"|gone|got|gotten|taken|given|done|seen|found|lost|had|left|put|set|become|begun|brought|bought|built"
    r"|caught|chosen|cut"
    r"|grown|heard|held|kept|known|led|let|made|met|paid|run|said|sent|shown|shut|sold|spent|spoken|stood"
    r"|taught|told|thought"
    r"|won|worn|driven|eaten|fallen|flown|forgotten|drawn|broken)\b",
    re.IGNORECASE,
)
_SAID: Final = re.compile(r"^(?:to\s|been\s|be\s|got\s|you\b|your\b|me\b|us\b|no idea)", re.IGNORECASE)

_SELF: Final = re.compile(
    r"^(?P<subject>I|I'm|I've|We|We're)\s+(?:(?:currently|actually|also|still|now|both|already|usually"
    r"|always|only)\s+)*"
    r"(?P<verb>live|lived|work|come from|was born|grew up|own|speak|teach|study|am allergic|allergic"
    r"|have kept|have lived"
    r"|have worked|have been|lived|kept|drive|run|play|am|a|an|from|originally from|married|vegan"
    r"|vegetarian|have|use|keep"
    r"|major in|majored in)\s+(?P<object>.+)$"
)
_HELD: Final = re.compile(
    r"^(?:a|an|one|two|three|four|five|six|\d+|some(?! of))\s+(?!(?:few\s+|couple\s+|lot\s+|bit\s+|big\s+"
    r"|quick\s+|small\s+|great\s+"
    r"|good\s+|new\s+|bad\s+|really\s+|strong\s+)*(?:question|questions|idea|ideas|feeling|look|point"
    r"|suggestion|suggestions"
    r"|problem|problems|issue|issues|meeting|meetings|call|doubt|doubts|favou?r|minute|moment|cold"
    r"|headache|thought|thoughts"
    r"|time|day|blast|chance|talk|chat|lot|bit|few|couple|plan|plans|hunch|request|comment|comments|update"
    r"|hard|tough|go|try"
    r"|friend|love|passion|dream|goal|fun|long|busy|hectic|test|fever))\w",
    re.IGNORECASE,
)
_ROLE: Final = re.compile(
    r"^(?!(?:big|huge|little|bit|lot|fan|great|mess|sucker|wreck|total|firm|fool|few|couple|good|bad"
    r"|nervous|real|true|bit"
    r"|tad|believer|week|month|day|couple)\b)[a-z-]+(?:\s+[a-z-]+){0,3}\b",
    re.IGNORECASE,
)
_SINCE: Final = re.compile(
    r"\b(?:for|since)\s+(?:\w+[\s-]){0,3}(?:years?|months?|decades?|(?:19|20)\d\d)\b", re.IGNORECASE
)
_BEING: Final = frozenset({"from", "originally from", "allergic", "married", "vegan", "vegetarian"})
_OWNED: Final = re.compile(
    r"^(?P<subject>[Mm]y\s+(?:\w+\s+)?(?:name|birthday|address|email|phone|number|wife|husband|son"
    r"|daughter|dog|cat|brother"
    r"|sister|mother|father|mum|mom|dad|partner|neighbou?r|boss|car|job|family|parents|kids|children|puppy|dogs|cats|"
    r"hometown|company|shop|store|studio|office|surgery))\s+(?P<verb>is|are|has|lives|live|works|was born"
    r"|comes from)\s+"
    r"(?P<object>.+)$"
)

_PREFERENCE: Final = re.compile(
    r"^(?P<subject>I|We|[A-Z]\w+(?:\s[A-Z]\w+)?)\s+(?:(?:really|absolutely|just|still|also|personally"
    r"|actually|always|simply|do"
    r"|much|truly|honestly|totally|both|all|kinda|especially|generally|usually)\s+)*"
    r"(?P<verb>prefers?|likes?|loves?|hates?|dislikes?|enjoys?|adores?|can't stand|cannot stand|can't bear|don't like"
    r"|do not like|doesn't like|don't enjoy|am (?:not )?(?:a (?:big|huge) )?(?:fan of|keen on|fond of)|'m into"
    r"|would rather(?: have)?)\s+(?P<object>.+)$"
)
_PREFERENCE_SHORT: Final = re.compile(
    r"^(?P<subject>I)'(?P<verb>d rather(?: have)?|m (?:not )?(?:a (?:big|huge) )?(?:fan of|keen on|fond of"
    r"|into))\s+(?P<object>.+)$"
)
_FAVOURITE: Final = re.compile(
    r"^(?P<subject>[Mm]y\s+(?:\w+\s+)?favou?rite\s+[\w\s]{2,40}?)\s+(?P<verb>is|are|has to be"
    r"|would be)\s+(?P<object>.+)$"
)
_POINTING: Final = frozenset({"it", "this", "that", "them", "these", "those", "here", "there", "you"})
_NO_TASTE: Final = re.compile(
    r"^(?:that|it|this|these|those|you|your|yours|them|him|her|his|their|to (?:say|hear|see|know|think"
    r"|admit|be|ask|help|join"
    r"|meet|go|check|break|bother|do|disappoint)|how|what|when|where|everything|seeing|hearing|being able"
    r"|the (?:idea|sound"
    r"|look|way|thought|plan|vibe|pic|picture|photo|design|colou?rs?|energy|concept|suggestion)\b)",
    re.IGNORECASE,
)


def derive(material: Material) -> Sequence[Derived]:
    """What the message states of things and people."""
    found: list[Derived] = []
    for clause in clauses.clauses(material.text):
        found += list(_of(clause, material))[:1]
    return found


def _of(clause: str, material: Material) -> Iterator[Derived]:
    if clauses.is_unsure(clause):
        return
    yield from _preference(clause, material)
    yield from _self(clause)
    yield from _fact(clause, material)


def _preference(clause: str, material: Material) -> Iterator[Derived]:
    match = _PREFERENCE.match(clause) or _PREFERENCE_SHORT.match(clause) or _FAVOURITE.match(clause)
    if match is None:
        return
    said = match["subject"]
    own = said in {"I", "We"} or said.lower().startswith("my ")
    of = None if own else clauses.people(material).get(said.lower())
    thing = clauses.objects(match["object"])
    vague = not thing or thing.rsplit(None, 1)[-1].lower() in _POINTING or _NO_TASTE.match(thing)
    if (own or of is not None) and not vague:
        yield Derived(Aspect.PREFERENCE, said, match["verb"], thing, personal=True, of=of)


def _self(clause: str) -> Iterator[Derived]:
    """What people tell of themselves."""
    match = _OWNED.match(clause) or _SELF.match(clause)
    if match is None:
        return
    said, verb = match["subject"], match["verb"]
    thing = clauses.objects(match["object"])
    if verb == "has" and _PERFECT.match(thing):
        return
    if not thing or _OPINION.match(thing) or (_GOING_ON.match(thing) and not _SINCE.search(thing)):
        return
    if said[:2].lower() != "my" and not _tells(said, verb, thing):
        return
    yield Derived(Aspect.FACT, said, verb, thing, personal=True)


def _tells(said: str, verb: str, thing: str) -> bool:
    """Whether a first-person clause says something that stays true for a while."""
    if said in {"I'm", "We're"}:
        role = _ROLE.match(thing) is not None and len(thing.split()) <= clauses.NOUNS + 3
        return verb in _BEING or (role and verb in {"a", "an"})
    if said == "I've" or verb in {"have been", "have kept", "have lived", "have worked", "lived", "kept"}:
        return _SINCE.search(thing) is not None
    if verb == "am":
        return re.match(r"(?:a|an|allergic|from|married)\s", thing) is not None and not _OPINION.match(thing)
    if verb == "have":
        return _HELD.match(thing) is not None
    if verb in {"use", "keep", "run", "play", "drive", "work", "study", "teach", "live", "own"}:
        return not re.match(r"(?:it|them|that|this|into|out|up|with it|hard|on it)\b", thing, re.IGNORECASE)
    return verb not in _BEING | {"a", "an"}


def _fact(clause: str, material: Material) -> Iterator[Derived]:
    """Facts about things; with a person as subject, what ties the person to something."""
    match = _FACT.match(clause)
    if match is None:
        return
    subject = clauses.subject(match["subject"], material)
    thing = clauses.objects(match["object"])
    if match["verb"].lower() in {"has", "have"} and _PERFECT.match(thing):
        return
    if subject is None or not thing or _OPINION.match(thing) or _GOING_ON.match(thing) or _SAID.match(thing):
        return
    if subject.plural and _OF_ONE.match(match["verb"]):
        return
    if subject.of is not None:
        yield Derived(Aspect.RELATION, subject.text, match["verb"], thing, personal=True, of=subject.of)
    else:
        yield Derived(Aspect.FACT, subject.text, match["verb"], thing, personal=subject.personal)

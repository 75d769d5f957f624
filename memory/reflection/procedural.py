"""Procedural memories: steps and advice, commands and code, decisions.

A question before the message, or a proposal, is read with it: "How do I get into the shed?" and "Combination padlock,
4471" are one memory, and so are "let's move hive 6" and "agreed".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from memory.reflection import clauses
from memory.reflection.models import Aspect, Derived, Material
from memory.text import sentences, terms

_STEP: Final = re.compile(r"^\s*(?:\d{1,2}[.)]|step\s+\d{1,2}[:.)]?)\s+(?P<step>\S.*)$", re.IGNORECASE)
_LISTING: Final = re.compile(
    r"\b(?:minutes|agenda|present|results?|options?|questions?|reasons?|shopping|attendees|scores?|topics"
    r"|candidates)\b",
    re.IGNORECASE,
)
_FEWEST: Final = 2  # steps
_STEPS: Final = 1_000  # characters of all steps together
_HOW: Final = re.compile(
    r"\bhow\s+(?:do|does|can|could|should|would|to)\s+(?P<what>(?:i|we|you|one|they|people|somebody"
    r"|someone)?\b[^.?!]{4,100}?)\?",
    re.IGNORECASE,
)
_ANSWER: Final = (16, 400)  # characters of an answer to such a question
_CHATTER: Final = re.compile(
    r"^(?:ok(?:ay)?\b|right\b|good question|great question|no idea|not sure|i don't know|dunno|ask |thanks"
    r"|thank you|same"
    r"|me too|i wonder|haha|lol"
    r"|glad|happy to|sure|of course|hi|hey|wow|sorry|that\b|aww?\b|same question|it depends|depends|i(?:'m"
    r"| am| was|'ve)?\b|we\b|it's been)",
    re.IGNORECASE,
)
_TO_DO: Final = re.compile(
    r"^(?P<subject>To\s+(?!be\b|me\b|us\b|you\b|my\b|the\b|all\b|that\b|this\b|everyone\b|date\b|some\b"
    r"|your\b|our\b|a\b)[a-z]+\b[^,:;]{2,60}),\s+(?P<object>(?:you\s+)?(?:just\s+|first\s+|simply\s+"
    r"|have to\s+|need to\s+|must\s+|can\s+)?"
    r"(?!i\b|we\b|it\b|he\b|she\b|they\b|the\b|there\b|that\b|this\b|a\b|an\b|my\b|our\b)[a-z]+\s.+)$"
)

_FENCED: Final = re.compile(r"```(?:[\w+-]*\n)?(?P<code>.*?)```", re.DOTALL)
_PROMPT: Final = re.compile(r"^\s*\$\s+(?P<code>\S.*)$", re.MULTILINE)
_INLINE: Final = re.compile(r"`(?P<code>[^`\n]{3,120})`")
_PROGRAM: Final = re.compile(
    r"^(?:sudo\s+)?(?:git|docker|kubectl|helm|npm|npx|yarn|pnpm|pip|pip3|uv|python3?|node|make|cargo|go"
    r"|apt|apt-get|brew|systemctl"
    r"|ssh|scp|rsync|curl|wget|psql|pg_dump|redis-cli|terraform|ansible|cd|ls|cp|mv|rm|chmod|chown|grep"
    r"|sed|awk|tar|cat|tail"
    r"|journalctl|gh|aws|gcloud|az|poetry|pytest|ruff|mypy|alembic|weavebot|\./\S+)\s+\S"
)
_CODE: Final = 2_000  # characters

_WHO: Final = (
    r"(?:(?:we|the (?:team|committee|council|board|group)|everyone|everybody)(?:'ve|'re|'ll)?\s+(?:(?:have"
    r"|all|just|finally|also|now|both|then|had)\s+)*)"
)
_DECIDED: Final = re.compile(
    rf"^(?P<subject>{_WHO})(?P<verb>decided(?:\s+(?:on|to|that|against|for))?|agreed(?:\s+(?:on|to|that))?"
    rf"|voted(?:\s+(?:to|for|against))?"
    r"|settled on|chose(?:\s+to)?|resolved to|went with|going with|going for|are going with|will go with"
    r"|go with|will stick with"
    r"|are sticking with|sticking with)\s+(?P<object>.+)$",
    re.IGNORECASE,
)
_LABELLED: Final = re.compile(
    r"^(?P<verb>decision|decided|agreed|resolved|settled)\s*(?::|then:)\s*(?P<object>.+)$", re.IGNORECASE
)
_LETS: Final = re.compile(
    r"^(?P<verb>let's|let us)\s+(?P<object>(?:go with|stick with|stick to|settle on|use|make it|do it on"
    r"|meet|switch to)\s+.+)$",
    re.IGNORECASE,
)
_ASSENT: Final = re.compile(
    r"^(?:agreed|deal|done deal|sounds (?:good|great|like a plan)|yes,? let's(?: do (?:it|that))?"
    r"|ok(?:ay)?,? let's do (?:it|that)|let's do (?:it|that)"
    r"|works for me|that works|fine by me|count me in|i'm in|you're on|it's a (?:deal|date|plan)"
    r"|perfect,? let's do (?:it|that))\b",
    re.IGNORECASE,
)
_PROPOSAL: Final = re.compile(
    r"^(?P<verb>let's|let us|shall we|how about we|how about|what about|why don't we|i (?:propose"
    r"|suggest)(?: that| we)?|we (?:could|should))\s+(?P<object>.+)$",
    re.IGNORECASE,
)
_LONG_ASSENT: Final = 120  # characters: whoever writes more has something of their own to say
_NO_DECISION: Final = re.compile(
    r"^(?:see|hope|just|not\b|it\b|that\b|this\b|you\b|go\?|say|know|start\?$|keep (?:in touch|it up|up"
    r"|going)|meet up soon|make it (?:happen|count))",
    re.IGNORECASE,
)


def derive(material: Material) -> Sequence[Derived]:
    """How things are done, and what was decided."""
    return [*_steps(material), *_answered(material), *_told(material), *_commands(material), *_decisions(material)]


def _steps(material: Material) -> Iterator[Derived]:
    """A numbered list with what stands above it."""
    lines = material.text[: clauses.READ].splitlines()
    numbered = [(place, found["step"]) for place, line in enumerate(lines) if (found := _STEP.match(line))]
    if len(numbered) >= _FEWEST:
        title = next((line.strip(" :*#") for line in reversed(lines[: numbered[0][0]]) if line.strip()), "")
        if _LISTING.search(title):
            return
        yield Derived(Aspect.HOWTO, title[: clauses.OBJECT], "", "\n".join(step for _, step in numbered)[:_STEPS])


def _answered(material: Material) -> Iterator[Derived]:
    """An answer to a question of how to do something."""
    before = material.before
    if before is None or before.author == material.author:
        return
    asked = _HOW.search(before.text[: clauses.READ])
    said = " ".join(material.text.split())
    low, high = _ANSWER
    if asked is None or not low <= len(said) <= high or "?" in said or _CHATTER.match(said) or not terms(said):
        return
    if not before.replied and not re.match(r"(?:i|one)\b", asked["what"], re.IGNORECASE):
        return
    if re.match(
        r"you (?:feel|like|know|find|guys|think|get into|deal|manage|handle|all|both|cope)\b",
        asked["what"],
        re.IGNORECASE,
    ):
        return  # small talk
    yield Derived(Aspect.HOWTO, " ".join(asked[0].split()), "", said, also=(before.serial,))


def _told(material: Material) -> Iterator[Derived]:
    """*To reset it, hold the button*."""
    for clause in clauses.clauses(material.text):
        match = _TO_DO.match(clause)
        if match is not None and not clauses.is_unsure(clause) and (thing := clauses.objects(match["object"])):
            yield Derived(Aspect.HOWTO, match["subject"], "", thing)


def _commands(material: Material) -> Iterator[Derived]:
    text = material.text[: clauses.READ]
    for match in _FENCED.finditer(text):
        if code := match["code"].strip("\n")[:_CODE]:
            yield Derived(Aspect.COMMAND, "", "", code)
    rest = _FENCED.sub(" ", text)
    for match in _PROMPT.finditer(rest):
        yield Derived(Aspect.COMMAND, "", "", match["code"].strip()[:_CODE])
    for match in _INLINE.finditer(_PROMPT.sub(" ", rest)):
        if _PROGRAM.match(match["code"]):
            yield Derived(Aspect.COMMAND, "", "", match["code"].strip())


def _decisions(material: Material) -> Iterator[Derived]:
    for clause in clauses.clauses(material.text):
        match = _DECIDED.match(clause) or _LABELLED.match(clause) or _LETS.match(clause)
        if match is None:
            continue
        thing = clauses.objects(match["object"])
        if thing and not _NO_DECISION.match(thing):
            said = match.groupdict().get("subject") or ""
            on = clauses.day(clause, material)
            yield Derived(Aspect.DECISION, " ".join(said.split()), match["verb"], thing, on=on)
    yield from _assent(material)


def _assent(material: Material) -> Iterator[Derived]:
    """A proposal that somebody else agrees to."""
    before = material.before
    text = material.text.strip()
    if before is None or before.author == material.author or len(text) > _LONG_ASSENT or not _ASSENT.match(text):
        return
    for sentence in reversed(sentences(before.text[: clauses.READ].replace("\u2019", "'"))):
        match = _PROPOSAL.match(sentence.strip(" *_-"))
        if match is not None:
            thing = clauses.objects(match["object"])
            if thing and not _NO_DECISION.match(thing):
                on = clauses.day(sentence, material)
                yield Derived(Aspect.DECISION, "", "agreed:", thing, on=on, also=(before.serial,))
            return

"""Scenarios as they are written: who says what, who reacts, what the bot must say or not say.

A ``.chat`` file holds scenarios; ``# title`` begins one. A line is one step::

    Ana: the queen is red            Ana writes; the message is called by its words, or by the name in brackets:
    Ana [colour]: the queen is red
    Ben in colour: and now?          in the thread of that message
    Ben on colour: really?           as a reply to it
    Ana edits colour: it is blue
    Ana deletes colour
    Ben +👍                          on what the bot said last; ``Ben +👍 colour`` on a message
    Ben -👍
    > red                            what the bot said last holds this (upper and lower case are one) ...
    ! blue                           ... and not this
    > nothing                        the bot has said nothing since the last step of a person
    ~ taken back                     the answer that stood there was edited to hold this
    votes: 1                         ratings that stand
    remembered: the queen is red     exactly these messages are kept, one a line, in any order
    away / back                      the bot is gone; people go on; it comes back
    dies                             the bot is killed and comes back
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Says:
    """Somebody writes."""

    who: str
    name: str
    text: str
    thread: str | None = None
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class Edits:
    """Somebody changes a message of theirs (or tries to change another's)."""

    who: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Deletes:
    """A message is taken away."""

    who: str
    name: str


@dataclass(frozen=True, slots=True)
class Reacts:
    """An emoji is put or taken back; without a name on what the bot said last."""

    who: str
    emoji: str
    name: str | None = None
    remove: bool = False


@dataclass(frozen=True, slots=True)
class Shows:
    """What the bot's last words hold, or do not; what they were ``edited`` to hold."""

    words: str
    wanted: bool = True
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """The bot says nothing."""


@dataclass(frozen=True, slots=True)
class Votes:
    """The number of ratings that stand."""

    count: int


@dataclass(frozen=True, slots=True)
class Remembered:
    """The messages that are kept."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fate:
    """``away``, ``back`` or ``dies``."""

    what: str


Step: TypeAlias = Says | Edits | Deletes | Reacts | Shows | Silence | Votes | Remembered | Fate


@dataclass(frozen=True, slots=True)
class Scenario:
    """A title and its steps."""

    title: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return self.title


_SAYS: Final = re.compile(r"(?P<who>\w+)(?: \[(?P<name>\w+)\])?(?: (?P<how>in|on) (?P<to>\w+))?: (?P<text>.+)")
_EDITS: Final = re.compile(r"(?P<who>\w+) edits (?P<name>\w+): (?P<text>.+)")
_DELETES: Final = re.compile(r"(?P<who>\w+) deletes (?P<name>\w+)")
_REACTS: Final = re.compile(r"(?P<who>\w+) (?P<sign>[+-])(?P<emoji>\S+)(?: (?P<name>\w+))?")


def read(file: Path) -> list[Scenario]:
    """The scenarios of a file. Raises ValueError naming the line that is none."""
    found: list[tuple[str, list[Step]]] = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if line.startswith("# "):
            found.append((line[2:].strip(), []))
        elif line.strip():
            try:
                found[-1][1].append(_step(line.strip(), number))
            except (ValueError, IndexError) as exc:
                raise ValueError(f"{file.name}:{number}: {line!r} is no step") from exc
    return [Scenario(title, tuple(_joined(steps))) for title, steps in found]


def all_scenarios() -> list[Scenario]:
    """Those of every file."""
    return [one for file in sorted(HERE.glob("*.chat")) for one in read(file)]


def _step(line: str, number: int) -> Step:  # noqa: PLR0911 - a table of forms
    if line in {"away", "back", "dies"}:
        return Fate(line)
    if line.startswith(("> ", "! ", "~ ")):
        if line == "> nothing":
            return Silence()
        return Shows(line[2:], wanted=line[0] != "!", edited=line[0] == "~")
    if line.startswith("votes: "):
        return Votes(int(line.removeprefix("votes: ")))
    if line.startswith("remembered:"):
        return Remembered(tuple(filter(None, [line.removeprefix("remembered:").strip()])))
    if match := _EDITS.fullmatch(line):
        return Edits(match["who"], match["name"], match["text"])
    if match := _DELETES.fullmatch(line):
        return Deletes(match["who"], match["name"])
    if match := _SAYS.fullmatch(line):
        to = {match["how"]: match["to"]}
        name = match["name"] or f"line{number}"
        return Says(match["who"], name, match["text"], thread=to.get("in"), reply_to=to.get("on"))
    if match := _REACTS.fullmatch(line):
        return Reacts(match["who"], match["emoji"], match["name"], remove=match["sign"] == "-")
    raise ValueError(line)


def _joined(steps: list[Step]) -> list[Step]:
    """Lines of ``remembered`` that follow each other are one step."""
    joined: list[Step] = []
    for step in steps:
        last = joined[-1] if joined else None
        if isinstance(step, Remembered) and isinstance(last, Remembered):
            joined[-1] = Remembered(last.texts + step.texts)
        else:
            joined.append(step)
    return joined

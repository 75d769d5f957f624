"""The commands of a room in one table: name, arguments, help, example, who may, function.

One declaration gives the command, its help and its check. A command word is a command only when nothing follows it or
the rest parses as its declared arguments; otherwise the whole is a question (``!weave why did we move the hives?``
asks). What can hardly be one (``!weave promote nobody``) is told what would fit. ``!weave ask ...`` forces a question.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from bot.addressing import addressed
from bot.app import App
from bot.models import Actor, Attachment, Capabilities, IncomingMessage, Role
from bot.pages import Page
from bot.ports import ChatPort
from memory.models import Person, Room
from routing.models import Answer

_ASKS: Final = re.compile(r"[?\uff1f\u061f]\W*$")
_SHOWN: Final = 40  # characters of a word that is told back
CLOSE: Final = 0.75  # how alike a lone word and a command must be to be taken for a slip of the fingers


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument. ``parse`` gives its value or raises ValueError; ``rest`` takes everything that is left."""

    name: str
    parse: Callable[[str], Any]
    optional: bool = True
    rest: bool = False
    shown: str = ""

    def usage(self) -> str:
        """``[on|off]`` or ``TEXT``."""
        words = self.shown or self.name.upper()
        return f"[{words}]" if self.optional else words


@dataclass(frozen=True, slots=True)
class Call:
    """A command as it was given: by whom, where, with what."""

    app: App
    port: ChatPort
    room: Room
    person: Person
    actor: Actor
    message: IncomingMessage
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def capabilities(self) -> Capabilities:
        """What the platform can show."""
        return self.port.capabilities

    def given(self, arguments: Mapping[str, Any]) -> Call:
        """The same call with its arguments."""
        return replace(self, arguments=arguments)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command says. ``shows`` is the answer that people may react to, ``about`` one whose sources it names."""

    page: Page
    shows: Answer | None = None
    about: Answer | None = None
    private: bool = False
    attachment: Attachment | None = None


Function: TypeAlias = Callable[[Call], Awaitable[Said]]


@dataclass(frozen=True, slots=True)
class Command:
    """A command.

    One that ``acts`` changes something: correcting a word of it does not do it again. One that must be done ``once`` is
    not repeated when the process died in the middle of it. ``misfit`` says what is wrong with arguments that do not
    parse and can hardly be a question, None for those that may be one.
    """

    name: str
    arguments: tuple[Argument, ...]
    words: str
    example: str
    function: Function
    role: Role = Role.MEMBER
    acts: bool = False
    once: bool = False
    misfit: Callable[[str], str | None] = lambda _: None

    def usage(self, prefix: str) -> str:
        """``!weave digest [on|off]``."""
        return " ".join([prefix, self.name, *(argument.usage() for argument in self.arguments)])

    def parse(self, rest: str) -> dict[str, Any] | None:
        """The arguments in ``rest``; None when they do not fit the declaration."""
        values: dict[str, Any] = {}
        left = rest.strip()
        for argument in self.arguments:
            word, left = (left, "") if argument.rest else _split(left)
            if not word:
                if argument.optional:
                    continue
                return None
            try:
                values[argument.name] = argument.parse(word)
            except ValueError:
                return None
        return None if left else values


@dataclass(frozen=True, slots=True)
class Given:
    """A command with its arguments. ``complete`` is False when it stood alone but needs some."""

    command: Command
    arguments: Mapping[str, Any]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """Anything that is not a command."""

    text: str


@dataclass(frozen=True, slots=True)
class Slip:
    """A lone word that is almost a command."""

    word: str
    meant: str


@dataclass(frozen=True, slots=True)
class Misfit:
    """A command with arguments that do not fit; ``words`` say which would."""

    command: Command
    words: str


class CommandTable:
    """The commands that there are, and the rule by which a text is one of them."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self.commands: Mapping[str, Command] = MappingProxyType({command.name: command for command in commands})

    def read(self, text: str, prefix: str) -> Given | Question | Slip | Misfit | None:
        """What a message means to us; None when it is not addressed to us."""
        body = addressed(text, prefix)
        if body is None:
            return None
        if not body:
            return Given(self.commands["help"], {})
        word, rest = _split(body)
        name = word.lower()
        if name == "ask" and rest:
            return Question(rest)
        command = self.commands.get(name)
        if command is None:
            return self._unknown(word, rest) or Question(body)
        return _given(command, rest) or Question(body)

    def acts(self, text: str, prefix: str) -> bool:
        """Whether a message is a command that changes something."""
        meant = self.read(text, prefix)
        return isinstance(meant, Given) and meant.command.acts

    def _unknown(self, word: str, rest: str) -> Slip | None:
        if rest:
            return None
        close = difflib.get_close_matches(word.lower(), self.commands, n=1, cutoff=CLOSE)
        return Slip(word, close[0]) if close else None


def _given(command: Command, rest: str) -> Given | Misfit | None:
    arguments = command.parse(rest)
    if arguments is not None:
        return Given(command, arguments)
    if not rest:
        return Given(command, {}, complete=False)
    wrong = command.misfit(rest)
    return None if wrong is None else Misfit(command, wrong)


def word_of(*choices: str) -> Callable[[str], str]:
    """Parses one of a few words."""

    def parse(word: str) -> str:
        if word.lower() not in choices:
            raise ValueError(word)
        return word.lower()

    return parse


def one_of(what: str, choices: Sequence[str], *, most: int = 1) -> Callable[[str], str | None]:
    """A `Command.misfit`: at most so many words that ask nothing, of which the first is no ``what`` that there is."""

    def misfit(rest: str) -> str | None:
        words = rest.split()
        if len(words) > most or _ASKS.search(rest) or words[0].lower() in choices:
            return None
        return f"There is no {what} {words[0][:_SHOWN]!r}; there are {', '.join(choices)}."

    return misfit


def statement(text: str) -> str:
    """Parses something to keep: any text that is not a question."""
    if not text or _ASKS.search(text):
        raise ValueError(text)
    return text


def identifier(word: str) -> str:
    """Parses an id: one word that no sentence would hold (it has a digit or a sign in it)."""
    if not word or word.isalpha() or word.endswith("?"):
        raise ValueError(word)
    return word


def _split(text: str) -> tuple[str, str]:
    parts = text.split(None, 1)
    return (parts[0] if parts else "", parts[1].strip() if len(parts) > 1 else "")

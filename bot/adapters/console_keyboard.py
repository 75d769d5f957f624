"""Where the console's lines come from: a prompt on a terminal, or a pipe."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style

from bot import pages
from bot.adapters.console import Seat

LOOK: Final = Style.from_dict(
    {"who": "bold ansicyan", "bottom-toolbar": "noreverse ansibrightblack", "bottom-toolbar.room": "ansicyan bold"}
)
EMOJI: Final = {
    "+👍": "helpful",
    "+👎": "not helpful",
    "+⭐": "just right",
    "+❤️": "thanks",
    "+🤔": "not sure",
    "+❌": "wrong",
}
SLASHES: Final = {"/edit ": "change your last message", "/delete": "take it away", "/as ": "be somebody else"}
LONGEST: Final = 4 << 20  # bytes of a line from a pipe
SLASHES_MORE: Final = {"/help": "what can be typed", "/quit": "leave"}


class RoomCompleter(Completer):
    """Completes what starts with ``!``, ``+``, ``/`` or ``undo``; ordinary words are left alone."""

    def __init__(self, prefix: str, commands: Sequence[tuple[str, str]]) -> None:
        self._words = {prefix + " ": "ask, or give a command"}
        self._words |= {f"{prefix} {name}": words for name, words in commands}
        self._words |= {**EMOJI, **SLASHES, **SLASHES_MORE}

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What the whole line may become."""
        del complete_event
        typed = document.text_before_cursor
        if not typed or typed[0] not in "!+/":
            return
        for word, meaning in self._words.items():
            if word.startswith(typed) and word != typed:
                yield Completion(word, start_position=-len(typed), display_meta=meaning)


class PromptKeyboard:
    """A prompt that stays below what is said meanwhile."""

    def __init__(self, seat: Seat, completer: Completer, *, prefix: str) -> None:
        self._seat = seat
        self._prefix = prefix
        self._session: PromptSession[str] = PromptSession(
            history=InMemoryHistory(),
            completer=completer,
            complete_while_typing=True,
            bottom_toolbar=self.toolbar,
            style=LOOK,
            reserve_space_for_menu=6,
        )

    async def read(self) -> str | None:
        """The next line; Ctrl-D and Ctrl-C leave."""
        try:
            with patch_stdout(raw=True):
                return await self._session.prompt_async(self._prompt)
        except (EOFError, KeyboardInterrupt):
            return None

    def _prompt(self) -> FormattedText:
        return FormattedText([("class:who", f"{self._seat.actor().name}> ")])

    def toolbar(self) -> FormattedText:
        """The line below the prompt: room, person, messages remembered, what helps."""
        count = pages.count(self._seat.remembered, "message")
        told = f" · as {self._seat.actor().name} · {count} remembered · {self._prefix} help · Ctrl-D leaves "
        return FormattedText([("class:bottom-toolbar.room", f" {self._seat.place.name}"), ("", told)])


class PipeKeyboard:
    """Lines of a pipe or a file. Nothing blocks: jobs go on while a slow writer thinks."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        self._reader: asyncio.StreamReader | None = None

    async def read(self) -> str | None:
        """The next line, without its end; None at the end of the stream. A line over 4 MiB is cut."""
        got = self._stream.readline() if self._is_file else await self._from_pipe()
        return got.decode("utf-8", "replace").rstrip("\r\n") if got else None

    async def _from_pipe(self) -> bytes:
        if self._reader is None:
            self._reader = asyncio.StreamReader(limit=LONGEST)
            protocol = asyncio.StreamReaderProtocol(self._reader)
            await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self._stream)
        try:
            return await self._reader.readuntil()
        except asyncio.IncompleteReadError as exc:
            return exc.partial
        except asyncio.LimitOverrunError as exc:
            return await self._reader.read(exc.consumed)

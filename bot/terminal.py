"""Showing things: pages in colour, progress bars on stderr, one JSON object a line on stdout.

Colours, bars and anything that moves appear on a terminal only; a pipe gets plain text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TextIO, TypeAlias

from rich.console import Console, Group
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from bot import pages
from bot.events import Event
from bot.exits import DONE

Lines: TypeAlias = Iterable[Sequence[Sequence[str]]]
Measure: TypeAlias = Callable[[], tuple[int, int] | None]
"""How far reading has come, in bytes of bytes, when the size is known."""

HANG: Final = 4  # columns of "[1] "

STYLES: Final = {
    pages.STRONG: "bold",
    pages.HEAD: "bold cyan",
    pages.FAINT: "dim",
    pages.GOOD: "green",
    pages.BAD: "yellow",
    pages.MARK: "bold magenta",
    pages.CODE: "cyan",
}


def make_console(stream: TextIO, *, width: int | None = None, color: bool | None = None) -> Console:
    """A rich console that only writes what it is given: no markup, no highlighting, no emoji codes."""
    return Console(
        file=stream,
        markup=False,
        highlight=False,
        emoji=False,
        width=width,
        force_terminal=color,
    )


def lay_out(console: Console, shown: Lines, *, indent: int = 0) -> Group:
    """A page for a terminal's width; what is wrapped of a source stands below its words, not below its number."""
    rows: list[Padding] = []
    for spans in shown:
        hang = HANG if spans and spans[0][0] == pages.MARK else 0
        for number, part in enumerate(to_text([spans]).wrap(console, max(1, console.width - indent - hang))):
            rows.append(Padding(part, (0, 0, 0, indent + (hang if number else 0))))
    return Group(*rows)


def to_text(shown: Lines) -> Text:
    """A page as rich text."""
    text = Text()
    for number, spans in enumerate(shown):
        if number:
            text.append("\n")
        for style, words in spans:
            text.append(words, style=STYLES.get(style, ""))
    return text


class Screen:
    """Shows the events of one command as they come, and keeps the exit status."""

    def __init__(self, *, as_json: bool) -> None:
        self.status = DONE
        self.measure: Measure | None = None
        self._json = as_json
        self._out = make_console(sys.stdout)
        self._err = make_console(sys.stderr)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: Event) -> None:
        """One event."""
        if "progress" in event:
            self._progress(event["progress"])
        elif "note" in event:
            self.say(event["note"])
        elif "result" in event:
            self._result(event["result"], event.get("page") or ())
        if "error" in event:
            self.say(event["error"])
        if "status" in event:
            self.status = event["status"]

    def say(self, words: str) -> None:
        """A sentence on stderr."""
        self._err.print(Text(f"weavebot: {pages.safe(words)}"), soft_wrap=True)

    def close(self) -> None:
        """Takes the bars down."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _result(self, value: Any, page: Lines) -> None:
        if self._json or not page:
            sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
        elif self._out.is_terminal:
            self._out.print(lay_out(self._out, page))
        else:
            sys.stdout.write(pages.plain(page) + "\n")
        sys.stdout.flush()

    def _progress(self, told: dict[str, Any]) -> None:
        if not self._err.is_terminal:
            return
        stage, done, total = told["stage"], told["done"], told["total"]
        words = f"{done:,}" if total is None else f"{done:,} of {total:,}"
        if total is None and self.measure is not None and (read := self.measure()) is not None:
            done, total = read  # bytes tell how far it is, the number of lines how much that was
        if self._bars is None:
            self._bars = _bars(self._err)
            self._bars.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, words=words)
        self._bars.update(self._tasks[stage], completed=done, total=total, words=words)


def _bars(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
    )

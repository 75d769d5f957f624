"""Buttons under our answers. All they need stands in their custom id, so they work after a restart of ours.

Under every answer: why. Under one that a single person sees, where nobody can react: 👍 👎 ⭐ too. A pressed rating is
shown as such, and the id of its vote stands in it, so that pressing again takes exactly that vote back. Under one that
asks everybody for a vote: 👍 👎, and whoever presses is told alone that it counts, with a button that takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import discord

from bot.models import Label

WHY: Final = "why"
VOTE: Final = "vote"
ASK: Final = "ask"
BACK: Final = "back"
KINDS: Final = frozenset({WHY, VOTE, ASK, BACK})
RATINGS: Final = ("👍", "👎", "⭐")
ASKED: Final = ("👍", "👎")
LONGEST: Final = 100  # characters of a custom id
_PREFIX: Final = "weave"


@dataclass(frozen=True, slots=True)
class Press:
    """What a custom id says: which button, under which answer. ``reaction`` is the vote that a pressed rating holds."""

    kind: str
    answer: str
    number: int
    emoji: str = ""
    reaction: str = ""

    def custom_id(self) -> str:
        """As it stands in the button."""
        return ":".join([_PREFIX, self.kind, self.answer, str(self.number), self.emoji, self.reaction])


def parse(custom_id: str | None) -> Press | None:
    """The press of a custom id; None for what is not ours."""
    parts = (custom_id or "").split(":")
    if len(parts) != 6 or parts[0] != _PREFIX or parts[1] not in KINDS or not parts[3].isdecimal():  # noqa: PLR2004
        return None
    return Press(parts[1], parts[2], int(parts[3]), parts[4], parts[5])


def view_of(label: Label | None, *, private: bool) -> discord.ui.View:
    """The buttons of an answer; none for what is no answer.

    The view is ended before it is sent: the library would keep every open one in memory, for ever.
    """
    view = discord.ui.View(timeout=None)
    if label is not None:
        view.add_item(_button(Press(WHY, label.answer, label.number)))
        for emoji in RATINGS if private else ():
            view.add_item(_button(Press(VOTE, label.answer, label.number, emoji)))
        for emoji in ASKED if label.asks and not private else ():
            view.add_item(_button(Press(ASK, label.answer, label.number, emoji)))
    view.stop()
    return view


def pressed(message: discord.Message, press: Press, reaction: str) -> discord.ui.View:
    """The buttons of a message after one rating was pressed: ``reaction`` is its vote, empty when it was taken back."""
    view = discord.ui.View(timeout=None)
    for custom_id in custom_ids(message):
        one = parse(custom_id)
        if one is not None:
            mine = one.kind == VOTE and one.emoji == press.emoji
            view.add_item(_button(Press(one.kind, one.answer, one.number, one.emoji, reaction) if mine else one))
    view.stop()
    return view


def back_view(press: Press, reaction: str) -> discord.ui.View:
    """The button that takes one vote back."""
    view = discord.ui.View(timeout=None)
    view.add_item(_button(Press(BACK, press.answer, press.number, press.emoji, reaction)))
    view.stop()
    return view


def answer_in(message: discord.Message) -> Press | None:
    """Which answer a message of ours shows."""
    found = (parse(custom_id) for custom_id in custom_ids(message))
    return next((press for press in found if press is not None), None)


def custom_ids(message: discord.Message) -> list[str]:
    """The custom ids of a message's buttons, in order."""
    rows: list[Any] = [row for row in message.components if isinstance(row, discord.ActionRow)]
    return [button.custom_id for row in rows for button in row.children if getattr(button, "custom_id", None)]


def _button(press: Press) -> discord.ui.Button[Any]:
    style = discord.ButtonStyle.success if press.reaction else discord.ButtonStyle.secondary
    if press.kind == WHY:
        return discord.ui.Button(label="Why?", style=style, custom_id=press.custom_id())
    if press.kind == BACK:
        return discord.ui.Button(label="Take it back", style=discord.ButtonStyle.secondary, custom_id=press.custom_id())
    return discord.ui.Button(emoji=press.emoji, style=style, custom_id=press.custom_id())

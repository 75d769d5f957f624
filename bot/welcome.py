"""What the bot says when it comes to a room, if the operator wants it: what is kept, the settings, how to object."""

from __future__ import annotations

from bot.pages import Page, line, page
from bot.preferences import Preferences
from bot.render import facts, hint_line


def welcome_page(preferences: Preferences, prefix: str) -> Page:
    """The notice."""
    listens = "I remember what is written here" if preferences.listen else "I remember nothing that is written here"
    return (
        *page(f"Hello! {listens} and answer questions about it with the messages that prove the answer."),
        hint_line(f"Ask with `{prefix} QUESTION`; 👍 👎 ⭐ on an answer teach me where to look."),
        line(),
        *facts(preferences.as_mapping().items()),
        line(),
        hint_line(f"`{prefix} settings` changes these, `{prefix} know` tells what I keep about you,"),
        hint_line(f"`{prefix} optout` and `{prefix} forget me` end it, `{prefix} help` shows the rest."),
    )

"""What the bot says when it comes to a room, if the operator wants it: what is kept, the settings, how to object."""

from __future__ import annotations

from bot.models import Capabilities
from bot.pages import Page, line, page
from bot.preferences import Preferences
from bot.render import facts, hint_line


def welcome_page(preferences: Preferences, prefix: str, able: Capabilities | None = None) -> Page:
    """The notice, with what can be typed on a platform that is able to so much."""
    able = able or Capabilities()
    heard = "what is written here" if able.hears_all else "what is said to me here"
    listens = f"I remember {heard}" if preferences.listen else "I remember nothing that is written here"
    command, settings = able.command.format(prefix=prefix), able.settings.format(prefix=prefix)
    return (
        *page(f"Hello! {listens} and answer questions about it with the messages that prove the answer."),
        hint_line(f"Ask with {able.asking.format(prefix=prefix)}; 👍 👎 ⭐ on an answer teach me where to look."),
        line(),
        *facts(preferences.as_mapping().items()),
        line(),
        hint_line(f"`{settings}` changes these, `{command} know` tells what I keep about you,"),
        hint_line(f"`{command} optout` and `{command} forget me` end it, `{command} help` shows the rest."),
    )

"""Where we listen in a server: everywhere that we can see, but for age-restricted channels, or as its admins say."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from bot.ports import Notebook

log = structlog.get_logger(__name__)

_NOTE: Final = "channels"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the admins of a server chose. ``only`` names the channels to listen in, when it is not empty."""

    only: frozenset[int] = frozenset()
    never: frozenset[int] = frozenset()
    nsfw: bool = False

    def listens(self, channel: int, *, nsfw: bool) -> bool:
        """Whether we listen in a channel; one that is named in ``only`` may be age-restricted."""
        if channel in self.never:
            return False
        if channel in self.only:
            return True
        return not self.only and (self.nsfw or not nsfw)

    def allowing(self, channel: int) -> Choice:
        """With a channel among those that alone are listened in."""
        return replace(self, only=self.only | {channel}, never=self.never - {channel})

    def denying(self, channel: int) -> Choice:
        """With a channel that is never listened in."""
        return replace(self, only=self.only - {channel}, never=self.never | {channel})

    def without(self, channel: int) -> Choice:
        """With nothing said of a channel."""
        return replace(self, only=self.only - {channel}, never=self.never - {channel})


class Lists:
    """The choices of all servers, read once and kept in the notebook."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._known: dict[int, Choice] = {}

    async def of(self, guild: int) -> Choice:
        """The choice of a server. Raises Unavailable when it cannot be read."""
        if guild not in self._known:
            self._known[guild] = _parsed(await self._notebook.read(f"{_NOTE}:{guild}"))
        return self._known[guild]

    async def change(self, guild: int, choice: Choice) -> None:
        """Keeps another choice. Raises Unavailable when it cannot be kept."""
        kept = {"only": sorted(choice.only), "never": sorted(choice.never), "nsfw": choice.nsfw}
        await self._notebook.note(f"{_NOTE}:{guild}", json.dumps(kept))
        self._known[guild] = choice


def _parsed(kept: str | None) -> Choice:
    if not kept:
        return Choice()
    found: dict[str, Any] = json.loads(kept)
    return Choice(frozenset(found["only"]), frozenset(found["never"]), bool(found["nsfw"]))

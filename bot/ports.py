"""What the bot needs from a chat platform. Adapters live in ``bot.adapters``; only ``bot.wiring`` names them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from bot.models import Capabilities, ChatEvent, Reply


class ChatPort(Protocol):
    """A chat platform."""

    @property
    def platform(self) -> str:
        """One word: console, matrix, discord."""

    @property
    def capabilities(self) -> Capabilities:
        """What can be shown there."""

    def events(self) -> AsyncIterator[ChatEvent]:
        """What happens in the rooms, in order within a room; ends when the platform is left for good."""

    async def send(self, reply: Reply, *, transaction: str) -> str:
        """Posts a reply and gives its event id; the same ``transaction`` twice posts once, where the platform can.

        Raises Unavailable when the platform does not take it now.
        """

    async def close(self) -> None:
        """Leaves the platform."""

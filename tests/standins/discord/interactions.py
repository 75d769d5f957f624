"""Interactions: a person uses a command, a menu or a button; the bot has 3 seconds to answer and 15 minutes to go on.

https://docs.discord.com/developers/interactions/receiving-and-responding
"""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from tests.standins.discord.deeds import Deeds
from tests.standins.discord.errors import ACKNOWLEDGED, INVALID_WEBHOOK_TOKEN, UNKNOWN_INTERACTION, Refused
from tests.standins.discord.payloads import channel_json, file_json, member_json, message_json, user_json
from tests.standins.discord.state import Channel, Flag, Json, Message, MessageKind, User

DEADLINE: Final = 3.0  # seconds to the first response
LIFETIME: Final = 15 * 60.0  # seconds that the token is good for


class InteractionKind(enum.IntEnum):
    """Discord's interaction types."""

    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL = 5


class Response(enum.IntEnum):
    """Discord's callback types."""

    PONG = 1
    MESSAGE = 4
    DEFERRED_MESSAGE = 5
    DEFERRED_UPDATE = 6
    UPDATE = 7
    CHOICES = 8
    MODAL = 9


@dataclass(eq=False, slots=True)
class Interaction:
    """One use of the bot, with everything that came back. ``answered_after`` is in seconds."""

    id: int
    token: str
    kind: InteractionKind
    user: User
    channel: Channel
    data: Json
    asked_at: float
    message: Message | None = None
    answered_after: float | None = None
    response: Response | None = None
    ephemeral: bool = False
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    choices: list[Json] = field(default_factory=list)
    modal: Json | None = None

    @property
    def deferred(self) -> bool:
        """Whether the bot asked for time first."""
        return self.response in (Response.DEFERRED_MESSAGE, Response.DEFERRED_UPDATE)

    @property
    def thinking(self) -> bool:
        """Whether "… is thinking" is still shown."""
        return self.original is not None and bool(self.original.flags & Flag.LOADING)

    @property
    def messages(self) -> list[Message]:
        """What the person got to see, in order."""
        first = [] if self.original is None or self.thinking or self.original.gone else [self.original]
        return first + [message for message in self.followups if not message.gone]


class Interactions:
    """All interactions, by token."""

    def __init__(self, deeds: Deeds) -> None:
        self._deeds = deeds
        self._world = deeds.world
        self._by_token: dict[str, Interaction] = {}

    def start(
        self, kind: InteractionKind, user: User, channel: Channel, data: Json, *, message: Message | None = None
    ) -> Interaction:
        """Somebody uses the bot; the gateway is told."""
        made = Interaction(
            self._world.make_id(), secrets.token_urlsafe(24), kind, user, channel, data, self._world.now(), message
        )
        self._by_token[made.token] = made
        self._deeds.interact(channel, self._payload(made))
        return made

    def waiting(self, number: int, token: str) -> Interaction:
        """The interaction that can have its first response now. Raises Refused (10062, 40060)."""
        found = self._by_token.get(token)
        if found is None or found.id != number:
            raise Refused(UNKNOWN_INTERACTION)
        if found.response is not None:
            raise Refused(ACKNOWLEDGED)
        if self._world.now() - found.asked_at > DEADLINE:
            raise Refused(UNKNOWN_INTERACTION)
        return found

    def going_on(self, token: str) -> Interaction:
        """The interaction whose conversation still goes on. Raises Refused (50027)."""
        found = self._by_token.get(token)
        if found is None or self._world.now() - found.asked_at > LIFETIME or found.response is None:
            raise Refused(INVALID_WEBHOOK_TOKEN)
        return found

    def acknowledge(self, one: Interaction, response: Response) -> None:
        """Notes the first response."""
        one.response = response
        one.answered_after = self._world.now() - one.asked_at
        self._world.changed()

    def draft(self, one: Interaction, content: str, *, ephemeral: bool, files: list[tuple[str, bytes]]) -> Message:
        """A message of the bot that belongs to an interaction; not posted yet."""
        message = self._deeds.draft(one.channel, self._world.bot, content, files=files)
        if one.kind is InteractionKind.COMMAND:
            is_menu = one.data.get("type", 1) != 1
            message.kind = MessageKind.CONTEXT_MENU_COMMAND if is_menu else MessageKind.CHAT_INPUT_COMMAND
        message.interaction = {
            "id": str(one.id),
            "type": int(one.kind),
            "user": user_json(one.user),
            "authorizing_integration_owners": {},
        }
        if ephemeral:
            message.only_for = one.user
            message.flags |= Flag.EPHEMERAL
        return message

    def _payload(self, one: Interaction) -> Json:
        world, channel, guild = self._world, one.channel, one.channel.guild
        payload: Json = {
            "id": str(one.id),
            "application_id": str(world.app.id),
            "type": int(one.kind),
            "token": one.token,
            "version": 1,
            "data": one.data,
            "channel_id": str(channel.id),
            "channel": channel_json(channel) | {"permissions": str(int(world.permissions(one.user, channel)))},
            "app_permissions": str(int(world.permissions(world.bot, channel))),
            "locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(guild.id if guild else 0)},
            "context": 0 if guild else 1,
            "attachment_size_limit": 10 * 1024 * 1024,
        }
        if guild is None:
            payload["user"] = user_json(one.user)
        else:
            member = member_json(guild.members[one.user.id])
            payload["member"] = member | {"permissions": str(int(world.permissions(one.user, channel)))}
            payload |= {"guild_id": str(guild.id), "guild_locale": "en-US"}
            payload["guild"] = {"id": str(guild.id), "locale": "en-US", "features": []}
        if one.message is not None:
            payload["message"] = message_json(world, one.message, content=True, base=self._deeds.base)
        return payload

    def resolve_message(self, message: Message) -> Json:
        """What a message menu carries of its target: with content, whatever the intents."""
        return {"messages": {str(message.id): message_json(self._world, message, content=True, base=self._deeds.base)}}

    def resolve_file(self, name: str, data: bytes) -> tuple[str, Json]:
        """An attachment that somebody gives with a command: its id and what is resolved of it."""
        file = self._deeds.file(name, data)
        return str(file.id), {"attachments": {str(file.id): file_json(file, self._deeds.base)}}


def option(kind: int, name: str, value: Any) -> Json:
    """One option of a command as it is sent."""
    return {"type": kind, "name": name, "value": value}

"""Routes of reactions."""

from __future__ import annotations

import unicodedata
from typing import Final

from tests.standins.discord.errors import TOO_MANY_REACTIONS, UNKNOWN_EMOJI, UNKNOWN_USER, Refused
from tests.standins.discord.looking import channel_of, message_of, require
from tests.standins.discord.payloads import user_json
from tests.standins.discord.permissions import Permission
from tests.standins.discord.rest import Call, Payload, Routes
from tests.standins.discord.state import Channel, Emoji, Message, User

MOST: Final = 20  # different emoji on a message
_SYMBOLS: Final = ("So", "Sk", "Sm", "Mn", "Cf", "Me")


def is_emoji(text: str) -> bool:
    """Whether the text could be one unicode emoji: symbols, joiners and variation selectors, or a keycap."""
    if not text or len(text) > 16:
        return False
    if text[-1] == "\u20e3":  # keycap
        return text[0] in "0123456789#*"
    return all(unicodedata.category(char) in _SYMBOLS for char in text)


def emoji_of(call: Call, channel: Channel) -> Emoji:
    """The emoji in the path. Raises Refused (10014)."""
    emoji = Emoji.parse(call.path["emoji"])
    known = emoji.id in channel.guild.emojis if emoji.id and channel.guild else is_emoji(emoji.name)
    if not known:
        raise Refused(UNKNOWN_EMOJI)
    return emoji


def _target(call: Call) -> tuple[Message, Emoji]:
    channel = channel_of(call, Permission.READ_MESSAGE_HISTORY)
    return message_of(call, channel), emoji_of(call, channel)


async def add(call: Call) -> None:
    """PUT …/reactions/{emoji}/@me."""
    message, emoji = _target(call)
    if emoji not in message.reactions:
        require(call, message.channel, Permission.ADD_REACTIONS)
        if len(message.reactions) >= MOST:
            raise Refused(TOO_MANY_REACTIONS)
    call.deeds.react(message, call.world.bot, emoji)


async def remove_own(call: Call) -> None:
    """DELETE …/reactions/{emoji}/@me."""
    message, emoji = _target(call)
    call.deeds.unreact(message, call.world.bot, emoji)


async def remove_other(call: Call) -> None:
    """DELETE …/reactions/{emoji}/{user}."""
    message, emoji = _target(call)
    require(call, message.channel, Permission.MANAGE_MESSAGES)
    for burst in (False, True):
        call.deeds.unreact(message, _user(call), emoji, burst=burst)


def _user(call: Call) -> User:
    user = call.world.users.get(call.number("user"))
    if user is None:
        raise Refused(UNKNOWN_USER)
    return user


async def users(call: Call) -> Payload:
    """GET …/reactions/{emoji}: users by id, a page of at most 100; ``type=1`` those of super reactions."""
    message, emoji = _target(call)
    reaction = message.reactions.get(emoji)
    limit, after = call.limit(25, 100), call.asked("after") or 0
    burst = call.asked("type") == 1
    ids = [] if reaction is None else reaction.burst if burst else reaction.normal
    return [user_json(call.world.users[one]) for one in sorted(ids) if one > after][:limit]


async def clear(call: Call) -> None:
    """DELETE …/reactions."""
    channel = channel_of(call, Permission.MANAGE_MESSAGES)
    call.deeds.clear(message_of(call, channel))


async def clear_emoji(call: Call) -> None:
    """DELETE …/reactions/{emoji}."""
    message, emoji = _target(call)
    require(call, message.channel, Permission.MANAGE_MESSAGES)
    call.deeds.clear(message, emoji)


_AT: Final = "/channels/{channel}/messages/{message}/reactions"
ROUTES: Final[Routes] = {
    ("PUT", _AT + "/{emoji}/@me"): add,
    ("DELETE", _AT + "/{emoji}/@me"): remove_own,
    ("DELETE", _AT + "/{emoji}/{user}"): remove_other,
    ("GET", _AT + "/{emoji}"): users,
    ("DELETE", _AT + "/{emoji}"): clear_emoji,
    ("DELETE", _AT): clear,
}

"""Routes of messages: write, read, change, delete."""

from __future__ import annotations

from typing import Any, Final

from tests.standins.discord.errors import (
    EMPTY_MESSAGE,
    MISSING_PERMISSIONS,
    NOT_THE_AUTHOR,
    TOO_LARGE,
    TOO_OLD_TO_DELETE,
    WRONG_COUNT_TO_DELETE,
    Refused,
    invalid,
    too_long,
)
from tests.standins.discord.looking import channel_of, message_of, require
from tests.standins.discord.payloads import message_json
from tests.standins.discord.permissions import Permission
from tests.standins.discord.rest import Call, Payload, Routes
from tests.standins.discord.state import CONTENT, Channel, ChannelKind, Flag, Json, Message, MessageKind

LONGEST: Final = 2000
LONGEST_NONCE: Final = 25
LARGEST_FILE: Final = 10 * 1024 * 1024
MOST_FILES: Final = 10
MOST_EMBEDS: Final = 10
EMBED_TEXT: Final = 6000
TWO_WEEKS: Final = 14 * 86400.0
BULK: Final = (2, 100)
BOT_FLAGS: Final = Flag.SUPPRESS_EMBEDS | Flag.SUPPRESS_NOTIFICATIONS | Flag.COMPONENTS_V2


def shown(call: Call, message: Message) -> Json:
    """A message as REST gives it: blank without the content intent in the developer portal, but for the exceptions."""
    content = CONTENT in call.world.app.privileged
    return message_json(call.world, message, content=content, base=call.deeds.base)


def check_content(body: Json, *, files: int = 0, field: str = "content") -> None:
    """The lengths that Discord enforces on what is written. Raises Refused."""
    content = body.get("content")
    if content is not None and not isinstance(content, str):
        raise invalid(field, "BASE_TYPE_BAD_TYPE", "Could not interpret as string.")
    if content is not None and len(content) > LONGEST:
        raise too_long(field, LONGEST)
    embeds = body.get("embeds") or []
    if len(embeds) > MOST_EMBEDS:
        raise invalid("embeds", "BASE_TYPE_BAD_LENGTH", "Must be 10 or fewer in length.")
    if sum(_embed_length(embed) for embed in embeds) > EMBED_TEXT:
        raise invalid("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")
    if files > MOST_FILES:
        raise invalid("attachments", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    check_components(body.get("components") or [])


def _embed_length(embed: Json) -> int:
    texts = [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
    texts += [part for one in embed.get("fields") or [] for part in (one.get("name"), one.get("value"))]
    return sum(len(text) for text in texts if text)


def check_components(rows: list[Json]) -> None:
    """At most 5 rows of at most 5 buttons, with unique ids of at most 100 characters. Raises Refused."""
    if len(rows) > 5:
        raise invalid("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    buttons = [part for row in rows for part in row.get("components", [])]
    if any(not 1 <= len(row.get("components", [])) <= 5 for row in rows if row.get("type") == 1):
        raise invalid("components.0.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    ids = [part["custom_id"] for part in buttons if "custom_id" in part]
    if any(not 1 <= len(one) <= 100 for one in ids):
        raise too_long("components.0.components.0.custom_id", 100)
    if len(set(ids)) != len(ids):
        raise invalid("components", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")


def is_empty(body: Json, files: int) -> bool:
    """Whether there is nothing to show."""
    return not files and not any(body.get(name) for name in ("content", "embeds", "components", "sticker_ids", "poll"))


async def create_message(call: Call) -> Payload:
    """POST /channels/{channel}/messages."""
    channel = channel_of(call)
    writing = Permission.SEND_MESSAGES_IN_THREADS if channel.is_thread else Permission.SEND_MESSAGES
    require(call, channel, writing)
    body: Json = call.body or {}
    if channel.kind in (ChannelKind.FORUM, ChannelKind.CATEGORY):
        raise invalid("channel_id", "CHANNEL_TYPE_INVALID", "Cannot send messages in a non-text channel")
    check_files(call, channel)
    if is_empty(body, len(call.files)):
        raise Refused(EMPTY_MESSAGE)
    check_content(body, files=len(call.files))
    known = _by_nonce(call, body)
    message = known or call.deeds.post(written(call, channel, body))
    return shown(call, message) | ({} if message.nonce is None else {"nonce": message.nonce})


def check_files(call: Call, channel: Channel) -> None:
    """Attachments are allowed and small enough. Raises Refused."""
    if call.files:
        require(call, channel, Permission.ATTACH_FILES)
    if sum(len(data) for _, data in call.files) > LARGEST_FILE:
        raise Refused(TOO_LARGE)


def written(call: Call, channel: Channel, body: Json) -> Message:
    """The bot's message of a request's body. Raises Refused."""
    reply_to = _referenced(call, channel, body)
    flags = Flag(int(body.get("flags") or 0)) & BOT_FLAGS
    content = str(body.get("content") or "").strip()
    allowed = body.get("allowed_mentions")
    message = call.deeds.draft(channel, call.world.bot, content, reply_to=reply_to, files=call.files, flags=flags)
    message.embeds = list(body.get("embeds") or [])
    message.components = list(body.get("components") or [])
    message.nonce = None if body.get("nonce") is None else str(body["nonce"])
    message.pinged = _pinged(call, message, allowed)
    if reply_to is not None and reply_to.author.id not in message.pinged:
        message.mentions = [user for user in message.mentions if user in message.pinged]
    return message


def _referenced(call: Call, channel: Channel, body: Json) -> Message | None:
    reference = body.get("message_reference")
    if reference is None:
        return None
    require(call, channel, Permission.READ_MESSAGE_HISTORY)
    found = channel.messages.get(int(reference["message_id"]))
    if found is None and channel.parent is not None and int(reference["message_id"]) == channel.id:
        found = channel.parent.messages.get(channel.id)
    if found is None and reference.get("fail_if_not_exists", True):
        raise invalid("message_reference", "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "Unknown message")
    return found


def _pinged(call: Call, message: Message, allowed: Json | None) -> set[int]:
    """Who gets a notification; without ``allowed_mentions`` everybody who is named does, everyone included."""
    guild = message.channel.guild
    everyone = set(guild.members) if guild and message.mention_everyone else set()
    if everyone and not call.world.permissions(message.author, message.channel) & Permission.MENTION_EVERYONE:
        everyone = set()
    if allowed is None:
        return set(message.mentions) | everyone
    parse = allowed.get("parse") or []
    users = {int(user) for user in allowed.get("users") or []}
    replied = message.reply_to.author.id if message.reply_to else None
    named = {user for user in message.mentions if user != replied}
    pinged = named if "users" in parse else named & users
    if replied is not None and allowed.get("replied_user"):
        pinged.add(replied)
    return pinged | (everyone if "everyone" in parse else set())


def _by_nonce(call: Call, body: Json) -> Message | None:
    nonce = body.get("nonce")
    if nonce is None:
        return None
    if len(str(nonce)) > LONGEST_NONCE:
        raise too_long("nonce", LONGEST_NONCE)
    if not body.get("enforce_nonce"):
        return None
    since = call.world.now() - call.deeds.gateway.limits.nonce_window
    for channel in call.world.channels.values():  # "another message by the same author", wherever it is
        for number in reversed(channel.order):
            message = channel.messages[number]
            if message.sent_at < since:
                break
            if message.nonce == str(nonce) and message.author is call.world.bot:
                return message
    return None


async def read_messages(call: Call) -> Payload:
    """GET /channels/{channel}/messages, newest first."""
    channel = channel_of(call)
    limit = call.limit(50, 100)
    bounds = {name: call.asked(name) for name in ("before", "after", "around")}
    if sum(bound is not None for bound in bounds.values()) > 1:
        raise invalid("before", "PARAMETER_EXCLUSIVE", "before, after and around are exclusive.")
    if not call.world.permissions(call.world.bot, channel) & Permission.READ_MESSAGE_HISTORY:
        return []
    return [shown(call, message) for message in channel.page(limit, **bounds)]


async def read_message(call: Call) -> Payload:
    """GET /channels/{channel}/messages/{message}."""
    channel = channel_of(call, Permission.READ_MESSAGE_HISTORY)
    return shown(call, message_of(call, channel))


async def edit_message(call: Call) -> Payload:
    """PATCH /channels/{channel}/messages/{message}."""
    channel = channel_of(call)
    message = message_of(call, channel)
    body: Json = call.body or {}
    if message.author is not call.world.bot and set(body) - {"flags"}:
        raise Refused(NOT_THE_AUTHOR)
    change(call, message, body)
    call.deeds.tell_update(message)
    return shown(call, message)


def change(call: Call, message: Message, body: Json) -> None:
    """Applies an edit of the bot to its message. Raises Refused."""
    check_content(body, files=len(call.files))
    _check_v2(message, body)
    if body.get("content") is not None:
        message.content = str(body["content"]).strip()
        call.deeds.mention(message)
    for name in ("embeds", "components"):
        if body.get(name) is not None:
            setattr(message, name, list(body[name]))
    if "attachments" in body:
        kept = {str(one["id"]) for one in body["attachments"] or []}
        message.files = [file for file in message.files if str(file.id) in kept]
    message.files += [call.deeds.file(name, data) for name, data in call.files]
    if body.get("flags") is not None:
        message.flags = message.flags & ~Flag.SUPPRESS_EMBEDS | Flag(int(body["flags"])) & BOT_FLAGS
    if set(body) - {"flags"}:
        message.edited_at = call.world.now()


def _check_v2(message: Message, body: Json) -> None:
    if message.flags & Flag.COMPONENTS_V2 and (body.get("content") or body.get("embeds")):
        raise invalid(
            "content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", "The 'content' field cannot be used"
        )


async def delete_message(call: Call) -> Payload:
    """DELETE /channels/{channel}/messages/{message}."""
    channel = channel_of(call)
    message = message_of(call, channel)
    if message.author is not call.world.bot:
        require(call, channel, Permission.MANAGE_MESSAGES)
    call.deeds.delete([message])
    return None


async def delete_messages(call: Call) -> Payload:
    """POST /channels/{channel}/messages/bulk-delete."""
    channel = channel_of(call, Permission.MANAGE_MESSAGES)
    ids = [int(one) for one in (call.body or {}).get("messages", [])]
    if not BULK[0] <= len(ids) <= BULK[1]:
        raise Refused(WRONG_COUNT_TO_DELETE)
    found = [channel.messages[one] for one in ids if one in channel.messages]
    if any(message.sent_at < call.world.now() - TWO_WEEKS for message in found):
        raise Refused(TOO_OLD_TO_DELETE)
    if found:
        call.deeds.delete(found)
    return None


async def type_in(call: Call) -> Payload:
    """POST /channels/{channel}/typing."""
    channel_of(call, Permission.SEND_MESSAGES)
    return None


def starts_thread(message: Message) -> bool:
    """Whether a thread can hang on the message."""
    return message.kind in (MessageKind.DEFAULT, MessageKind.REPLY, MessageKind.CHAT_INPUT_COMMAND)


async def pins(call: Call) -> Payload:
    """GET /channels/{channel}/messages/pins: nothing is ever pinned here."""
    channel_of(call)
    empty: dict[str, Any] = {"items": [], "has_more": False}
    return empty


async def pin(_call: Call) -> Payload:
    """Pinning is refused: no one here has the permission for it."""
    raise Refused(MISSING_PERMISSIONS)


ROUTES: Final[Routes] = {
    ("POST", "/channels/{channel}/messages"): create_message,
    ("GET", "/channels/{channel}/messages"): read_messages,
    ("GET", "/channels/{channel}/messages/pins"): pins,
    ("PUT", "/channels/{channel}/messages/pins/{message}"): pin,
    ("POST", "/channels/{channel}/messages/bulk-delete"): delete_messages,
    ("GET", "/channels/{channel}/messages/{message}"): read_message,
    ("PATCH", "/channels/{channel}/messages/{message}"): edit_message,
    ("DELETE", "/channels/{channel}/messages/{message}"): delete_message,
    ("POST", "/channels/{channel}/typing"): type_in,
}

"""Routes of accounts, servers, channels and threads, and the gateway's address."""

from __future__ import annotations

from typing import Final

from tests.standins.discord.errors import (
    CANNOT_WRITE_TO_USER,
    THREAD_EXISTS,
    UNKNOWN_CHANNEL,
    UNKNOWN_MEMBER,
    UNKNOWN_USER,
    Refused,
    bad_length,
    invalid,
)
from tests.standins.discord.looking import channel_of, guild_of, message_of, require
from tests.standins.discord.payloads import (
    app_json,
    channel_json,
    guild_json,
    member_json,
    thread_member_json,
    user_json,
)
from tests.standins.discord.permissions import Permission
from tests.standins.discord.rest import Call, Payload, Raw, Routes
from tests.standins.discord.rest_messages import check_content, check_files, is_empty, shown, starts_thread, written
from tests.standins.discord.state import Channel, ChannelKind, Json

LONGEST_NAME: Final = 100


async def me(call: Call) -> Payload:
    """GET /users/@me."""
    return user_json(call.world.bot) | {
        "verified": True,
        "mfa_enabled": False,
        "email": None,
        "flags": 0,
        "locale": "en-US",
    }


async def user(call: Call) -> Payload:
    """GET /users/{user}."""
    found = call.world.users.get(call.number("user"))
    if found is None:
        raise Refused(UNKNOWN_USER)
    return user_json(found)


async def application(call: Call) -> Payload:
    """GET /oauth2/applications/@me."""
    return app_json(call.world.app, sum(1 for _ in call.world.bot_guilds()))


async def gateway(call: Call) -> Payload:
    """GET /gateway."""
    return {"url": call.deeds.gateway.address}


async def gateway_bot(call: Call) -> Payload:
    """GET /gateway/bot: the address, how many shards, and how many starts are left."""
    entry = call.deeds.gateway
    starts = entry.limits.session_starts
    return {
        "url": entry.address,
        "shards": entry.shards,
        "session_start_limit": {
            "total": starts,
            "remaining": max(0, starts - entry.sessions.started),
            "reset_after": 86_400_000,
            "max_concurrency": 1,
        },
    }


async def guilds(call: Call) -> Payload:
    """GET /users/@me/guilds."""
    return [{"id": str(g.id), "name": g.name, "icon": None, "owner": False} for g in call.world.bot_guilds()]


async def leave_guild(call: Call) -> None:
    """DELETE /users/@me/guilds/{guild}."""
    call.deeds.leave(guild_of(call))


async def direct(call: Call) -> Payload:
    """POST /users/@me/channels."""
    found = call.world.users.get(int((call.body or {})["recipient_id"]))
    if found is None or found is call.world.bot:
        raise invalid("recipient_id", "USER_INVALID", "Unknown user")
    if not found.takes_direct_messages:
        raise Refused(CANNOT_WRITE_TO_USER)
    return channel_json(call.world.direct(found))


async def guild(call: Call) -> Payload:
    """GET /guilds/{guild}."""
    return guild_json(guild_of(call)) | {"approximate_member_count": len(guild_of(call).members)}


async def guild_channels(call: Call) -> Payload:
    """GET /guilds/{guild}/channels, threads not among them."""
    return [channel_json(channel) for channel in guild_of(call).channels.values() if not channel.is_thread]


async def guild_member(call: Call) -> Payload:
    """GET /guilds/{guild}/members/{user}."""
    member = guild_of(call).members.get(call.number("user"))
    if member is None:
        raise Refused(UNKNOWN_MEMBER)
    return member_json(member)


async def active_threads(call: Call) -> Payload:
    """GET /guilds/{guild}/threads/active."""
    return _threads(call, [one for one in guild_of(call).channels.values() if not one.archived])


async def archived_threads(call: Call) -> Payload:
    """GET /channels/{channel}/threads/archived/public."""
    parent = channel_of(call, Permission.READ_MESSAGE_HISTORY)
    found = [one for one in call.world.channels.values() if one.parent is parent and one.archived]
    return _threads(call, found) | {"has_more": False}


def _threads(call: Call, channels: list[Channel]) -> Json:
    seen = [one for one in channels if one.is_thread and call.world.sees(call.world.bot, one)]
    mine = [one for one in seen if call.world.bot.id in one.thread_members]
    return {
        "threads": [channel_json(one) for one in seen],
        "members": [thread_member_json(one, call.world.bot) for one in mine],
    }


async def channel(call: Call) -> Payload:
    """GET /channels/{channel}."""
    return channel_json(channel_of(call))


async def open_thread(call: Call) -> Payload:
    """POST /channels/{channel}/threads: a thread, or a forum post with its first message."""
    parent = channel_of(call, Permission.CREATE_PUBLIC_THREADS)
    body: Json = call.body or {}
    name = _name(body)
    if parent.kind is not ChannelKind.FORUM:
        private = body.get("type", ChannelKind.PRIVATE_THREAD) == ChannelKind.PRIVATE_THREAD
        if private:
            require(call, parent, Permission.CREATE_PRIVATE_THREADS)
        return channel_json(call.deeds.open_thread(parent, call.world.bot, name, private=private))
    first: Json = body.get("message") or {}
    check_files(call, parent)
    if is_empty(first, len(call.files)):
        raise invalid("message", "BASE_TYPE_REQUIRED", "This field is required")
    check_content(first, files=len(call.files), field="message.content")
    thread = call.deeds.open_thread(parent, call.world.bot, name)
    message = written(call, thread, first)
    message.id = thread.id
    call.deeds.post(message)
    return channel_json(thread) | {"message": shown(call, message)}


async def open_thread_on(call: Call) -> Payload:
    """POST /channels/{channel}/messages/{message}/threads."""
    parent = channel_of(call, Permission.CREATE_PUBLIC_THREADS)
    message = message_of(call, parent)
    name = _name(call.body or {})
    if message.thread is not None:
        raise Refused(THREAD_EXISTS)
    if parent.is_thread or parent.guild is None or not starts_thread(message):
        raise invalid("channel_id", "CHANNEL_TYPE_INVALID", "Cannot execute action on this channel type")
    return channel_json(call.deeds.open_thread(parent, call.world.bot, name, on=message))


def _name(body: Json) -> str:
    name = str(body.get("name") or "")
    if not 1 <= len(name) <= LONGEST_NAME:
        raise bad_length("name", 1, LONGEST_NAME)
    return name


async def join_thread(call: Call) -> None:
    """PUT /channels/{channel}/thread-members/@me."""
    channel_of(call).thread_members.add(call.world.bot.id)


async def thread_member(call: Call) -> Payload:
    """GET /channels/{channel}/thread-members/{user}."""
    thread = channel_of(call)
    found = call.world.users.get(call.number("user"))
    if found is None or found.id not in thread.thread_members:
        raise Refused(UNKNOWN_MEMBER)
    return thread_member_json(thread, found)


async def change_channel(call: Call) -> Payload:
    """PATCH /channels/{channel}: only a thread's archiving and name are changed here."""
    found = channel_of(call)
    if not found.is_thread:
        require(call, found, Permission.MANAGE_CHANNELS)
    body: Json = call.body or {}
    found.name = _name(body) if "name" in body else found.name
    if "archived" in body:
        call.deeds.archive(found, archived=bool(body["archived"]))
    return channel_json(found)


async def attachment(call: Call) -> Payload:
    """A file's bytes. Raises Refused (404) when no message has it any more."""
    for one in call.world.channels.values():
        for message in one.messages.values():
            for file in message.files:
                if file.id == call.number("file"):
                    return Raw(file.data)
    raise Refused(UNKNOWN_CHANNEL)


ROUTES: Final[Routes] = {
    ("GET", "/users/@me"): me,
    ("GET", "/users/@me/guilds"): guilds,
    ("DELETE", "/users/@me/guilds/{guild}"): leave_guild,
    ("POST", "/users/@me/channels"): direct,
    ("GET", "/users/{user}"): user,
    ("GET", "/oauth2/applications/@me"): application,
    ("GET", "/applications/@me"): application,
    ("GET", "/gateway"): gateway,
    ("GET", "/gateway/bot"): gateway_bot,
    ("GET", "/guilds/{guild}"): guild,
    ("GET", "/guilds/{guild}/channels"): guild_channels,
    ("GET", "/guilds/{guild}/members/{user}"): guild_member,
    ("GET", "/guilds/{guild}/threads/active"): active_threads,
    ("GET", "/channels/{channel}/threads/archived/public"): archived_threads,
    ("GET", "/channels/{channel}"): channel,
    ("PATCH", "/channels/{channel}"): change_channel,
    ("POST", "/channels/{channel}/threads"): open_thread,
    ("POST", "/channels/{channel}/messages/{message}/threads"): open_thread_on,
    ("PUT", "/channels/{channel}/thread-members/@me"): join_thread,
    ("GET", "/channels/{channel}/thread-members/{user}"): thread_member,
    ("GET", "/attachments/{file}/{name}"): attachment,
}

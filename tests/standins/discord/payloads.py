"""The world's records as the JSON objects of Discord's API v10."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from tests.standins.discord.state import (
    CONTENT,
    MEMBERS,
    App,
    Channel,
    ChannelKind,
    Emoji,
    File,
    Flag,
    Guild,
    Json,
    Member,
    Message,
    Reaction,
    Role,
    User,
    World,
)

CONTENT_FLAG: Final = 1 << 18  # GATEWAY_MESSAGE_CONTENT
MEMBERS_FLAG: Final = 1 << 14  # GATEWAY_GUILD_MEMBERS


def iso(moment: float | None) -> str | None:
    """Seconds of Unix time as ISO 8601 with an offset, as Discord writes it."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")


def user_json(user: User) -> Json:
    return {
        "id": str(user.id),
        "username": user.name.lower().replace(" ", "_"),
        "global_name": user.name,
        "discriminator": "0",
        "avatar": None,
        "bot": user.bot,
        "public_flags": 0,
    }


def member_json(member: Member, *, with_user: bool = True) -> Json:
    data: Json = {
        "nick": member.nick,
        "roles": [str(role) for role in sorted(member.roles)],
        "joined_at": iso(member.joined_at),
        "deaf": False,
        "mute": False,
        "flags": 0,
        "avatar": None,
    }
    return data | {"user": user_json(member.user)} if with_user else data


def role_json(role: Role) -> Json:
    return {
        "id": str(role.id),
        "name": role.name,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": role.position,
        "permissions": str(int(role.permissions)),
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }


def channel_json(channel: Channel, *, newest: bool = True) -> Json:
    data: Json = {"id": str(channel.id), "type": int(channel.kind)}
    if newest:
        data["last_message_id"] = str(channel.order[-1]) if channel.order else None
    if channel.recipient is not None:
        return data | {"recipients": [user_json(channel.recipient)]}
    data |= {"name": channel.name, "guild_id": str(channel.guild.id) if channel.guild else None, "flags": 0}
    data["parent_id"] = str(channel.parent.id) if channel.parent else None
    return data | (_thread_json(channel) if channel.is_thread else _room_json(channel))


def _room_json(channel: Channel) -> Json:
    overwrites = [
        {"id": str(o.target), "type": int(o.of_member), "allow": str(int(o.allow)), "deny": str(int(o.deny))}
        for o in channel.overwrites.values()
    ]
    data: Json = {
        "position": 0,
        "nsfw": channel.nsfw,
        "topic": None,
        "rate_limit_per_user": 0,
        "permission_overwrites": overwrites,
    }
    if channel.kind is ChannelKind.FORUM:
        data |= {"available_tags": [], "default_sort_order": None, "default_forum_layout": 0}
    return data


def _thread_json(channel: Channel) -> Json:
    return {
        "owner_id": str(channel.owner.id) if channel.owner else None,
        "message_count": len(channel.order),
        "member_count": len(channel.thread_members),
        "rate_limit_per_user": 0,
        "thread_metadata": {
            "archived": channel.archived,
            "auto_archive_duration": 1440,
            "archive_timestamp": iso(channel.archived_at),
            "locked": False,
            "create_timestamp": iso(channel.archived_at),
        },
    }


def thread_member_json(thread: Channel, user: User) -> Json:
    return {
        "id": str(thread.id),
        "user_id": str(user.id),
        "join_timestamp": iso(thread.archived_at),
        "flags": 0,
    }


def emoji_json(emoji: Emoji) -> Json:
    return {"id": str(emoji.id) if emoji.id else None, "name": emoji.name}


def guild_json(guild: Guild) -> Json:
    """What GET /guilds/{id} gives."""
    return {
        "id": str(guild.id),
        "name": guild.name,
        "owner_id": str(guild.owner.id),
        "icon": None,
        "roles": [role_json(role) for role in guild.roles.values()],
        "emojis": [
            {"id": str(i), "name": name, "roles": [], "available": True, "animated": False, "managed": False}
            for i, name in guild.emojis.items()
        ],
        "stickers": [],
        "features": ["COMMUNITY"],
        "afk_timeout": 300,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "premium_tier": 0,
        "preferred_locale": "en-US",
        "system_channel_flags": 0,
        "system_channel_id": None,
        "rules_channel_id": None,
    }


def full_guild_json(world: World, guild: Guild, *, members: bool) -> Json:
    """What GUILD_CREATE carries; without the members intent the only member in it is the bot."""
    shown = guild.members.values() if members else [guild.members[world.bot.id]]
    rooms = [channel for channel in guild.channels.values() if not channel.is_thread]
    threads = [
        channel
        for channel in guild.channels.values()
        if channel.is_thread and not channel.archived and world.sees(world.bot, channel)
    ]
    return guild_json(guild) | {
        "joined_at": iso(guild.members[world.bot.id].joined_at),
        "large": len(guild.members) > 250,
        "member_count": len(guild.members),
        "members": [member_json(member) for member in shown],
        "channels": [channel_json(channel) for channel in rooms],
        "threads": [channel_json(thread) for thread in threads],
        "presences": [],
        "voice_states": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def file_json(file: File, base: str) -> Json:
    url = f"{base}/attachments/{file.id}/{file.name}"
    return {"id": str(file.id), "filename": file.name, "size": len(file.data), "url": url, "proxy_url": url}


def reaction_json(reaction: Reaction, bot: User) -> Json:
    return {
        "emoji": emoji_json(reaction.emoji),
        "count": len(reaction.normal) + len(reaction.burst),
        "count_details": {"normal": len(reaction.normal), "burst": len(reaction.burst)},
        "me": bot.id in reaction.normal,
        "me_burst": bot.id in reaction.burst,
        "burst_colors": [],
    }


def message_json(world: World, message: Message, *, content: bool, base: str, nested: bool = False) -> Json:
    """A message as the bot sees it; without the content intent what was written is blank, but for the exceptions."""
    shown = content or shows_content(world, message)
    data: Json = {
        "id": str(message.id),
        "channel_id": str(message.channel.id),
        "type": int(message.kind),
        "author": user_json(message.author),
        "content": message.content if shown else "",
        "embeds": message.embeds if shown else [],
        "attachments": [file_json(file, base) for file in message.files] if shown else [],
        "components": message.components if shown else [],
        "timestamp": iso(message.sent_at),
        "edited_timestamp": iso(message.edited_at),
        "tts": False,
        "pinned": False,
        "mention_everyone": message.mention_everyone,
        "mentions": [_mention(message, world.users[user]) for user in message.mentions if user in world.users],
        "mention_roles": [],
        "flags": int(message.flags),
        "reactions": [reaction_json(reaction, world.bot) for reaction in message.reactions.values()],
    }
    if message.thread is not None:
        data["thread"] = channel_json(message.thread)
    if message.interaction is not None:
        data |= {"interaction_metadata": message.interaction, "application_id": str(world.app.id)}
        data["webhook_id"] = str(world.app.id)
    return data | _reference(world, message, content=content, base=base, nested=nested)


def _reference(world: World, message: Message, *, content: bool, base: str, nested: bool) -> Json:
    source = message.reply_to
    if source is None:
        return {}
    reference = {"type": 0, "channel_id": str(source.channel.id), "message_id": str(source.id)}
    if source.channel.guild is not None:
        reference["guild_id"] = str(source.channel.guild.id)
    if nested:
        return {"message_reference": reference}
    shown = None if source.gone else message_json(world, source, content=content, base=base, nested=True)
    return {"message_reference": reference, "referenced_message": shown}


def _mention(message: Message, user: User) -> Json:
    guild = message.channel.guild
    member = guild.members.get(user.id) if guild else None
    return user_json(user) | ({"member": member_json(member, with_user=False)} if member else {})


def shows_content(world: World, message: Message) -> bool:
    """Whether the bot may read a message without the content intent.

    Its own messages, direct messages, and those that mention it (a reply that pings it does).
    https://docs.discord.com/developers/events/gateway#message-content-intent
    """
    own = message.author is world.bot
    return own or message.channel.guild is None or world.bot.id in message.mentions


def placed(message: Message, data: Json) -> Json:
    """A message as the gateway sends it: with the server and the author's membership."""
    guild = message.channel.guild
    if guild is None:
        return data | {"channel_type": int(message.channel.kind)}
    data |= {"guild_id": str(guild.id), "channel_type": int(message.channel.kind)}
    member = guild.members.get(message.author.id)
    if member is not None and message.interaction is None:
        data["member"] = member_json(member, with_user=False)
    return data


def app_json(app: App, servers: int) -> Json:
    """The bot's application, which is in so many servers."""
    flags = (CONTENT_FLAG if CONTENT in app.privileged else 0) | (MEMBERS_FLAG if MEMBERS in app.privileged else 0)
    return {
        "id": str(app.id),
        "name": app.name,
        "icon": None,
        "description": "",
        "bot_public": True,
        "bot_require_code_grant": False,
        "owner": user_json(app.owner),
        "verify_key": "0" * 64,
        "team": None,
        "flags": flags,
        "redirect_uris": [],
        "interactions_endpoint_url": app.endpoint,
        "role_connections_verification_url": None,
        "approximate_guild_count": servers,
    }


def is_ephemeral(flags: Any) -> bool:
    """Whether message flags ask for a message that one person sees."""
    return isinstance(flags, int) and bool(flags & Flag.EPHEMERAL)

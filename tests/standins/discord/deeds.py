"""What can be done in the world: each deed changes it and tells the gateway. People and the bot do the same deeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from tests.standins.discord.events import Announcement, Intent
from tests.standins.discord.gateway import Gateway
from tests.standins.discord.payloads import (
    channel_json,
    emoji_json,
    full_guild_json,
    guild_json,
    member_json,
    message_json,
    placed,
    role_json,
    thread_member_json,
    user_json,
)
from tests.standins.discord.state import (
    Channel,
    ChannelKind,
    Emoji,
    File,
    Flag,
    Guild,
    Json,
    Member,
    Message,
    MessageKind,
    Reaction,
    User,
    World,
)

_MENTION: Final = re.compile(r"<@!?(\d+)>")


class Deeds:
    """Changes the world and announces it."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        self.world = world
        self.gateway = gateway
        self.base = ""

    # messages

    def post(self, message: Message) -> Message:
        """Puts a new message into its channel."""
        channel = message.channel
        if channel.is_thread and channel.archived:
            self.archive(channel, archived=False)
        if message.only_for is None:
            channel.put(message)
            self._tell_message("MESSAGE_CREATE", message)
        else:
            self.world.changed()
        return message

    def draft(
        self,
        channel: Channel,
        author: User,
        content: str,
        *,
        reply_to: Message | None = None,
        ping: bool = True,
        at: float | None = None,
        files: Iterable[tuple[str, bytes]] = (),
        flags: Flag = Flag.NONE,
    ) -> Message:
        """A message with a new id and the mentions that its text makes; not posted yet."""
        message = Message(self.world.make_id(at), channel, author, content, flags=flags, reply_to=reply_to)
        message.files = [self.file(name, data) for name, data in files]
        message.kind = MessageKind.DEFAULT if reply_to is None else MessageKind.REPLY
        self.mention(message)
        if reply_to is not None and ping and reply_to.author.id not in message.mentions:
            message.mentions.append(reply_to.author.id)
        message.pinged = set(message.mentions)
        return message

    def mention(self, message: Message) -> None:
        """Reads the mentions of its text."""
        named = dict.fromkeys(int(number) for number in _MENTION.findall(message.content))
        message.mentions = [user for user in named if user in self.world.users]
        message.mention_everyone = "@everyone" in message.content or "@here" in message.content

    def file(self, name: str, data: bytes) -> File:
        """An attachment with a new id."""
        return File(self.world.make_id(), name, data)

    def edit(self, message: Message, content: str) -> None:
        """Changes what was written."""
        message.content = content
        message.edited_at = self.world.now()
        self.tell_update(message)

    def unfurl(self, message: Message, url: str) -> None:
        """What Discord does some moments after a message with a link: an update that is no edit."""
        message.embeds.append({"type": "link", "url": url, "title": "A page", "description": "What it says"})
        self.tell_update(message)

    def tell_update(self, message: Message) -> None:
        """Announces a message as it is now."""
        if message.only_for is None:
            self._tell_message("MESSAGE_UPDATE", message)
        else:
            self.world.changed()

    def delete(self, messages: list[Message]) -> None:
        """Takes messages of one channel away; several are one bulk deletion."""
        for message in messages:
            message.gone = True
            if message.only_for is None:
                message.channel.take(message)
        first = messages[0]
        if first.only_for is not None:
            self.world.changed()
            return
        ids = [str(message.id) for message in messages]
        place = self._place(first.channel)
        if len(ids) == 1:
            self._tell("MESSAGE_DELETE", first.channel, lambda _: {"id": ids[0]} | place)
        else:
            self._tell("MESSAGE_DELETE_BULK", first.channel, lambda _: {"ids": ids} | place)

    # reactions

    def react(self, message: Message, user: User, emoji: Emoji, *, burst: bool = False) -> None:
        """Puts an emoji on a message; twice is once."""
        reaction = message.reactions.setdefault(emoji, Reaction(emoji))
        people = reaction.burst if burst else reaction.normal
        if user.id in people:
            return
        people.append(user.id)
        data = self._reaction(message, user, emoji, burst=burst) | {"message_author_id": str(message.author.id)}
        guild = message.channel.guild
        if guild is not None and user.id in guild.members:
            data["member"] = member_json(guild.members[user.id])
        if burst:
            data["burst_colors"] = ["#ffcc00"]
        self._tell("MESSAGE_REACTION_ADD", message.channel, lambda _: data)

    def unreact(self, message: Message, user: User, emoji: Emoji, *, burst: bool = False) -> None:
        """Takes somebody's emoji back."""
        reaction = message.reactions.get(emoji)
        people = [] if reaction is None else reaction.burst if burst else reaction.normal
        if user.id not in people:
            return
        people.remove(user.id)
        if reaction is not None and not reaction.normal and not reaction.burst:
            del message.reactions[emoji]
        data = self._reaction(message, user, emoji, burst=burst)
        self._tell("MESSAGE_REACTION_REMOVE", message.channel, lambda _: data)

    def clear(self, message: Message, emoji: Emoji | None = None) -> None:
        """Takes all reactions away, or all with one emoji, as moderators do."""
        place = self._place(message.channel) | {"message_id": str(message.id)}
        if emoji is None:
            message.reactions.clear()
            self._tell("MESSAGE_REACTION_REMOVE_ALL", message.channel, lambda _: place)
            return
        message.reactions.pop(emoji, None)
        data = place | {"emoji": emoji_json(emoji)}
        self._tell("MESSAGE_REACTION_REMOVE_EMOJI", message.channel, lambda _: data)

    def _reaction(self, message: Message, user: User, emoji: Emoji, *, burst: bool) -> Json:
        data = {"user_id": str(user.id), "message_id": str(message.id), "emoji": emoji_json(emoji)}
        return data | self._place(message.channel) | {"burst": burst, "type": int(burst)}

    # channels and threads

    def open_channel(self, channel: Channel) -> Channel:
        """A new channel of a server."""
        self.world.add_channel(channel)
        self._tell("CHANNEL_CREATE", channel, lambda _: channel_json(channel))
        return channel

    def change_channel(self, channel: Channel) -> None:
        """Announces a channel as it is now."""
        self._tell("CHANNEL_UPDATE", channel, lambda _: channel_json(channel))

    def close_channel(self, channel: Channel) -> None:
        """Takes a channel away with everything in it."""
        del self.world.channels[channel.id]
        if channel.guild is not None:
            del channel.guild.channels[channel.id]
        event = "THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE"
        self._tell(event, channel, lambda _: channel_json(channel))

    def open_thread(
        self, parent: Channel, owner: User, name: str, *, on: Message | None = None, private: bool = False
    ) -> Channel:
        """A thread in a channel or on a message of it; of a message's thread the id is the message's."""
        kind = ChannelKind.PRIVATE_THREAD if private else ChannelKind.PUBLIC_THREAD
        thread = Channel(on.id if on else self.world.make_id(), kind, name, parent.guild, parent, owner=owner)
        thread.archived_at = self.world.now()
        thread.thread_members.add(owner.id)
        self.world.add_channel(thread)
        self._tell("THREAD_CREATE", thread, lambda _: channel_json(thread) | self._joined(thread, owner))
        if on is not None:
            on.thread, on.flags = thread, on.flags | Flag.HAS_THREAD
            self.tell_update(on)
        return thread

    def _joined(self, thread: Channel, owner: User) -> Json:
        mine = {"member": thread_member_json(thread, owner)} if owner is self.world.bot else {}
        return {"newly_created": True} | mine

    def archive(self, thread: Channel, *, archived: bool) -> None:
        """Puts a thread away, or takes it out again."""
        thread.archived, thread.archived_at = archived, self.world.now()
        self._tell("THREAD_UPDATE", thread, lambda _: channel_json(thread))

    # servers

    def join(self, guild: Guild) -> None:
        """The bot comes to a server."""
        guild.members[self.world.bot.id] = Member(self.world.bot, joined_at=self.world.now())
        self._tell_guild("GUILD_CREATE", guild, lambda intents: self._full(guild, intents))

    def _full(self, guild: Guild, intents: Intent) -> Json:
        return full_guild_json(self.world, guild, members=bool(intents & Intent.GUILD_MEMBERS))

    def leave(self, guild: Guild) -> None:
        """The bot leaves a server, or is put out of it."""
        del guild.members[self.world.bot.id]
        self._tell_guild("GUILD_DELETE", guild, lambda _: {"id": str(guild.id)})

    def outage(self, guild: Guild, *, over: bool) -> None:
        """A server goes away for a while, or comes back."""
        guild.unavailable = not over
        if over:
            again = {"unavailable": False}
            self._tell_guild("GUILD_CREATE", guild, lambda intents: self._full(guild, intents) | again)
        else:
            self._tell_guild("GUILD_DELETE", guild, lambda _: {"id": str(guild.id), "unavailable": True})

    def change_guild(self, guild: Guild) -> None:
        """Announces a server as it is now."""
        self._tell_guild("GUILD_UPDATE", guild, lambda _: guild_json(guild))

    def add_role(self, guild: Guild, role_id: int) -> None:
        """Announces a new role."""
        data = {"guild_id": str(guild.id), "role": role_json(guild.roles[role_id])}
        self._tell_guild("GUILD_ROLE_CREATE", guild, lambda _: data)

    def change_role(self, guild: Guild, role_id: int) -> None:
        """Announces a role as it is now."""
        data = {"guild_id": str(guild.id), "role": role_json(guild.roles[role_id])}
        self._tell_guild("GUILD_ROLE_UPDATE", guild, lambda _: data)

    def arrive(self, guild: Guild, member: Member) -> None:
        """Somebody comes to a server."""
        guild.members[member.user.id] = member
        data = member_json(member) | {"guild_id": str(guild.id)}
        self._tell_guild("GUILD_MEMBER_ADD", guild, lambda _: data)

    def change_member(self, guild: Guild, member: Member) -> None:
        """Announces a member as they are now."""
        data = member_json(member) | {"guild_id": str(guild.id)}
        self._tell_guild("GUILD_MEMBER_UPDATE", guild, lambda _: data)

    def depart(self, guild: Guild, member: Member) -> None:
        """Somebody leaves a server."""
        del guild.members[member.user.id]
        data = {"guild_id": str(guild.id), "user": user_json(member.user)}
        self._tell_guild("GUILD_MEMBER_REMOVE", guild, lambda _: data)

    def interact(self, channel: Channel, data: Json) -> None:
        """Somebody uses a command or a component of the bot."""
        self._tell("INTERACTION_CREATE", channel, lambda _: data)

    # telling

    def _tell_message(self, event: str, message: Message) -> None:
        def make(intents: Intent) -> Json:
            content = bool(intents & Intent.MESSAGE_CONTENT)
            told = placed(message, message_json(self.world, message, content=content, base=self.base))
            new = event == "MESSAGE_CREATE" and message.nonce is not None
            return told | {"nonce": message.nonce} if new else told

        self._tell(event, message.channel, make)

    def _tell(self, event: str, channel: Channel, make: Callable[[Intent], Json]) -> None:
        self.gateway.publish(Announcement(event, make, channel.guild, channel))

    def _tell_guild(self, event: str, guild: Guild, make: Callable[[Intent], Json]) -> None:
        self.gateway.publish(Announcement(event, make, guild))

    def _place(self, channel: Channel) -> Json:
        place = {"channel_id": str(channel.id)}
        return place | ({"guild_id": str(channel.guild.id)} if channel.guild else {})

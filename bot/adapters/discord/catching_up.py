"""What was missed: the history of channels from where we had read, and the reactions that stand on our last answers.

A channel is *current* when its live messages are taken; else they are passed over, because its history is being read
and will hold them. So nothing is read twice at length, nothing is left out, and a room's messages stay in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

import discord
import structlog

from bot.adapters.discord.cursors import Cursors
from bot.adapters.discord.feed import Came, Feed, Left, Read, Reviewed, Stands
from bot.adapters.discord.ids import is_message, message_id, parts_of
from bot.adapters.discord.lists import Lists
from bot.adapters.discord.places import Places
from bot.ports import Notebook
from memory.errors import Unavailable

MOST: Final = 5_000  # missed messages of a channel; what is older is a gap
CHUNK: Final = 200  # messages that are handed on at once
ANSWERS: Final = 30  # newest answers of a room whose reactions are read again
AT_ONCE: Final = 4
REVIEWED: Final = 100  # newest messages of a channel that are looked at again for edits and deletions
LATE: Final = 3  # tries to find a message in the history that the gateway told of
LONGEST_PAUSE: Final = 60.0
AWAY: Final = timedelta(hours=1)  # after which threads may have been archived with something new in them
ARCHIVED: Final = 20  # newest archived threads of a channel that are looked at
READABLE: Final = (
    discord.TextChannel,
    discord.VoiceChannel,
    discord.StageChannel,
)
_GONE: Final = (403, 404)

log = structlog.get_logger(__name__)

Guild: TypeAlias = int | None


@dataclass(frozen=True, slots=True)
class Target:
    """A channel whose history is to be read; with ``message`` the reactions on one of ours instead.

    ``review`` has the newest messages that we know looked at again: were they edited or deleted?
    """

    channel: int
    message: int | None = None
    review: bool = False


class CatchingUp:
    """Reads what was missed, a few channels at a time."""

    def __init__(
        self,
        client: discord.Client,
        feed: Feed,
        cursors: Cursors,
        notebook: Notebook,
        lists: Lists,
        places: Places,
        *,
        most: int = MOST,
        pause: float = 1.0,
    ) -> None:
        """``most`` bounds what is read of a channel; ``pause`` is the first wait after a failure, in seconds."""
        self._client = client
        self._feed = feed
        self._cursors = cursors
        self._notebook = notebook
        self._lists = lists
        self._places = places
        self._away_since = 0
        self._most = most
        self._pause = pause
        self._current: dict[int, Guild] = {}
        self._passed_over: dict[int, int] = {}
        self._planned: dict[Target, Guild] = {}
        self._running: set[Target] = set()
        self._direct: set[int] = set()
        self._wake = asyncio.Event()
        self._tries: dict[Target, int] = {}

    @property
    def left(self) -> int:
        """How many channels and answers are still to be read."""
        return len(self._planned) + len(self._running)

    def takes(self, message: discord.Message) -> bool:
        """Whether a live message is taken now; one that is not will be read from history."""
        channel = message.channel.id
        if channel in self._current:
            return True
        guild = message.guild.id if message.guild is not None else None
        if guild is None and channel not in self._direct:
            self._current[channel] = guild
            return True
        self._passed_over[channel] = message.id
        self.plan(channel, guild)
        return False

    def fall_behind(self, channel: int, guild: Guild, message: int) -> None:
        """A live message was not kept for want of room: the channel is read from history later."""
        self._current.pop(channel, None)
        self._passed_over[channel] = message
        self.plan(channel, guild)

    def session_lost(self, is_ours: Callable[[int], bool], *, direct: bool) -> None:
        """A new session: what happened before it is not told. ``is_ours`` says which servers it covers."""

        def lost(channel: int, guild: Guild) -> bool:
            return is_ours(guild) if guild is not None else direct and channel in self._direct

        self._current = {channel: guild for channel, guild in self._current.items() if not lost(channel, guild)}

    def opened(self, channel: int, guild: int) -> None:
        """A channel or thread that has just been made is current from its first message on."""
        if Target(channel) not in self._planned:
            self._current[channel] = guild

    def closed(self, channel: int) -> None:
        """A channel is gone."""
        self._current.pop(channel, None)
        self._planned.pop(Target(channel), None)

    def plan(self, channel: int, guild: Guild, message: int | None = None) -> None:
        """The channel, or the reactions on a message of ours in it, are to be read."""
        target = Target(channel, message)
        if target not in self._running or message is not None:
            self._add(target, guild)

    def _add(self, target: Target, guild: Guild) -> None:
        self._planned.setdefault(target, guild)
        self._wake.set()

    async def begin(self, guilds: list[discord.Guild], is_ours: Callable[[int], bool], *, direct: bool) -> None:
        """After a new session: plans what may have been missed in these servers. Raises Unavailable.

        ``is_ours`` says which servers the session covers; those that we know and that are not there have put us out.
        """
        for known in await self._cursors.guilds():
            if is_ours(known) and known not in {guild.id for guild in guilds}:
                await self._feed.put_read(Left(known, ""))
        self._away_since = alive = await self._cursors.alive()
        for guild in guilds:
            if guild.me is not None and not guild.unavailable:
                await self._plan_guild(guild, alive)
        if alive == 0:  # from now on: what happens between here and the first commit is missed, not before our time
            await self._cursors.note_alive(discord.utils.time_snowflake(discord.utils.utcnow()))
        if direct:
            self._direct = set(await self._cursors.direct())
            for channel in self._direct - self._current.keys():
                self.plan(channel, None)
        await self._plan_rechecks({guild.id for guild in guilds})

    def came_to(self, guild: discord.Guild) -> Came:
        """We came to a server: from now on its channels are heard."""
        now = discord.utils.time_snowflake(discord.utils.utcnow())
        self._current.update({one.id: guild.id for one in _rooms(guild)})
        return Came(guild, {one.id: _last(one) or now for one in _rooms(guild)})

    async def settle_in(self, came: Came) -> None:
        """That we came is committed. Raises Unavailable."""
        await self._cursors.advance(dict(came.last))
        await self._cursors.note_arrived(came.guild.id, _joined(came.guild))

    async def run(self) -> None:
        """Reads what is planned until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work())

    async def _plan_guild(self, guild: discord.Guild, alive: int) -> None:
        if await self._cursors.arrived(guild.id) != _joined(guild):
            await self._feed.put_read(self.came_to(guild))
            return
        choice = await self._lists.of(guild.id)
        for channel in _rooms(guild):
            if not choice.listens(_top(channel).id, nsfw=_top(channel).is_nsfw()):
                await self._cursors.advance({channel.id: _last(channel)})
            if _last(channel) > await self._cursor(channel, alive):
                self.plan(channel.id, guild.id)
            else:
                self._current[channel.id] = guild.id
            self._add(Target(channel.id, review=True), guild.id)
        if discord.utils.utcnow() - discord.utils.snowflake_time(alive) > AWAY:
            await self._plan_archived(guild, alive)

    async def _cursor(self, channel: Any, alive: int) -> int:
        """How far a channel was read; one without a cursor was made, or shown to us, while we were away."""
        cursor = await self._cursors.of(channel.id)
        if cursor is None:
            cursor = channel.id - 1 if channel.id > alive else _last(channel)
            await self._cursors.advance({channel.id: cursor})
        return cursor

    async def _plan_archived(self, guild: discord.Guild, alive: int) -> None:
        """Threads that were archived meanwhile, with messages that we have not seen."""
        for channel in guild.channels:
            if not isinstance(channel, discord.TextChannel | discord.ForumChannel) or not _readable(channel):
                continue
            try:
                threads = [thread async for thread in channel.archived_threads(limit=ARCHIVED)]
            except discord.HTTPException as exc:
                log.warning("discord.archived_unread", channel=channel.id, status=exc.status)
                continue
            for thread in threads:
                if _last(thread) > await self._cursor(thread, alive):
                    self.plan(thread.id, guild.id)

    async def _plan_rechecks(self, guilds: set[int]) -> None:
        for room in await self._notebook.rooms():
            channel = self._client.get_channel(int(room)) if room.isdecimal() else None
            guild = getattr(channel, "guild", None)
            if guild is None or guild.id not in guilds:
                continue
            for event_id in await self._notebook.answers(room, ANSWERS):
                where, _, message = event_id.partition("-")
                if where.isdecimal() and message.isdecimal():
                    self.plan(int(where), guild.id, int(message))

    async def _work(self) -> None:
        while True:
            if not self._planned:
                self._wake.clear()
                await self._wake.wait()
                continue
            target = next(iter(self._planned))
            guild = self._planned.pop(target)
            self._running.add(target)
            try:
                again = await self._attempt(target, guild)
            finally:
                self._running.discard(target)
            if again:
                self._add(target, guild)

    async def _attempt(self, target: Target, guild: Guild) -> bool:
        """Reads it; True when that did not succeed and is to be tried again, after a pause."""
        try:
            if target.review:
                await self._review(target.channel, guild)
            elif target.message is None:
                await self._catch_up(target.channel, guild)
            else:
                await self._read_reactions(target.channel, target.message, guild)
        except (Unavailable, discord.DiscordException, OSError, TimeoutError) as exc:
            tries = self._tries[target] = self._tries.get(target, 0) + 1
            wait = min(LONGEST_PAUSE, self._pause * 2.0 ** min(tries - 1, 10))
            log.warning("discord.reading_waits", channel=target.channel, seconds=wait, error=type(exc).__name__)
            await asyncio.sleep(wait)
            return True
        self._tries.pop(target, None)
        return False

    async def _catch_up(self, channel: int, guild: Guild) -> None:
        after = await self._start_of(channel)
        total = late = 0
        while True:
            mark = self._passed_over.get(channel)
            found, complete = await self._between(channel, guild, after)
            missing = None if complete else discord.utils.snowflake_time(after)
            for start in range(0, len(found), CHUNK):
                some = tuple(found[start : start + CHUNK])
                await self._feed.put_read(Read(channel, guild, some, some[-1].id, missing if start == 0 else None))
            after = found[-1].id if found else after
            total += len(found)
            if self._passed_over.get(channel) == mark:
                if mark is None or mark <= after or late >= LATE:
                    break
                late += 1  # the gateway told of it, the history does not show it yet (or it is deleted)
                await asyncio.sleep(self._pause / 4)
        self._passed_over.pop(channel, None)
        self._current[channel] = guild
        log.info("discord.caught_up", channel=channel, messages=total)

    async def _start_of(self, channel: int) -> int:
        """The message after which a channel is to be read: a thread that we do not know from its beginning."""
        cursor = await self._cursors.of(channel)
        if cursor is not None:
            return cursor
        if isinstance(self._client.get_channel(channel), discord.Thread):
            return channel - 1
        return self._passed_over.get(channel, discord.utils.time_snowflake(discord.utils.utcnow())) - 1

    async def _between(self, channel: int, guild: Guild, after: int) -> tuple[list[discord.Message], bool]:
        """Messages after one, oldest first, at most the newest ``most`` of them, and whether these are all.

        None of a channel that is gone or hidden from us.
        """
        place = self._client.get_partial_messageable(channel, guild_id=guild)
        try:
            past = place.history(limit=self._most, after=discord.Object(after), oldest_first=False)
            newest_first = [message async for message in past]
        except discord.HTTPException as exc:
            if exc.status not in _GONE:
                raise
            log.warning("discord.history_refused", channel=channel, status=exc.status)
            return [], True
        return newest_first[::-1], len(newest_first) < self._most

    async def _review(self, channel: int, guild: Guild) -> None:
        """Compares the newest messages that we keep of a channel with what stands there now."""
        spot = await self._places.of(channel, guild)
        kept = await self._notebook.kept(spot.place.room, f"{channel}-", REVIEWED) if spot is not None else []
        known = [parts_of(event_id)[1] for event_id in kept if is_message(event_id)]
        if not known:
            return
        since = discord.utils.snowflake_time(self._away_since)
        place = self._client.get_partial_messageable(channel, guild_id=guild)
        try:
            found = [one async for one in place.history(limit=REVIEWED, before=discord.Object(max(known) + 1))]
        except discord.HTTPException as exc:
            if exc.status not in _GONE:
                raise
            return
        oldest = found[-1].id if len(found) == REVIEWED else 0
        there = {one.id for one in found}
        gone = tuple(message_id(channel, one) for one in known if one >= oldest and one not in there)
        edited = tuple(one for one in reversed(found) if one.edited_at is not None and one.edited_at >= since)
        if gone or edited:
            await self._feed.put_read(Reviewed(channel, guild, edited, gone))

    async def _read_reactions(self, channel: int, message: int, guild: Guild) -> None:
        try:
            found = await self._client.get_partial_messageable(channel).fetch_message(message)
            by: dict[tuple[int, str], tuple[Any, str]] = {}
            for reaction in found.reactions:
                for kind, count in (
                    (discord.ReactionType.normal, reaction.normal_count),
                    (discord.ReactionType.burst, reaction.burst_count),
                ):
                    if count:
                        async for user in reaction.users(type=kind):
                            by.setdefault((user.id, str(reaction.emoji)), (user, str(reaction.emoji)))
        except discord.HTTPException as exc:
            if exc.status not in _GONE:
                raise
            return  # the answer is gone, or hidden from us
        await self._feed.put_read(Stands(channel, guild, message, tuple(by.values())))


def _rooms(guild: discord.Guild) -> list[Any]:
    """Where messages are written in a server, and we may read them."""
    channels: list[Any] = [channel for channel in guild.channels if isinstance(channel, READABLE)]
    return [one for one in [*channels, *guild.threads] if _readable(one)]


def _joined(guild: discord.Guild) -> int:
    """A snowflake of the time when we joined."""
    return discord.utils.time_snowflake(guild.me.joined_at) if guild.me.joined_at is not None else 1


def _top(channel: Any) -> Any:
    """The channel itself, or the one that a thread hangs in."""
    return channel.parent if isinstance(channel, discord.Thread) and channel.parent is not None else channel


def _readable(channel: Any) -> bool:
    parent = channel.parent if isinstance(channel, discord.Thread) else channel
    if parent is None:
        return False
    granted = parent.permissions_for(channel.guild.me)
    return bool(granted.view_channel and granted.read_message_history)


def _last(channel: Any) -> int:
    """The newest message of a channel, as the server told at the start; 0 when there is none."""
    return int(getattr(channel, "last_message_id", None) or 0)

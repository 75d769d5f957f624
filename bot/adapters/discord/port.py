"""Discord as a chat platform: one bot, in all servers that it was added to."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import aiohttp
import discord
import structlog

from bot.adapters.discord import buttons, slash
from bot.adapters.discord.budget import Budget
from bot.adapters.discord.catching_up import MOST, CatchingUp
from bot.adapters.discord.client import Access, Client, point_at
from bot.adapters.discord.commands_sync import CommandsSync
from bot.adapters.discord.counter import InteractionCounter, Parts
from bot.adapters.discord.cursors import Cursors
from bot.adapters.discord.examining import examined
from bot.adapters.discord.failing import LoggedOut, Standing, why_ended
from bot.adapters.discord.feed import Came, Changed, Feed, Happening, Kept, Left, Opened, Read, Vanished, Written
from bot.adapters.discord.gateway import Guard
from bot.adapters.discord.health import Signs, health_page
from bot.adapters.discord.ids import PLATFORM, message_id, parts_of
from bot.adapters.discord.lists import Lists
from bot.adapters.discord.places import Places
from bot.adapters.discord.reading import SAID, Reader
from bot.adapters.discord.sending import Sender
from bot.adapters.discord.used import Desk
from bot.commands import Command
from bot.models import Capabilities, ChatEvent, Place, Reply
from bot.pages import Page
from bot.ports import Notebook
from memory.errors import Unavailable, WeavebotError
from memory.ports import Clock

MENTIONS_ONLY: Final = Capabilities(
    threads=True,
    files=True,
    edits=True,
    buttons=True,
    greets=True,
    longest=2000,
    hint="React 👍 👎 or ⭐: it trains the routing in this server. *Why?* explains.",
    hears_all=False,
    asking="`/weave`, or mention me",
    command="/weavebot",
    settings="/weavebot-admin settings",
)
"""Of a bot without the message content intent."""
FULL_MEMORY: Final = replace(MENTIONS_ONLY, hears_all=True, asking="`/weave`, `{prefix} QUESTION`, or mention me")
BATCH: Final = 200  # events that are committed at once, or a little more
TYPING: Final = 8.0  # seconds after which typing is shown again; Discord shows it for ten
ALIVE: Final = 30.0  # seconds between two notes that we are here
ASKED: Final = 500  # members asked about lately
MEMBERSHIP: Final = 60.0  # seconds that what Discord said of a member is trusted
CHANGES: Final = frozenset(
    {
        "raw_message_edit",
        "raw_message_delete",
        "raw_bulk_message_delete",
        "raw_reaction_add",
        "raw_reaction_remove",
        "raw_reaction_clear",
        "raw_reaction_clear_emoji",
    }
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long we wait for what, in seconds, and how much is taken at once; tests shorten and narrow it."""

    settle: float = 2.0  # the stream of servers at the start may pause so long
    identify_every: float = 5.0  # between two identifies, as Discord asks
    first_pause: float = 1.0
    longest_pause: float = 60.0
    waiting: int = 5_000  # messages that may wait to be committed
    missed: int = MOST  # missed messages of a channel that are read back


class DiscordPort:
    """One bot account."""

    platform = PLATFORM
    team = None

    def __init__(
        self,
        access: Access,
        notebook: Notebook,
        clock: Clock,
        *,
        prefix: str,
        commands: Sequence[Command],
        settings: Sequence[str],
        suggestions: slash.Suggestions,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self.capabilities = FULL_MEMORY if access.full_memory else MENTIONS_ONLY
        self._access = access
        self._notebook = notebook
        point_at(access.api, access.gateway)
        self._guard = Guard(first_pause=self._pace.first_pause)
        self.feed = Feed(most=self._pace.waiting)
        budget = Budget()
        self._standing = Standing(budget)
        self._client = client = Client(
            access,
            self._hear,
            guard=self._guard,
            trace=budget.trace(),
            set_up=self._set_up,
            settle=self._pace.settle,
            identify_every=self._pace.identify_every,
        )
        self._lists = lists = Lists(notebook)
        self._places = places = Places(client, lists)
        self._cursors = Cursors(notebook)
        self._catching_up = CatchingUp(
            client,
            self.feed,
            self._cursors,
            notebook,
            lists,
            places,
            most=self._pace.missed,
            pause=self._pace.first_pause,
        )
        self._desk = desk = Desk(notebook, clock)
        self._reader = Reader(client, places, notebook, clock, prefix=prefix, recheck=self._catching_up.plan)
        self._sender = Sender(client, desk, self._standing, clock)
        names = [command.name for command in commands]
        parts = Parts(client, self.feed, desk, places, lists, self._standing, suggestions, self.health, names, settings)
        self._counter = InteractionCounter(parts, prefix=prefix)
        slash.build(client.tree, commands, settings, self._counter)
        client.tree.error(self._counter.failed)
        self._sync = CommandsSync(client, notebook)
        self._typing: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._members: dict[tuple[str, str], tuple[float, bool]] = {}
        self._listening = False
        self._heard: Mapping[str, Callable[[Any], None]] = MappingProxyType(
            {
                "message": self._hear_message,
                "interaction": self._hear_interaction,
                "guild_join": lambda guild: self._take(self._catching_up.came_to(guild)),
                "guild_remove": self._hear_removal,
                "guild_channel_create": self._hear_opening,
                "thread_create": self._hear_opening,
                "guild_channel_delete": self._hear_closing,
                "raw_thread_delete": self._hear_thread_closing,
                "guild_channel_update": lambda _: self._standing.reopen(),
                "guild_role_update": lambda _: self._standing.reopen(),
                "member_update": lambda _: self._standing.reopen(),
                "shard_connect": self._hear_session,
                "shard_ready": self._hear_ready,
            }
        )

    @property
    def settled(self) -> bool:
        """Whether it is connected, and everything that was missed or has come is read and committed."""
        at_work = self._tasks or self._catching_up.left or len(self.feed)
        return self._client.is_ready() and self.feed.idle and not at_work

    # listening

    async def events(self) -> AsyncIterator[Sequence[ChatEvent]]:
        """What happens in the channels. Raises Unavailable, with what to do, when Discord shuts us out for good."""
        self._listening = True
        works = [asyncio.create_task(work) for work in (self._connect(), self._catching_up.run(), self._note_alive())]
        for one in works:
            one.add_done_callback(self._work_ended)
        try:
            async for batch in self._batches():
                yield batch
        finally:
            for one in works:
                one.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    def _work_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.feed.end(exc)

    async def _batches(self) -> AsyncIterator[Sequence[ChatEvent]]:
        wait = self._pace.first_pause
        while True:
            happenings = await self.feed.take(BATCH)
            try:
                batch = [event for one in happenings for event in await self._read(one)]
                await self._desk.keep()
            except Unavailable as exc:
                self.feed.give_back(happenings)
                log.warning("discord.reading_waits", seconds=wait, reason=str(exc))
                await asyncio.sleep(wait)
                wait = min(self._pace.longest_pause, wait * 2)
                continue
            wait = self._pace.first_pause
            for start in range(0, len(batch), BATCH):
                yield batch[start : start + BATCH]
            await self._committed(happenings)

    async def _read(self, one: Happening) -> list[ChatEvent]:
        """The events of one; none of what cannot be read at all, so that it holds up nothing. Raises Unavailable."""
        try:
            return await self._reader.events(one)
        except Unavailable:
            raise
        except (OSError, TimeoutError, aiohttp.ClientError) as exc:
            raise Unavailable("Discord cannot be reached now") from exc
        except Exception as exc:  # noqa: BLE001 - the top of reading: one that is malformed must not stop the rest
            error = type(exc).__name__
            log.error("discord.unreadable", kind=type(one).__name__, error=error)  # noqa: TRY400 - texts may stand in it
            return []

    async def _committed(self, happenings: Sequence[Happening]) -> None:
        """Everything in these is committed: notes how far we have read. What cannot be noted comes again."""
        read: dict[int, int] = {}
        direct: list[int] = []
        for one in happenings:
            match one:
                case Written(message=message):
                    read[message.channel.id] = message.id
                    if message.guild is None:
                        direct.append(message.channel.id)
                case Read(channel=channel, upto=upto):
                    read[channel] = upto
                case Opened(channel=channel):
                    read.setdefault(channel, channel - 1)
        try:
            await self._cursors.advance(read)
            await self._cursors.add_direct(direct)
            await self._settled(happenings)
        except Unavailable as exc:
            log.warning("discord.cursor_waits", reason=str(exc))

    async def _settled(self, happenings: Sequence[Happening]) -> None:
        for one in happenings:
            if isinstance(one, Came):
                await self._catching_up.settle_in(one)
            elif isinstance(one, Left):
                await self._cursors.note_arrived(one.guild, 0)
            elif isinstance(one, Kept):
                await self._tell_kept(one)

    async def _note_alive(self) -> None:
        """Notes now and then that we are here and that everything which came is committed."""
        while True:
            await asyncio.sleep(ALIVE)
            if self._client.is_ready() and self.feed.idle and not self._catching_up.left:
                with contextlib.suppress(Unavailable):
                    await self._cursors.note_alive(discord.utils.time_snowflake(discord.utils.utcnow()))

    async def _tell_kept(self, one: Kept) -> None:
        spot = await self._places.of(one.message.channel.id, one.guild)
        event_id = message_id(one.message.channel.id, one.message.id)
        known = await self._notebook.knows(spot.place.room, [event_id]) if spot is not None else set()
        if not one.told.done():
            one.told.set_result(bool(known))

    async def _connect(self) -> None:
        """Logs in and stays connected; ends the feed when that is over for good."""
        wait = self._pace.first_pause
        while True:
            try:
                if self._client.user is None:
                    await self._log_in()
                await self._client.connect()
            except (discord.DiscordException, OSError, aiohttp.ClientError, TimeoutError) as exc:
                reason = why_ended(exc)
                if reason is not None:
                    self._standing.ended = reason
                    self.feed.end(LoggedOut(reason))
                    return
                log.warning("discord.unreachable", seconds=wait, error=type(exc).__name__)
            if self._client.is_closed():
                self.feed.end(LoggedOut("the connection to Discord was closed"))
                return
            await asyncio.sleep(wait)
            wait = min(self._pace.longest_pause, wait * 2)

    async def _log_in(self) -> None:
        try:
            await self._client.login(self._access.token)
        except BaseException:
            await self._client.http.close()
            self._client.http.connector = discord.utils.MISSING
            raise

    async def _set_up(self) -> None:
        """Once, between login and the first event."""
        await self._desk.recall()
        self._spawn(self._sync.run())

    # hearing: nothing here may wait

    def _hear(self, event: str, told: Any) -> None:
        if event in CHANGES:
            self._take(Changed(event, told))
        elif event in self._heard:
            self._heard[event](told)

    def _take(self, one: Happening) -> None:
        if not self.feed.put(one):
            log.error("discord.change_lost", kind=type(one).__name__, lost=self.feed.lost)

    def _hear_message(self, message: discord.Message) -> None:
        if message.author.bot or message.webhook_id is not None or message.type not in SAID:
            return
        if self._catching_up.takes(message) and not self.feed.put(Written(message)):
            guild = message.guild.id if message.guild is not None else None
            self._catching_up.fall_behind(message.channel.id, guild, message.id)

    def _hear_interaction(self, used: discord.Interaction[Any]) -> None:
        if used.type is discord.InteractionType.component:
            self._counter.take_press(used)

    def _hear_removal(self, guild: discord.Guild) -> None:
        self._take(Left(guild.id, guild.name))

    def _hear_opening(self, channel: Any) -> None:
        self._catching_up.opened(channel.id, channel.guild.id)
        self._take(Opened(channel.id))

    def _hear_closing(self, channel: Any) -> None:
        self._catching_up.closed(channel.id)
        self._take(Vanished(channel.id, channel.id, channel.guild.id, channel.name))

    def _hear_thread_closing(self, raw: discord.RawThreadDeleteEvent) -> None:
        parent = self._client.get_channel(raw.parent_id)
        name = str(getattr(parent, "name", raw.parent_id))
        private = raw.thread is not None and raw.thread.is_private()
        self._catching_up.closed(raw.thread_id)
        self._take(Vanished(raw.thread_id, raw.thread_id if private else raw.parent_id, raw.guild_id, name))

    def _in(self, shard: int) -> Callable[[int], bool]:
        """Which servers a shard covers."""
        shards = self._client.shard_count or 1
        return lambda guild: (guild >> 22) % shards == shard

    def _hear_session(self, shard: int) -> None:
        """A new session of a shard: what happened before it is not told."""
        self._catching_up.session_lost(self._in(shard), direct=shard == 0)

    def _hear_ready(self, shard: int) -> None:
        self._spawn(self._catch_up(shard))

    async def _catch_up(self, shard: int) -> None:
        guilds = [guild for guild in self._client.guilds if guild.shard_id == shard]
        wait = self._pace.first_pause
        while True:
            try:
                await self._catching_up.begin(guilds, self._in(shard), direct=shard == 0)
            except Unavailable as exc:
                log.warning("discord.catching_up_waits", reason=str(exc))
                await asyncio.sleep(wait)
                wait = min(self._pace.longest_pause, wait * 2)
            else:
                return

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("discord.work_failed", exc_info=exc)

    # speaking

    async def send(self, reply: Reply, *, transaction: str) -> str:
        """Posts a reply. Raises Unavailable, Rejected."""
        return await self._sender.send(reply, transaction)

    async def mark(self, place: Place, event_id: str, emoji: str) -> bool:
        """A reaction of ours."""
        del place
        return await self._sender.mark(event_id, emoji)

    async def busy(self, place: Place, *, on: bool) -> None:
        """Typing, or not any more; a command shows by itself that it is at work."""
        before = self._typing.pop(place.room, None)
        if before is not None:
            before.cancel()
        if on and not self._desk.waits_in(int(place.room)):
            self._typing[place.room] = asyncio.create_task(self._type(int(place.room)))

    async def _type(self, channel: int) -> None:
        with contextlib.suppress(WeavebotError):
            while True:
                self._standing.check(channel)
                with self._standing.translated():
                    await self._client.http.send_typing(channel)
                await asyncio.sleep(TYPING)

    # looking

    async def may_read(self, room: str, person: str) -> bool:
        """Whether that person can read that channel's messages now."""
        key, now = (room, person), time.monotonic()
        if key in self._members and now - self._members[key][0] < MEMBERSHIP:
            return self._members[key][1]
        if len(self._members) >= ASKED:
            self._members.clear()
        try:
            may = await self._reads(int(room), int(person))
        except (WeavebotError, ValueError):
            return False
        self._members[key] = now, may
        return may

    async def _reads(self, room: int, person: int) -> bool:
        channel = await self._places.channel(room)
        if isinstance(channel, discord.DMChannel):
            return channel.recipient is not None and channel.recipient.id == person
        guild = getattr(channel, "guild", None)
        if channel is None or guild is None:
            return False
        with self._standing.translated():
            try:
                member = await guild.fetch_member(person)
                if isinstance(channel, discord.Thread) and channel.is_private():
                    await channel.fetch_member(person)
                    return True
            except discord.NotFound:
                return False
        granted = channel.permissions_for(member)
        return bool(granted.view_channel and granted.read_message_history)

    async def shown_in(self, place: Place, event_id: str) -> str | None:
        """The answer that a message of ours says it shows, in its buttons."""
        del place
        if event_id in self._reader.others:
            return None
        try:
            channel, message = parts_of(event_id)
            with self._standing.translated():
                found = await self._client.get_partial_messageable(channel).fetch_message(message)
        except WeavebotError:
            return None
        if self._client.user is None or found.author.id != self._client.user.id:
            return None
        shown = buttons.answer_in(found)
        return shown.answer if shown is not None else None

    async def health(self, room: str | None = None) -> Page:
        """How the account is; before it listens, as seen from outside."""
        if not self._listening:
            return await examined(self._access)
        signs = Signs(
            self._client,
            self._guard,
            self.feed,
            self._desk,
            self._standing,
            self._catching_up,
            self._access.full_memory,
        )
        return health_page(signs, int(room) if room is not None and room.isdecimal() else None)

    async def close(self) -> None:
        """Leaves Discord."""
        for task in [*self._typing.values(), *self._tasks]:
            task.cancel()
        if self._client.http.token is not None and not self._client.is_closed():
            await self._client.close()

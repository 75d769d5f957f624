"""How the account is, in lines that say what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import discord

from bot.adapters.discord.budget import MOST
from bot.adapters.discord.catching_up import CatchingUp
from bot.adapters.discord.failing import Standing
from bot.adapters.discord.feed import Feed
from bot.adapters.discord.gateway import Guard
from bot.adapters.discord.used import Desk
from bot.pages import BAD, GOOD, Line, Page, count, line, sentence

SLOW: Final = 1.0  # seconds to a deferral


@dataclass(frozen=True, slots=True)
class Signs:
    """What the health of an account is read from."""

    client: discord.AutoShardedClient
    guard: Guard
    feed: Feed
    desk: Desk
    standing: Standing
    catching_up: CatchingUp
    full_memory: bool


def health_page(signs: Signs, channel: int | None) -> Page:
    """The connection and what is wrong; of a channel, whether we may read and write there."""
    lines = [_connection(signs), _memory(signs), *_troubles(signs)]
    if channel is not None:
        lines += _channel(signs, channel)
    return tuple(lines)


def _connection(signs: Signs) -> Line:
    if signs.standing.ended:
        return line((BAD, sentence(signs.standing.ended)))
    if not signs.client.is_ready():
        return line((BAD, "not connected"), " to Discord; I keep trying.")
    guilds = count(len(signs.client.guilds), "server")
    shards = count(len(signs.client.shards), "shard")
    return line((GOOD, "connected"), f" as {signs.client.user} in {guilds}, {shards}")


def _memory(signs: Signs) -> Line:
    if signs.full_memory:
        return line("I read all messages of the channels that I listen in.")
    return line("I read only what mentions me or is said with a command; I have no message content intent.")


def _troubles(signs: Signs) -> Sequence[Line]:
    lines: list[Line] = []
    refused = signs.standing.budget.refused
    if refused:
        lines.append(line(f"Discord refused {count(refused, 'request')} in ten minutes; at {MOST:,} I stop sending."))
    if signs.guard.malformed:
        lines.append(line(f"{count(signs.guard.malformed, 'frame')} could not be read and put aside."))
    if signs.catching_up.left:
        lines.append(line(f"{count(signs.catching_up.left, 'channel')} still to be read after an absence."))
    if signs.feed.lost:
        lines.append(line((BAD, f"{count(signs.feed.lost, 'change')} lost: the database was away for too long.")))
    if signs.desk.missed:
        lines.append(line((BAD, f"{count(signs.desk.missed, 'command')} came too late to be answered.")))
    return lines


def _channel(signs: Signs, channel: int) -> Sequence[Line]:
    known = signs.client.get_channel(channel)
    guild = getattr(known, "guild", None)
    if known is None or guild is None:
        return []
    granted = known.permissions_for(guild.me)  # type: ignore[union-attr] # channels of servers have it
    wanted = {
        "View Channel": granted.view_channel,
        "Read Message History": granted.read_message_history,
        "Send Messages": granted.send_messages,
        "Attach Files": granted.attach_files,
    }
    missing = [name for name, given in wanted.items() if not given]
    if not missing:
        return [line(f"#{known}: all permissions that I need are given.")]
    return [line((BAD, f"#{known}: give me {', '.join(missing)}."))]

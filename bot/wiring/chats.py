"""The chat accounts that the settings name, and the console."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bot.adapters.console import PLATFORM as CONSOLE
from bot.adapters.console import ConsolePort, Desk, Seat
from bot.adapters.discord.ids import PLATFORM as DISCORD
from bot.app import App
from bot.asking import somebody
from bot.dispatch import Dispatch
from bot.models import Place
from bot.notebook import SqlNotebook
from bot.ports import ChatPort
from bot.preferences import CHECKS
from bot.room_commands import TABLE
from bot.room_messages import newest_of
from bot.suggestions import Suggestions
from bot.terminal import make_console
from memory.errors import BadInput
from memory.models import Person, Room

if TYPE_CHECKING:
    from bot.adapters.discord.port import DiscordPort, Pace
    from bot.adapters.matrix.accounts import Account
    from bot.adapters.matrix.desk import Desk as AccountDesk
    from bot.adapters.matrix.login import Door

    MatrixAccount: TypeAlias = Account
    MatrixDesk: TypeAlias = AccountDesk
    MatrixDoor: TypeAlias = Door

MATRIX = "matrix"


async def open_ports(app: App) -> list[ChatPort]:
    """The chat accounts that are configured, each ready to listen.

    Raises Unavailable, with what to do, when an account cannot be used, and Refused when a login is not taken.
    """
    discord = [open_discord(app)] if app.settings.discord_token is not None else []
    return [*await open_matrix(app), *discord]


async def open_matrix(app: App) -> list[ChatPort]:
    """The accounts of Matrix that are logged in, or the one that the settings log in."""
    if not (app.settings.data / MATRIX).exists() and not app.settings.matrix_homeserver:
        return []
    from bot.adapters.matrix import starting  # noqa: PLC0415 - 0.4 s, for those alone who use Matrix

    def notebook(user_id: str) -> SqlNotebook:
        return SqlNotebook(app.database, app.clock, platform=MATRIX, account=user_id, team=user_id)

    return [*await starting.open_ports(app.settings, notebook, app.clock)]


def matrix_desk(data: Path) -> MatrixDesk:
    """Where the operator logs accounts of Matrix in and out; ``data`` is the data folder."""
    from bot.adapters.matrix.desk import Desk  # noqa: PLC0415 - 0.4 s, for those alone who use Matrix

    return Desk(data)


def open_discord(app: App, pace: Pace | None = None) -> DiscordPort:
    """The Discord bot. Raises BadInput when shards are chosen without saying of how many."""
    from bot.adapters.discord.client import Access  # noqa: PLC0415 - 0.5 s, for those who have it alone
    from bot.adapters.discord.port import DiscordPort  # noqa: PLC0415 - likewise

    chosen = app.settings
    if chosen.discord_shards and chosen.discord_shard_count is None:
        raise BadInput("WEAVEBOT_DISCORD_SHARDS needs WEAVEBOT_DISCORD_SHARD_COUNT, the number of all shards.")
    access = Access(
        token=chosen.discord_token.get_secret_value() if chosen.discord_token else "",
        full_memory=chosen.discord_memory == "full",
        shard_count=chosen.discord_shard_count,
        shards=chosen.discord_shards or None,
        api=chosen.discord_api,
        gateway=chosen.discord_gateway,
    )
    return DiscordPort(
        access,
        SqlNotebook(app.database, app.clock, platform=DISCORD, account="bot", team=None),
        app.clock,
        prefix=chosen.prefix,
        commands=list(TABLE.commands.values()),
        settings=list(CHECKS),
        suggestions=Suggestions(app.database, DISCORD),
        pace=pace,
    )


@dataclass(frozen=True, slots=True)
class ConsoleRoom:
    """The console and what takes its events. ``greets`` when somebody is looking."""

    port: ConsolePort
    dispatch: Dispatch
    greets: bool


async def open_console(app: App, room: Room, person: str) -> ConsoleRoom:
    """The console in a room, on this process's terminal or pipe."""
    from bot.adapters.console_keyboard import PipeKeyboard, PromptKeyboard, RoomCompleter  # noqa: PLC0415 - 0.2 s

    seat = Seat(
        Place(CONSOLE, room.external_id, room.name),
        await somebody(app, person),
        last_answer=await app.outbox.newest_answer(room),
    )

    async def newest(who: Person) -> str | None:
        found = await newest_of(app, room, who)
        return found.external_id if found else None

    async def count() -> int:
        return (await app.engine.span([room.id]))[0]

    async def named(name: str) -> Person:
        return await somebody(app, name)

    greets = sys.stdin.isatty() and sys.stdout.isatty()
    prefix = app.settings.prefix
    commands = [(command.name, command.words) for command in TABLE.commands.values()]
    keyboard = (
        PromptKeyboard(seat, RoomCompleter(prefix, commands), prefix=prefix)
        if greets
        else PipeKeyboard(sys.stdin.buffer)
    )
    port = ConsolePort(seat, Desk(named, newest, count), keyboard, make_console(sys.stdout), app.clock)
    return ConsoleRoom(port, Dispatch(app, port), greets)

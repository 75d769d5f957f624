"""How the bot's account is, looked at from outside: what ``weavebot doctor`` tells while the bot does not run.

It asks Discord's REST API alone, so nothing is connected, registered or read.
"""

from __future__ import annotations

from typing import Final

import discord

from bot.adapters.discord.budget import Budget
from bot.adapters.discord.client import Access
from bot.adapters.discord.failing import INTENT, Standing, why_ended
from bot.pages import BAD, GOOD, Line, Page, count, line
from memory.errors import WeavebotError

PERMISSIONS: Final = discord.Permissions(
    view_channel=True,
    read_message_history=True,
    send_messages=True,
    send_messages_in_threads=True,
    attach_files=True,
)
"""What the bot needs in a server, and nothing else."""
SCOPES: Final = ("bot", "applications.commands")
ENDPOINT: Final = (
    "commands go to an Interactions Endpoint URL and would not reach me → remove it in the developer portal "
    "(General Information)"
)


def invitation(application: int) -> str:
    """The address by which an admin of a server adds the bot to it."""
    return discord.utils.oauth_url(application, permissions=PERMISSIONS, scopes=SCOPES)


async def examined(access: Access) -> Page:
    """The token, what is switched on in the portal, and how to add the bot to a server."""
    async with discord.Client(intents=discord.Intents.none()) as client:
        try:
            with Standing(Budget()).translated():
                await client.login(access.token)
        except discord.LoginFailure as exc:
            return (line((BAD, str(why_ended(exc)))),)
        except WeavebotError as exc:
            return (line((BAD, f"{exc}; try again")),)
        application = client.application
        if application is None:
            return ()
        return tuple(_lines(access, application, str(client.user)))


def _lines(access: Access, application: discord.AppInfo, name: str) -> list[Line]:
    servers = count(application.approximate_guild_count, "server")
    address = invitation(application.id)
    lines = [line((GOOD, "ok    "), f"{name} in {servers}; an admin adds it to one with {address}")]
    flags = application.flags
    if access.full_memory and not (flags.gateway_message_content or flags.gateway_message_content_limited):
        lines.append(line((BAD, INTENT)))
    if application.interactions_endpoint_url:
        lines.append(line((BAD, ENDPOINT)))
    return lines

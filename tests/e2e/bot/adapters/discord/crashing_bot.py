"""A bot in a process of its own that kills itself (SIGKILL) right after a step: the other end of the crash matrix.

Processes are forked from a server that has imported everything once, so that each starts in a moment.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable
from multiprocessing.context import ForkServerProcess
from typing import Any

from pydantic import SecretStr

from bot.adapters.discord.port import DiscordPort
from bot.app import App
from bot.clock import SystemClock
from bot.connections import Connections
from bot.settings import Settings
from bot.wiring import open_app
from bot.wiring.chats import open_discord
from tests.doubles import WordEmbedder
from tests.e2e.bot.adapters.discord.bots import QUICK

STEPS = ("journalled", "asked", "answered", "sent", "noted as sent", "reaction kept", "voted", "cursor")
"""What is committed, or known to Discord, when the process dies."""
NONE = "none"


def deadly(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The function; the process dies when it has returned."""

    async def then_die(*given: Any, **named: Any) -> Any:
        result = await function(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)
        return result

    return then_die


def arm(app: App, port: DiscordPort, step: str) -> None:
    """The named step is the last one."""
    part, name = {
        "journalled": (app.journal, "admit"),
        "asked": (app.inbox, "put"),
        "answered": (app.shuttle._book, "keep"),
        "sent": (port, "send"),
        "noted as sent": (app.outbox, "sent"),
        "reaction kept": (app.journal, "react"),
        "voted": (app.shuttle._book, "cast"),
        "cursor": (port._cursors, "advance"),
    }[step]
    setattr(part, name, deadly(getattr(part, name)))


def started(settings: dict[str, Any], step: str) -> ForkServerProcess:
    """A process with a bot of these settings that lives until that step."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=live, args=(settings, step), daemon=True)
    process.start()
    return process


def live(settings: dict[str, Any], step: str) -> None:
    """What happens in the process. The token is plain in ``settings``: a secret does not go through a pipe as one."""
    warnings.simplefilter("ignore")
    chosen = Settings(**settings | {"discord_token": SecretStr(settings["discord_token"])})
    asyncio.run(main(chosen, step))


async def main(settings: Settings, step: str) -> None:
    """Runs until it is killed."""
    app = await open_app(settings, clock=SystemClock(), embedder=WordEmbedder())
    port = open_discord(app, QUICK)
    if step != NONE:
        arm(app, port, step)
    async with Connections(app, [port], pause=0.05).open(sys.exit):
        await asyncio.Event().wait()

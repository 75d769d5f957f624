"""A bot of its own process that kills itself (SIGKILL) right after a step: the other end of the crash matrix.

``python -m tests.e2e.bot.adapters.discord.crashing_bot FOLDER STEP``, with the addresses of Discord in the environment;
the step ``none`` is never reached.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bot.adapters.discord.port import DiscordPort
from bot.app import App
from bot.clock import SystemClock
from bot.connections import Connections
from bot.settings import load
from bot.wiring import open_app, open_discord
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


async def main(folder: Path, step: str) -> None:
    """Runs until it is killed."""
    app = await open_app(load(None, data=folder), clock=SystemClock(), embedder=WordEmbedder())
    port = open_discord(app, QUICK)
    if step != NONE:
        arm(app, port, step)
    async with Connections(app, [port], pause=0.05).open(sys.exit):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

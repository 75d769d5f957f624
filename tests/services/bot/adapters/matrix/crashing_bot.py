"""A bot of its own process that kills itself (SIGKILL) right after a step: the other end of the crash matrix.

``python -m tests.services.bot.adapters.matrix.crashing_bot FOLDER ACCOUNT STEP``, with the account as JSON; without a
step it runs until it is stopped.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bot.adapters.matrix.accounts import Account, folder_of
from bot.adapters.matrix.port import MatrixPort
from bot.app import App
from bot.clock import SystemClock
from bot.connections import Connections
from bot.notebook import SqlNotebook
from bot.settings import load
from bot.wiring import open_app
from tests.doubles import WordEmbedder
from tests.services.bot.adapters.matrix.bots import QUICK

STEPS = ("journalled", "asked", "answered", "sent", "noted as sent", "voted", "reaction kept", "token")
"""What is committed, or known to the homeserver, when the process dies."""


def deadly(function: Callable[..., Awaitable[Any]], when: Callable[..., bool]) -> Callable[..., Awaitable[Any]]:
    """The function; the process dies when it has returned."""

    async def then_die(*given: Any, **named: Any) -> Any:
        result = await function(*given, **named)
        if when(*given, **named):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return then_die


def arm(app: App, port: MatrixPort, notebook: SqlNotebook, step: str) -> None:
    """The named step is the last one."""
    part, name, when = {
        "journalled": (app.journal, "admit", lambda *_: True),
        "asked": (app.inbox, "put", lambda *_: True),
        "answered": (app.shuttle._book, "keep", lambda *_: True),
        "sent": (port, "send", lambda *_, **__: True),
        "noted as sent": (app.outbox, "sent", lambda *_: True),
        "voted": (app.shuttle._book, "cast", lambda *_: True),
        "reaction kept": (app.journal, "react", lambda *_: True),
        "token": (notebook, "note", lambda *_: True),
    }[step]
    setattr(part, name, deadly(getattr(part, name), when))


async def main(folder: Path, told: str, step: str | None) -> None:
    """Runs until it is killed."""
    account = Account(**json.loads(told))
    app = await open_app(load(None, data=folder), clock=SystemClock(), embedder=WordEmbedder())
    user = account.user_id
    notebook = SqlNotebook(app.database, app.clock, platform="matrix", account=user, team=user)
    port = MatrixPort(account, folder_of(folder, user), notebook, app.clock, timing=QUICK)
    if step is not None:
        arm(app, port, notebook, step)
    async with Connections(app, [port], pause=0.05).open(sys.exit):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))

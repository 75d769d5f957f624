"""The accounts that a running bot uses: those that are logged in, or the one that the settings name."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from bot.adapters.matrix import accounts
from bot.adapters.matrix.desk import Desk
from bot.adapters.matrix.port import MatrixPort
from bot.ports import Notebook
from bot.settings import Settings
from memory.errors import BadInput
from memory.ports import Clock

log = structlog.get_logger(__name__)


async def open_ports(settings: Settings, notebook: Callable[[str], Notebook], clock: Clock) -> list[MatrixPort]:
    """One port for each account. Raises Unavailable and Refused, with what to do."""
    desk = Desk(settings.data)
    if not desk.accounts() and settings.matrix_homeserver:
        await _log_in(settings, desk)
    return [
        MatrixPort(
            one,
            accounts.folder_of(settings.data, one.user_id),
            notebook(one.user_id),
            clock,
            allow=settings.matrix_allow,
        )
        for one in desk.accounts()
    ]


async def _log_in(settings: Settings, desk: Desk) -> None:
    """The account of the settings, once: from then on it is stored, with its token instead of the password."""
    door = await desk.find(settings.matrix_homeserver or "")
    password = settings.matrix_password.get_secret_value() if settings.matrix_password else None
    if settings.matrix_token is not None:
        account = await desk.by_access_token(door, settings.matrix_token.get_secret_value())
    elif settings.matrix_user and password:
        account = await desk.by_password(door, settings.matrix_user, password)
    else:
        raise BadInput(
            "matrix_homeserver is set, but neither matrix_token nor matrix_user and matrix_password; "
            "set them, or use `weavebot matrix login`"
        )
    await desk.settle(account, password=password)
    log.info("matrix.logged_in", user=account.user_id, device=account.device_id)

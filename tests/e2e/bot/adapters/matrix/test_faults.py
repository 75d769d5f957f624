"""Row 11 and 12: a homeserver that fails is left alone, more and more; one that has thrown us out is left for good.

Here a minute is three seconds (``SHORT``); the same at its real length runs against the services.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from bot.adapters.matrix.accounts import Account
from bot.adapters.matrix.port import MatrixPort
from bot.adapters.matrix.timing import Timing
from bot.clock import SystemClock
from bot.models import Place, Reply
from bot.pages import page, plain
from memory.errors import Unavailable
from tests.notebooks import MemoryNotebook
from tests.standins.homeserver import RETRY_AFTER, Fault, faulty_homeserver

SHORT = Timing(poll=1.0, first_sync=0.5, first_pause=0.05, longest_pause=3.0, ready=0.3, look=0.3)
MINUTE = 3.0
DEAD = [
    Fault.BAD_GATEWAY,
    Fault.PROXY_LOGIN,
    Fault.LIMITED_BY_BODY,
    Fault.LIMITED_BY_HEADER,
    Fault.LIMITED_BARE,
    Fault.SLOW,
    Fault.CUT,
    Fault.NONSENSE,
]


def port_of(url: str, folder: Path) -> MatrixPort:
    account = Account(url, "@weave:localhost", "DEVICE", "token")
    return MatrixPort(account, folder, MemoryNotebook(), SystemClock(), timing=SHORT)


async def listen(port: MatrixPort) -> None:
    async for _ in port.events():
        pass


class TestADeadHomeserver:
    @pytest.mark.parametrize("fault", DEAD, ids=lambda one: one.name)
    async def test_is_asked_less_than_30_times_in_a_minute(self, fault: Fault, tmp_path: Path) -> None:
        async with faulty_homeserver() as server:
            server.fault = fault
            port = port_of(server.url, tmp_path)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(listen(port), MINUTE)
            told = plain(await port.health())
            await port.close()
            assert 1 <= server.count() < 30
            assert "fails since" in told

    @pytest.mark.parametrize("fault", [Fault.LIMITED_BY_BODY, Fault.LIMITED_BY_HEADER], ids=lambda one: one.name)
    async def test_that_says_when_to_come_back_is_obeyed(self, fault: Fault, tmp_path: Path) -> None:
        async with faulty_homeserver() as server:
            server.fault = fault
            port = port_of(server.url, tmp_path)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(listen(port), RETRY_AFTER * 2.5)
            await port.close()
            first, second = server.asked[0].at, server.asked[1].at
            assert second - first >= RETRY_AFTER

    async def test_does_not_keep_whoever_asks_how_we_are(self, tmp_path: Path) -> None:
        async with faulty_homeserver() as server:
            server.fault = Fault.SLOW
            port = port_of(server.url, tmp_path)
            async with asyncio.timeout(10):
                told = plain(await port.health())
            await port.close()
            assert "identity: not known (the homeserver did not answer within 0.3 s)" in told

    async def test_takes_no_message(self, tmp_path: Path) -> None:
        async with faulty_homeserver() as server:
            port = port_of(server.url, tmp_path)
            with pytest.raises(Unavailable, match="first sync"):
                await port.send(Reply(Place("matrix", "!room", "room"), page("Hello.")), transaction="t")
            await port.close()


class TestAHomeserverThatThrewUsOut:
    @pytest.mark.parametrize("fault", [Fault.LOGGED_OUT, Fault.SOFT_LOGOUT], ids=lambda one: one.name)
    async def test_is_asked_once_and_the_operator_is_told_what_to_do(self, fault: Fault, tmp_path: Path) -> None:
        async with faulty_homeserver() as server:
            server.fault = fault
            port = port_of(server.url, tmp_path)
            started = time.monotonic()
            with pytest.raises(Unavailable, match="log in again with `weavebot matrix login`"):
                await asyncio.wait_for(listen(port), MINUTE)
            assert time.monotonic() - started < 1.0
            assert server.count() == 1
            assert "no longer accepts" in plain(await port.health())
            await port.close()

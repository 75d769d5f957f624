"""Logging in on a real homeserver: by every way in, found by its name, and out again."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bot.adapters.matrix import login
from bot.adapters.matrix.accounts import CRYPTO, folder_of
from bot.adapters.matrix.desk import Desk
from bot.adapters.matrix.starting import open_ports
from bot.clock import SystemClock
from bot.settings import load
from memory.errors import BadInput, NotFound, Refused
from tests.notebooks import MemoryNotebook
from tests.services.synapse import Homeserver

pytestmark = pytest.mark.services


@contextlib.asynccontextmanager
async def well_known(told: str) -> AsyncIterator[str]:
    """A server that is no homeserver and says where that is; gives its URL."""
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        # as static file servers give it: without the type of JSON
        return web.Response(text=f'{{"m.homeserver": {{"base_url": "{told}/"}}}}')

    app.router.add_get("/.well-known/matrix/client", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


class TestFindingTheHomeserver:
    async def test_by_its_url_with_the_ways_in(self, homeserver: Homeserver) -> None:
        door = await login.find(f"{homeserver.url}/")
        assert door.url == homeserver.url
        assert login.PASSWORD in door.flows

    async def test_of_this_machine_by_its_name_alone(self, homeserver: Homeserver) -> None:
        assert (await login.find(homeserver.url.removeprefix("http://"))).url == homeserver.url

    async def test_where_the_server_says_that_it_is(self, homeserver: Homeserver) -> None:
        async with well_known(homeserver.url) as server:
            assert (await login.find(server)).url == homeserver.url

    @pytest.mark.parametrize("where", ["", "ftp://example.org", "http://127.0.0.1:1", "@weave:127.0.0.1:1"])
    async def test_where_there_is_none_says_what_to_give(self, where: str) -> None:
        with pytest.raises(BadInput, match=r"There is no Matrix homeserver .* give its name"):
            await login.find(where)


class TestLoggingIn:
    async def test_by_password_makes_a_signed_device_of_its_own(self, homeserver: Homeserver, tmp_path: Path) -> None:
        registered, desk = await homeserver.register("weave"), Desk(tmp_path)
        door = await desk.find(homeserver.url)
        account = await desk.by_password(door, registered.user_id, registered.password)
        assert account.device_id != registered.device_id
        await desk.settle(account, password=registered.password)
        assert desk.accounts() == [account]

    async def test_by_an_access_token_uses_its_device(self, homeserver: Homeserver) -> None:
        registered = await homeserver.register("weave")
        account = await login.with_access_token(await login.find(homeserver.url), registered.token)
        assert (account.user_id, account.device_id) == (registered.user_id, registered.device_id)

    @pytest.mark.parametrize("given", ["{token}", f"{login.RETURN_TO}?loginToken={{token}}", " {token}\n"])
    async def test_by_the_token_of_single_sign_on_makes_a_signed_device_of_its_own(
        self, homeserver: Homeserver, tmp_path: Path, given: str
    ) -> None:
        weave, desk = await homeserver.person("weave"), Desk(tmp_path)
        door = await desk.find(homeserver.url)
        token = (await weave.ask("POST", "v1/login/get_token", {}))["login_token"]
        account = await desk.by_login_token(door, given.format(token=token))
        assert account.user_id == weave.user_id
        assert account.device_id != weave.account.device_id
        await desk.settle(account)  # without a password: single sign-on has none
        keys = await weave.ask("POST", "v3/keys/query", {"device_keys": {weave.user_id: []}})
        device = keys["device_keys"][weave.user_id][account.device_id]
        [ours] = keys["self_signing_keys"][weave.user_id]["keys"]
        assert ours in device["signatures"][weave.user_id]
        assert desk.accounts() == [account]

    async def test_by_a_token_that_was_used_before_is_refused(self, homeserver: Homeserver) -> None:
        weave, door = await homeserver.person("weave"), await login.find(homeserver.url)
        token = (await weave.ask("POST", "v1/login/get_token", {}))["login_token"]
        await login.with_login_token(door, token)
        with pytest.raises(Refused, match="check the user name and the secret"):
            await login.with_login_token(door, token)

    async def test_with_a_wrong_secret_is_refused(self, homeserver: Homeserver) -> None:
        registered, door = await homeserver.register("weave"), await login.find(homeserver.url)
        with pytest.raises(Refused, match="check the user name and the secret"):
            await login.with_password(door, registered.user_id, "wrong")
        with pytest.raises(Refused, match="check the user name and the secret"):
            await login.with_login_token(door, f"{login.RETURN_TO}?loginToken=wrong")
        with pytest.raises(Refused, match="copy it again"):
            await login.with_access_token(door, "wrong")

    async def test_again_takes_the_place_of_the_old_device_and_keeps_the_identity(
        self, homeserver: Homeserver, tmp_path: Path
    ) -> None:
        registered, desk = await homeserver.register("weave"), Desk(tmp_path)
        door = await desk.find(homeserver.url)
        crypto = folder_of(tmp_path, registered.user_id) / CRYPTO
        for _ in range(2):
            account = await desk.by_password(door, registered.user_id, registered.password)
            await desk.settle(account, password=registered.password)
        assert desk.accounts() == [account]
        assert [one.name for one in crypto.glob("*.db")] == [f"{account.device_id}.db"]

    async def test_several_accounts_stand_side_by_side(self, homeserver: Homeserver, tmp_path: Path) -> None:
        desk = Desk(tmp_path)
        door = await desk.find(homeserver.url)
        for name in ("weave", "loom"):
            registered = await homeserver.register(name)
            await desk.settle(await desk.by_access_token(door, registered.token))
        assert len(desk.accounts()) == 2


class TestLoggingOut:
    async def test_ends_the_device_there_and_here(self, homeserver: Homeserver, tmp_path: Path) -> None:
        registered, desk = await homeserver.register("weave"), Desk(tmp_path)
        door = await desk.find(homeserver.url)
        account = await desk.by_password(door, registered.user_id, registered.password)
        await desk.settle(account, password=registered.password)
        assert await desk.log_out(account.user_id)
        assert desk.accounts() == []
        with pytest.raises(Refused):
            await login.with_access_token(door, account.access_token)
        with pytest.raises(NotFound, match="is not logged in here; the accounts are none"):
            await desk.log_out(account.user_id)


class TestTheAccountOfTheSettings:
    async def test_is_logged_in_once_and_then_used(self, homeserver: Homeserver, tmp_path: Path) -> None:
        registered = await homeserver.register("weave")
        settings = load(
            data=tmp_path,
            matrix_homeserver=homeserver.url,
            matrix_user=registered.user_id,
            matrix_password=registered.password,
        )
        for _ in range(2):
            ports = await open_ports(settings, lambda _: MemoryNotebook(), SystemClock())
            devices = {port.account.device_id for port in ports}
            for port in ports:
                await port.close()
        assert devices == {one.device_id for one in Desk(tmp_path).accounts()}
        assert len(devices) == 1

    async def test_without_a_secret_says_which_settings_are_missing(
        self, homeserver: Homeserver, tmp_path: Path
    ) -> None:
        settings = load(data=tmp_path, matrix_homeserver=homeserver.url)
        with pytest.raises(BadInput, match="neither matrix_token nor matrix_user and matrix_password"):
            await open_ports(settings, lambda _: MemoryNotebook(), SystemClock())

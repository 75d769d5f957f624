"""Our identity on the server: made once, kept, never replaced unasked; and the files that hold it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.adapters.matrix import cross_signing, seeds, twins
from bot.adapters.matrix.cross_signing import Done, prepare, published
from bot.adapters.matrix.encryption import store_name
from bot.adapters.matrix.encryption_health import findings
from bot.adapters.matrix.port import MatrixPort
from bot.adapters.matrix.seeds import Identity, Seeds
from bot.adapters.matrix.signing import SigningKey
from bot.adapters.matrix.timing import Timing
from bot.adapters.matrix.undecryptable import Undecryptable
from bot.clock import SystemClock
from bot.pages import plain
from memory.errors import Refused, Unavailable
from tests.notebooks import MemoryNotebook
from tests.services.bot.adapters.matrix.bots import QUICK, Bot
from tests.services.bot.adapters.matrix.encryption import Client, client_of
from tests.services.matrix import Account, Person
from tests.services.peer import peer_of
from tests.services.synapse import Homeserver

pytestmark = pytest.mark.services


@pytest.fixture
async def registered(homeserver: Homeserver) -> Account:
    """The bot's account."""
    return await homeserver.register("weave")


@pytest.fixture
async def second(homeserver: Homeserver, http: aiohttp.ClientSession, registered: Account) -> Account:
    """The bot's account, logged in on another device."""
    whose = {"type": "m.id.user", "user": registered.user_id}
    body = {"type": "m.login.password", "identifier": whose, "password": registered.password}
    told = await Person(http, homeserver.url, registered).ask("POST", "v3/login", body)
    return Account(registered.user_id, told["access_token"], told["device_id"], registered.password)


@pytest.fixture
async def weave(homeserver: Homeserver, registered: Account, tmp_path: Path) -> AsyncIterator[Client]:
    """The bot's client."""
    async with client_of(homeserver.url, registered, tmp_path / "weave") as client:
        yield client


class TestTheFirstStart:
    async def test_publishes_three_keys_and_signs_the_device(self, weave: Client, registered: Account) -> None:
        assert await prepare(weave.nio, weave.store) is Done.IDENTITY
        there = await published(weave.nio)
        assert there.device_signed(registered.user_id)
        kept = seeds.read(weave.store, registered.user_id)
        assert kept.current is not None
        assert there.holds(kept.current)
        assert kept.coming is None

    async def test_another_start_changes_nothing(self, weave: Client) -> None:
        await prepare(weave.nio, weave.store)
        before, file = await published(weave.nio), (weave.store / seeds.FILE).read_text()
        assert await prepare(weave.nio, weave.store) is Done.NOTHING
        assert await published(weave.nio) == before
        assert (weave.store / seeds.FILE).read_text() == file

    async def test_the_seeds_are_on_the_disk_before_the_server_has_the_keys(
        self, weave: Client, registered: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def cut(*_: object) -> None:
            raise Unavailable("cut")

        with monkeypatch.context() as broken:
            broken.setattr(cross_signing, "_upload", cut)
            with pytest.raises(Unavailable):
                await prepare(weave.nio, weave.store)
        kept = seeds.read(weave.store, registered.user_id).current
        assert kept is not None
        assert (await published(weave.nio)).master is None
        assert await prepare(weave.nio, weave.store) is Done.IDENTITY
        assert (await published(weave.nio)).holds(kept)

    async def test_all_files_are_closed_to_others(self, weave: Client, registered: Account) -> None:
        await twins.claim(weave.nio, weave.store)
        await prepare(weave.nio, weave.store)
        assert weave.store.stat().st_mode & 0o777 == 0o700
        names = {one.name: one.stat().st_mode & 0o777 for one in weave.store.iterdir()}
        database = store_name(registered.device_id)
        expected = {database, f"{database}-wal", f"{database}-shm", "pickle.key", "cross_signing.json", "mark.json"}
        assert names == dict.fromkeys(expected, 0o600)


class TestANewDevice:
    async def test_is_signed_by_the_identity_that_stands(
        self, weave: Client, homeserver: Homeserver, second: Account, tmp_path: Path
    ) -> None:
        await prepare(weave.nio, weave.store)
        identity = (await published(weave.nio)).master
        async with client_of(homeserver.url, second, tmp_path / "weave") as again:
            assert await prepare(again.nio, again.store) is Done.DEVICE
            assert (await published(again.nio)).device_signed(second.user_id)
            assert (await published(again.nio)).master == identity


class TestAnIdentityThatIsNotOurs:
    async def test_with_the_seeds_lost_nothing_is_changed_and_the_error_says_what_to_do(self, weave: Client) -> None:
        await prepare(weave.nio, weave.store)
        before = await published(weave.nio)
        (weave.store / seeds.FILE).unlink()
        with pytest.raises(Refused, match=r"seeds are not here; restore .* --reset-cross-signing"):
            await prepare(weave.nio, weave.store)
        assert await published(weave.nio) == before
        assert not (weave.store / seeds.FILE).exists()

    async def test_with_another_master_key_on_the_server_nothing_is_changed(
        self, weave: Client, registered: Account
    ) -> None:
        await prepare(weave.nio, weave.store)
        before = await published(weave.nio)
        other = Seeds(Identity.fresh())
        other.save(weave.store, registered.user_id)
        with pytest.raises(Refused, match="another cross-signing identity than the one kept here"):
            await prepare(weave.nio, weave.store)
        assert await published(weave.nio) == before
        assert seeds.read(weave.store, registered.user_id) == other

    async def test_a_person_who_signed_in_as_the_bot_is_not_overruled_and_the_adapter_says_so(
        self, homeserver: Homeserver, registered: Account, second: Account, tmp_path: Path
    ) -> None:
        async with peer_of(homeserver.url, registered), client_of(homeserver.url, second, tmp_path) as weave:
            before = await published(weave.nio)
            bot = Bot(homeserver.url, second, tmp_path)
            port = MatrixPort(bot.account, tmp_path, bot.notebook, SystemClock(), timing=QUICK)
            with pytest.raises(Unavailable, match="has a cross-signing identity whose seeds are not here"):
                await anext(port.events())
            assert "seeds are not here" in plain(await port.health())
            await port.close()
            assert (await published(weave.nio)).master == before.master


class TestAReset:
    async def test_needs_the_password_and_says_so(self, weave: Client, registered: Account) -> None:
        await prepare(weave.nio, weave.store)
        before = await published(weave.nio)
        with pytest.raises(Refused, match="asks for the bot's password once"):
            await prepare(weave.nio, weave.store, reset=True)
        with pytest.raises(Refused, match="did not take that proof"):
            await prepare(weave.nio, weave.store, reset=True, password="wrong")  # noqa: S106 - it is none
        assert await published(weave.nio) == before
        kept = seeds.read(weave.store, registered.user_id)
        assert kept.current is not None
        assert before.holds(kept.current)
        assert await prepare(weave.nio, weave.store) is Done.NOTHING

    async def test_makes_another_identity_that_signs_the_device(self, weave: Client, registered: Account) -> None:
        await prepare(weave.nio, weave.store)
        before = await published(weave.nio)
        (weave.store / seeds.FILE).unlink()
        assert await prepare(weave.nio, weave.store, reset=True, password=registered.password) is Done.RESET
        there = await published(weave.nio)
        assert there.master != before.master
        assert there.device_signed(registered.user_id)
        assert await prepare(weave.nio, weave.store) is Done.NOTHING

    async def test_that_was_killed_after_the_server_took_it_is_done(self, weave: Client, registered: Account) -> None:
        await prepare(weave.nio, weave.store)
        before = seeds.read(weave.store, registered.user_id).current
        await prepare(weave.nio, weave.store, reset=True, password=registered.password)
        after = seeds.read(weave.store, registered.user_id).current
        Seeds(before, after).save(weave.store, registered.user_id)  # as it was on the disk before the answer came
        assert await prepare(weave.nio, weave.store) is Done.NOTHING
        assert seeds.read(weave.store, registered.user_id) == Seeds(after)

    async def test_that_was_killed_before_the_server_took_it_did_not_happen(
        self, weave: Client, registered: Account
    ) -> None:
        await prepare(weave.nio, weave.store)
        before = seeds.read(weave.store, registered.user_id).current
        Seeds(before, Identity.fresh()).save(weave.store, registered.user_id)
        assert await prepare(weave.nio, weave.store) is Done.NOTHING
        assert seeds.read(weave.store, registered.user_id) == Seeds(before)


class TestTheStore:
    async def test_one_that_is_lost_is_not_made_anew_under_the_same_device(
        self, homeserver: Homeserver, registered: Account, tmp_path: Path
    ) -> None:
        folder = tmp_path / "weave"
        async with client_of(homeserver.url, registered, folder) as weave:
            await prepare(weave.nio, weave.store)
            for file in weave.store.glob("*.db*"):
                file.unlink()
            (weave.store / "pickle.key").unlink()
        with pytest.raises(Refused, match=r"knows the device .* with other keys .* make a new device"):
            async with client_of(homeserver.url, registered, folder, publish=False) as weave:
                await prepare(weave.nio, weave.store)

    async def test_without_its_key_it_is_not_opened(
        self, homeserver: Homeserver, registered: Account, tmp_path: Path
    ) -> None:
        folder = tmp_path / "weave"
        async with client_of(homeserver.url, registered, folder) as weave:
            store = weave.store
        (store / "pickle.key").unlink()
        with pytest.raises(Unavailable, match="is not there; restore it from a copy"):
            async with client_of(homeserver.url, registered, folder):
                pass
        (store / "pickle.key").write_text("another")
        with pytest.raises(Unavailable, match=r"cannot be opened with pickle\.key"):
            async with client_of(homeserver.url, registered, folder):
                pass

    async def test_a_copy_that_starts_elsewhere_is_noticed_by_the_other(
        self, homeserver: Homeserver, registered: Account, tmp_path: Path
    ) -> None:
        async with client_of(homeserver.url, registered, tmp_path / "one") as one:
            await twins.claim(one.nio, one.store)
            await twins.claim(one.nio, one.store)
            shutil.copytree(tmp_path / "one", tmp_path / "two")
            assert await twins.alone(one.nio, one.store)
            async with client_of(homeserver.url, registered, tmp_path / "two") as two:
                await twins.claim(two.nio, two.store)
                assert not await twins.alone(one.nio, one.store)
                with pytest.raises(Refused, match="was used by another copy of it"):
                    await twins.claim(one.nio, one.store)
                assert await twins.alone(two.nio, two.store)

    async def test_a_kill_between_the_two_marks_is_no_copy(self, weave: Client) -> None:
        await twins.claim(weave.nio, weave.store)
        file = weave.store / twins.FILE
        file.write_text(json.dumps({"now": "fresh", "before": json.loads(file.read_text())["now"]}))
        await twins.claim(weave.nio, weave.store)
        assert await twins.alone(weave.nio, weave.store)


class TestHealth:
    async def test_every_thing_that_is_wrong_has_its_fix(self, weave: Client) -> None:
        unread = Undecryptable(weave.nio, MemoryNotebook(), SystemClock())
        unsigned = {one.check: one async for one in findings(weave.nio, weave.store, unread, Timing())}
        assert "no cross-signing identity" in unsigned["identity"].found
        assert unsigned["identity"].fix
        await prepare(weave.nio, weave.store)
        (weave.store / "pickle.key").chmod(0o644)
        wrong = [one async for one in findings(weave.nio, weave.store, unread, Timing()) if one.fix]
        assert [(one.check, one.fix) for one in wrong] == [("files", f"chmod 600 {weave.store / 'pickle.key'}")]
        (weave.store / "pickle.key").chmod(0o600)
        assert not [one async for one in findings(weave.nio, weave.store, unread, Timing()) if one.fix]

    async def test_a_device_that_lost_its_signature_is_told(self, weave: Client, registered: Account) -> None:
        await prepare(weave.nio, weave.store)
        there = await published(weave.nio)
        assert there.device is not None
        bare = {**there.device, "signatures": {}}
        assert not cross_signing.Published(there.master, there.self_signing, None, bare).device_signed(
            registered.user_id
        )
        forged = {**there.device, "keys": {**there.device["keys"], "ed25519:X": SigningKey.fresh().public}}
        assert not cross_signing.Published(there.master, there.self_signing, None, forged).device_signed(
            registered.user_id
        )

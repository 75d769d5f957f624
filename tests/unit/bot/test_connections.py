"""The accounts of a running bot: listened to, answered for, posted through, each for its own teams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from bot.app import App
from bot.connections import Connections
from bot.models import ChatEvent, IncomingMessage, Place
from bot.pages import page, plain
from memory.errors import Unavailable
from memory.models import Room
from tests.unit.bot.rooms import Platform, actor

pytestmark = pytest.mark.embedded


class Account(Platform):
    """An account with what happens in its rooms; it notes after each batch that everything before is committed."""

    platform = "matrix"

    def __init__(self, team: str, *batches: Sequence[ChatEvent], ends: str = "") -> None:
        super().__init__()
        self.team = team
        self._batches = batches
        self._ends = ends
        self.noted = 0
        self.closed = False
        self.read = asyncio.Event()

    async def events(self) -> AsyncIterator[Sequence[ChatEvent]]:
        for batch in self._batches:
            yield batch
            self.noted += 1
        self.read.set()
        if self._ends:
            raise Unavailable(self._ends)
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


def said(app: App, team: str, room: str, text: str, event_id: str = "e1") -> IncomingMessage:
    return IncomingMessage(Place("matrix", room, room, team), event_id, actor("Ana"), text, app.clock.now())


async def rooms_of(app: App, platform: str, team: str) -> list[Room]:
    return await app.directory.rooms(await app.directory.tenant(platform, team, team))


class TestListening:
    async def test_each_account_fills_its_own_team_and_answers_there(self, app: App) -> None:
        one = Account("@one:a", [said(app, "@one:a", "r1", "the queen is red")])
        two = Account("@two:a", [said(app, "@two:a", "r1", "!weave what is red?")])

        async with Connections(app, [one, two]).open(pytest.fail):
            await two.spoken(1)
            await one.read.wait()

        assert [room.name for room in await rooms_of(app, "matrix", "@one:a")] == ["r1"]
        assert "the queen is red" not in two.said
        assert (one.closed, two.closed) == (True, True)
        assert one.sent == []

    async def test_nothing_is_noted_as_read_before_it_is_committed(self, app: App) -> None:
        account = Account("@one:a", [said(app, "@one:a", "r1", "hello")])
        connections = Connections(app, [account], pause=0.001)
        real, tries = connections.all[0].dispatch.take, 0

        async def take(batch: Sequence[ChatEvent]) -> None:
            nonlocal tries
            tries += 1
            assert account.noted == 0
            if tries < 3:
                raise Unavailable("the database does not answer")
            await real(batch)

        object.__setattr__(connections.all[0].dispatch, "take", take)
        async with connections.open(pytest.fail):
            await account.read.wait()

        assert (tries, account.noted) == (3, 1)

    async def test_an_account_that_is_refused_is_told_and_the_others_go_on(self, app: App) -> None:
        told: list[str] = []
        broken = Account("@one:a", ends="the token is revoked; run weavebot matrix login")
        good = Account("@two:a", [said(app, "@two:a", "r1", "!weave help")])

        async with Connections(app, [broken, good]).open(told.append):
            await broken.read.wait()
            await good.spoken(1)

        assert told == ["the token is revoked; run weavebot matrix login"]


class TestPosting:
    async def test_a_room_is_posted_in_by_its_own_account(self, app: App) -> None:
        one, two = Account("@one:a"), Account("@two:a", [said(app, "@two:a", "r1", "hello")])
        connections = Connections(app, [one, two])
        async with connections.open(pytest.fail):
            await two.read.wait()
            [room] = await connections.rooms()

            await connections.post(room, page("the week"), "monday")

        assert one.sent == []
        assert plain(two.sent[0].page) == "the week"

    async def test_where_no_account_is_nothing_can_be_posted(self, app: App) -> None:
        room = await app.directory.room(app.tenant, "x", "x")

        with pytest.raises(Unavailable, match="No chat account"):
            await Connections(app, []).post(room, page("the week"), "monday")

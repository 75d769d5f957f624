"""Addresses of messages for people."""

from __future__ import annotations

from nio import MatrixRoom

from bot.adapters.matrix.permalinks import Permalinks, permalink
from bot.adapters.matrix.rooms import Rooms
from bot.models import Place, Reply
from bot.pages import page
from tests.notebooks import MemoryNotebook

ME = "@weave:example.org"
HERE, KITCHEN = "!here", "!kitchen:example.org"


class Client:
    """A client of nio, as far as rooms go."""

    def __init__(self) -> None:
        self.rooms = {one: MatrixRoom(one, ME) for one in (HERE, KITCHEN)}
        people = ["@a:big.org", "@b:big.org", "@c:small.org", "@d:smaller.org", "@e:big.org", "@f:small.org", ME]
        for user in people:
            self.rooms[HERE].add_member(user, None, None)


def links() -> tuple[Permalinks, MemoryNotebook]:
    notebook = MemoryNotebook()
    notebook.shown = {HERE: [], KITCHEN: [], "!left": []}
    return Permalinks(Rooms(Client(), ME), notebook, me=ME), notebook


def reply(*sources: str) -> Reply:
    return Reply(Place("matrix", HERE, "hives", ME), page("So it is."), sources=sources)


class TestAnAddress:
    def test_names_the_servers_that_know_the_room(self) -> None:
        assert permalink("!room:a.org", "$e:a.org", ["a.org", "[::1]:8448"]) == (
            "https://matrix.to/#/!room%3Aa.org/%24e%3Aa.org?via=a.org&via=%5B%3A%3A1%5D%3A8448"
        )


class TestTheLinksOfAReply:
    async def test_lead_to_the_messages_of_its_rooms(self) -> None:
        made, notebook = links()
        notebook.journalled = {HERE: {"$one"}, KITCHEN: {"$two"}, "!left": {"$gone"}}
        assert await made.of(reply("$one", "h7", "$two", "$gone", "$never")) == {
            "[1]": "https://matrix.to/#/!here/%24one?via=example.org&via=big.org&via=small.org",
            "[3]": "https://matrix.to/#/!kitchen%3Aexample.org/%24two?via=example.org",
        }

    async def test_are_left_out_when_they_cannot_be_looked_up(self) -> None:
        made, notebook = links()
        notebook.broken = True
        assert await made.of(reply("$one")) == {}

    async def test_cost_nothing_where_there_are_none(self) -> None:
        made, notebook = links()
        notebook.broken = True
        assert await made.of(reply()) == {}

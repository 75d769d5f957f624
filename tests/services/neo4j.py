"""A graph index on the real Neo4j, in a corner of its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from memory.adapters.neo4j import Neo4jGraphIndex
from memory.adapters.neo4j_link import Address, Neo4jLink, Rows
from memory.breaker import Breaker
from memory.models import MessageLinks
from memory.ports import Clock
from memory.pseudonyms import Pseudonyms
from tests.doubles import HandClock
from tests.services.servers import address

SERVER = "neo4j"


def neo4j_address(**limits: float) -> Address:
    """Where the server is."""
    user, _, rest = address("NEO4J_URL").removeprefix("bolt://").partition(":")
    password, _, place = rest.partition("@")
    return Address(f"bolt://{place}", user, password, **limits)


class RecordedIndex(Neo4jGraphIndex):
    """Remembers what was put, as SQL does for a whole memory: labels are read from there."""

    def __init__(self, link: Neo4jLink, pseudonyms: Pseudonyms, clock: Clock, **chosen: Any) -> None:
        super().__init__(link, pseudonyms, self.links_of, clock, **chosen)
        self.said: dict[int, dict[int, MessageLinks]] = {}
        self.link, self.pseudonyms = link, pseudonyms

    async def put(self, room: int, links: Sequence[MessageLinks], since: int | None = None) -> bool:
        self.said.setdefault(room, {}).update((link.serial, link) for link in links)
        return await super().put(room, links, since)

    async def links_of(self, room: int, serials: Sequence[int]) -> list[MessageLinks]:
        names = {
            link.author.key: link.author for one in self.said.values() for link in one.values() if link.author.label
        }
        found = [self.said[room][serial] for serial in serials]
        return [replace(link, author=names.get(link.author.key, link.author)) for link in found]

    async def everything(self) -> Rows:
        """Every node of this installation with its relationships, as the server holds them."""
        statement = """
            MATCH (n) WHERE coalesce(n.scope, n.key) STARTS WITH $installation
            OPTIONAL MATCH (n)-[t]->()
            RETURN labels(n) AS labels, properties(n) AS node, collect([type(t), properties(t)]) AS ties
        """
        return await self.link.read(lambda tx: tx.rows(statement, installation=self.pseudonyms.installation))


@asynccontextmanager
async def open_index(**chosen: Any) -> AsyncIterator[RecordedIndex]:
    """An installation that nobody else is; its rooms are dropped in the end."""
    clock = HandClock()
    link = Neo4jLink(neo4j_address(reading=20.0), Breaker("Neo4j", clock))
    index = RecordedIndex(link, Pseudonyms(secrets.token_bytes(32)), clock, **chosen)
    try:
        yield index
        for room in index.said:
            await index.drop(room)
    finally:
        await index.close()

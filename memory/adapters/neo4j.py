"""The graph of each room on a Neo4j 5 server: a projection of SQL without texts and names (docs/neo4j.md).

A question reads a bounded neighbourhood in two statements and computes on it with the code of the graph in the process
(`memory.adapters.graph_view`): a room of up to `WHOLE` messages is read whole, and the answers are the same; of a
larger one the seeds, what they are tied to, and the messages tied to that, rarest ties first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, TypeAlias

from cachetools import LRUCache

from memory.adapters import neo4j_cypher as cypher
from memory.adapters.graph_paths import Trail
from memory.adapters.graph_view import day_of
from memory.adapters.neo4j_excerpt import PERSON, Excerpt
from memory.adapters.neo4j_link import Neo4jLink, Tx
from memory.columns import EPOCH
from memory.models import EntityKind, GraphHealth, GraphSum, Mention, MessageLinks, Nominations, Path, PathType, Walks
from memory.ports import Clock
from memory.pseudonyms import Pseudonyms

WHOLE: Final = 1500
"""Messages of a room that is read whole."""

AROUND: Final = 500
"""Messages that are read of a larger room at most, besides those that are asked about and their neighbours."""

FAN: Final = 100
"""Of an entity that the question names, at most so many messages, those that came last."""

BATCH: Final = 1000
"""Messages in one transaction."""

_EXCERPTS: Final = 8  # what was read last; some MB each
_NOTHING: Final[Mapping[str, Any]] = {"rows": [], "nodes": [], "messages": 0}
_EMPTYING: Final = 5000  # nodes in one transaction
_MICROSECOND: Final = timedelta(microseconds=1)

LinksOf: TypeAlias = Callable[[int, Sequence[int]], Awaitable[Sequence[MessageLinks]]]
"""The links of some messages of a room, from SQL: for the labels of what is shown."""


class Neo4jGraphIndex:
    """A `LastingGraph` on a server. ``labels`` keeps the labels of entities there too, never those of people."""

    lasting = True

    def __init__(
        self,
        link: Neo4jLink,
        pseudonyms: Pseudonyms,
        links_of: LinksOf,
        clock: Clock,
        *,
        labels: bool = False,
        whole: int = WHOLE,
    ) -> None:
        """``whole`` is how many messages a room may have to be read whole; larger ones are read in excerpts."""
        self._link = link
        self._pseudonyms = pseudonyms
        self._links_of = links_of
        self._clock = clock
        self._labels = labels
        self._whole = whole
        self._ready = False
        self._preparing = asyncio.Lock()
        self._reached: dict[int, int] = {}  # what was noted, while nothing has failed
        self._excerpts: LRUCache[tuple[Any, ...], Excerpt] = LRUCache(_EXCERPTS)
        self._clearings = 0

    @property
    def resting(self) -> bool:
        """See the port."""
        return self._link.resting

    # -- how far it is ------------------------------------------------------------------------------------------------

    async def reached(self, room: int) -> int:
        """See the port."""
        if room not in self._reached:
            found = await self._read(lambda tx: tx.one(cypher.REACHED, room=self._key(room)))
            self._reached[room] = int(found.get("version", 0))
        return self._reached[room]

    async def reach(self, room: int, version: int) -> None:
        """See the port."""

        async def work(tx: Tx) -> int:
            await self._hold(tx, room)
            return int((await tx.one(cypher.REACH, room=self._key(room), version=version))["version"])

        self._reached[room] = await self._write(work)

    async def release(self, room: int) -> None:
        """See the port."""

    # -- writing ------------------------------------------------------------------------------------------------------

    async def put(self, room: int, links: Sequence[MessageLinks], since: int | None = None) -> bool:
        """See the port."""
        for start in range(0, len(links), BATCH):
            some = links[start : start + BATCH]

            async def work(tx: Tx, some: Sequence[MessageLinks] = some) -> bool:
                held = await tx.one(cypher.HOLD, room=self._key(room))
                if since not in {None, held["version"]}:
                    return False
                await self._put(tx, room, held["scope"], some)
                return True

            if not await self._write(work):
                self._reached.pop(room, None)  # it is to be asked again
                return False
        return True

    async def remove(self, room: int, serials: Sequence[int]) -> None:
        """See the port."""
        wanted = sorted(set(serials))
        for start in range(0, len(wanted), BATCH):
            some = wanted[start : start + BATCH]

            async def work(tx: Tx, some: Sequence[int] = some) -> None:
                if await tx.one(cypher.REACHED, room=self._key(room)):
                    await self._hold(tx, room)
                for scope in (await tx.one(cypher.SCOPES, room=self._key(room)))["scopes"]:  # also those not in use
                    await self._take_out(tx, scope, some)

            await self._write(work)

    async def drop(self, room: int) -> None:
        """See the port."""
        await self._write(lambda tx: tx.rows(cypher.FORGET, room=self._key(room)))
        self._reached[room] = 0
        await self.sweep(room)

    # -- rebuilding beside what is used -------------------------------------------------------------------------------

    async def begin(self, room: int) -> None:
        """See the port."""
        self._ready = False  # a constraint may have been dropped: this mends it
        await self.sweep(room)

        async def work(tx: Tx) -> None:
            await self._hold(tx, room)  # the one in use keeps a number below it
            number = int((await tx.one(cypher.NUMBERS, room=self._key(room)))["number"]) + 1
            scope = f"{self._key(room)}/{number}"
            await tx.rows(cypher.BEGIN, room=self._key(room), scope=scope, number=number)

        await self._write(work)

    async def build(self, room: int, links: Sequence[MessageLinks]) -> None:
        """See the port."""
        for start in range(0, len(links), BATCH):
            some = links[start : start + BATCH]

            async def work(tx: Tx, some: Sequence[MessageLinks] = some) -> None:
                await self._hold(tx, room)  # who takes something out meanwhile waits, or is waited for
                await self._put(tx, room, await self._building(tx, room), some)

            await self._write(work)

    async def switch(self, room: int, version: int) -> None:
        """See the port."""

        async def work(tx: Tx) -> None:
            scope = await self._building(tx, room)
            await tx.rows(cypher.SWITCH, room=self._key(room), scope=scope, version=version)

        await self._write(work)
        self._reached[room] = version

    async def sweep(self, room: int) -> None:
        """See the port."""
        for scope in await self.unused(room):
            for statement in cypher.EMPTY:
                while await self._emptied(statement, scope):
                    pass
            await self._write(lambda tx, scope=scope: tx.rows(cypher.CLOSE, scope=scope))

    async def unused(self, room: int) -> Sequence[str]:
        """See the port."""
        found = await self._read(lambda tx: tx.one(cypher.STALE, room=self._key(room)))
        return tuple(found["scopes"])

    async def _emptied(self, statement: str, scope: str) -> int:
        done = await self._write(lambda tx: tx.one(statement, scope=scope, most=_EMPTYING))
        return int(done.get("gone", 0))

    async def _building(self, tx: Tx, room: int) -> str:
        number = int((await tx.one(cypher.NUMBERS, room=self._key(room)))["number"])
        return f"{self._key(room)}/{number}"

    # -- health -------------------------------------------------------------------------------------------------------

    async def health(self) -> GraphHealth:
        """See the port."""

        async def work(tx: Tx) -> GraphHealth:
            version = str((await tx.one(cypher.SERVER))["version"])
            there = set((await tx.one(cypher.SCHEMA_NAMES))["names"])
            return GraphHealth(f"Neo4j {version}", tuple(sorted(set(cypher.SCHEMA) - there)))

        found: GraphHealth = await self._read(work)
        return found

    async def sum_of(self, room: int) -> GraphSum:
        """See the port."""
        found = await self._read(lambda tx: tx.one(cypher.SUM, room=self._key(room)))
        return GraphSum(*(int(found.get(name, 0)) for name in ("messages", "ties", "checksum")))

    async def close(self) -> None:
        """Closes every connection."""
        await self._link.close()

    # -- asking -------------------------------------------------------------------------------------------------------

    async def known(self, room: int, mentions: Sequence[Mention]) -> list[tuple[Mention, int]]:
        """See the port."""
        keys = [self._node_key(room, mention) for mention in mentions]
        found = await self._read(lambda tx: tx.rows(cypher.KNOWN, room=self._key(room), keys=sorted(set(keys))))
        tied = {row["key"]: int(row["messages"]) for row in found}
        return [(mention, tied[key]) for mention, key in zip(mentions, keys, strict=True) if key in tied]

    async def rank(
        self, room: int, messages: Mapping[int, float], entities: Sequence[Mention], limit: int
    ) -> Nominations:
        """See the port."""
        view = await self.neighbourhood(room, messages, entities)
        return await asyncio.to_thread(view.rank, messages, self._asked(room, entities), limit)

    async def paths(self, room: int, start: Sequence[Mention], serials: Sequence[int]) -> list[Path]:
        """See the port."""
        view = await self.neighbourhood(room, serials, start, sessions=True)
        trails = await asyncio.to_thread(view.trails, self._asked(room, start), serials)
        return await self._told(room, view, trails)

    async def walks(
        self, room: int, messages: Mapping[int, float], entities: Sequence[Mention], serials: Sequence[int]
    ) -> Walks:
        """See the port."""
        view = await self.neighbourhood(room, [*messages, *serials], entities)
        return await asyncio.to_thread(view.walks, messages, self._asked(room, entities), serials)

    async def trace(
        self, room: int, path: PathType, messages: Mapping[int, float], entities: Sequence[Mention], serial: int
    ) -> Path | None:
        """See the port."""
        view = await self.neighbourhood(room, [*messages, serial], entities, sessions=True)
        found = await asyncio.to_thread(view.trail, path, messages, self._asked(room, entities), serial)
        return next(iter(await self._told(room, view, found)), None)

    async def _told(self, room: int, view: Excerpt, trails: Sequence[Trail]) -> list[Path]:
        """Paths with labels from SQL."""
        links = await self._links_of(room, view.on(trails)) if trails else ()
        return view.tell(trails, links, lambda mention: self._pseudonym(room, mention))

    async def neighbourhood(
        self, room: int, serials: Iterable[int], entities: Sequence[Mention], *, sessions: bool = False
    ) -> Excerpt:
        """The messages around some messages and entities, or the whole room when it is small enough.

        Three hops: what those are tied to, the messages tied to that, and their ties. ``sessions`` are gone through too
        when paths are to be told; walks need of them only how large they are.
        What was read last is used again while nothing was written to the room: one question asks several times.
        """
        seeds = sorted(set(serials))
        keys = sorted({self._node_key(room, mention) for mention in entities})

        clearings = self._clearings

        async def work(tx: Tx) -> tuple[tuple[Any, ...], Excerpt | Mapping[str, Any]]:
            asked = {"serials": seeds, "keys": keys, "sessions": sessions, "most": self._whole}
            look = await tx.one(cypher.LOOK, room=self._key(room), **asked)
            if not look:
                return (), _NOTHING
            whole = look["messages"] <= self._whole
            key = (look["scope"], look["writes"], *(() if whole else (sessions, *seeds, None, *keys)))
            if (held := self._excerpts.get(key)) is not None:
                return key, held
            if whole:
                found = await tx.one(cypher.WHOLE, scope=look["scope"])
            else:
                chosen = _chosen(look["starts"], look["shared"], min(self._whole, AROUND))
                most = 4 * max(AROUND, len(seeds))
                found = await tx.one(cypher.AROUND, scope=look["scope"], serials=seeds, fan=FAN, most=most, **chosen)
            return key, {**found, "messages": look["messages"]}

        key, found = await self._read(work)
        if isinstance(found, Excerpt):
            return found
        view = await asyncio.to_thread(Excerpt, found["rows"], found["nodes"], int(found["messages"]))
        if key and clearings == self._clearings:  # else what was read may have been taken out meanwhile
            self._excerpts[key] = view
        return view

    # -- in a transaction ---------------------------------------------------------------------------------------------

    async def _hold(self, tx: Tx, room: int) -> str:
        """The scope of the room's current generation, which nobody else changes before this transaction ends."""
        return str((await tx.one(cypher.HOLD, room=self._key(room)))["scope"])

    async def _put(self, tx: Tx, room: int, scope: str, links: Sequence[MessageLinks]) -> None:
        fresh = {link.serial: link for link in links}
        serials = list(fresh)
        found = await tx.one(cypher.THERE, scope=scope, serials=serials)
        there, unhooked = list(found.get("there", ())), set(found.get("next", ()))
        touched = list((await tx.one(cypher.TOUCHED, scope=scope, serials=there))["keys"]) if there else []
        if there:
            await tx.rows(cypher.UNTIE, scope=scope, serials=there)
            await self._tidy(tx, scope, touched)  # before they are tied anew: the label of what is named again stays
        await tx.rows(cypher.MESSAGES, scope=scope, rows=[self._row(room, link) for link in fresh.values()])
        await self._tie(tx, room, scope, fresh.values())
        for statement in cypher.REPLIES:
            await tx.rows(statement, scope=scope, serials=serials, now=self._clock.now())
        after = (await tx.one(cypher.NEXT, scope=scope, serials=serials)).get("next", ())
        await self._chain(tx, scope, {*serials, *unhooked, *after})
        await tx.rows(cypher.COUNT, scope=scope, more=len(fresh) - len(there))

    async def _tie(self, tx: Tx, room: int, scope: str, links: Iterable[MessageLinks]) -> None:
        """Entities, sessions and the ties to them."""
        rows: dict[str, list[tuple[int, str | int]]] = {relation: [] for relation in cypher.TIES}
        entities: dict[str, dict[str, str | None]] = {}
        for link in links:
            for relation, mention in _ties(link):
                key = self._node_key(room, mention)
                entities.setdefault(key, {"key": key, "kind": mention.kind, "label": self._label(mention)})
                rows[relation].append((link.serial, key))
            if link.session is not None:
                rows["IN_SESSION"].append((link.serial, link.session))
        await tx.rows(cypher.ENTITIES, scope=scope, rows=list(entities.values()))
        sessions = sorted({key for _, key in rows["IN_SESSION"]})
        if sessions:
            await tx.rows(cypher.SESSIONS, scope=scope, keys=sessions)
        for relation, statement in cypher.TIES.items():
            pairs = [list(pair) for pair in dict.fromkeys(rows[relation])]
            if pairs:
                await tx.rows(statement, scope=scope, rows=pairs, now=self._clock.now())

    async def _take_out(self, tx: Tx, scope: str, serials: Sequence[int]) -> None:
        await tx.rows(cypher.UNREPLY, scope=scope, serials=serials)
        found = await tx.one(cypher.THERE, scope=scope, serials=serials)
        there = list(found.get("there", ()))
        if not there:
            return
        touched = list((await tx.one(cypher.TOUCHED, scope=scope, serials=there))["keys"])
        await tx.rows(cypher.REMOVE, scope=scope, serials=there)
        await self._chain(tx, scope, set(found["next"]) - set(there))
        await self._tidy(tx, scope, touched)
        await tx.rows(cypher.COUNT, scope=scope, more=-len(there))

    async def _chain(self, tx: Tx, scope: str, serials: Iterable[int]) -> None:
        wanted = sorted(serials)
        if wanted:
            await tx.rows(cypher.CHAIN, scope=scope, serials=wanted, now=self._clock.now())

    async def _tidy(self, tx: Tx, scope: str, keys: Iterable[str | int]) -> None:
        touched = list(keys)
        for statement, kind in zip(cypher.TIDY, (str, int), strict=True):  # entities, sessions
            some = [key for key in touched if isinstance(key, kind)]
            if some:
                await tx.rows(statement, scope=scope, keys=some)

    # -- names of nodes -----------------------------------------------------------------------------------------------

    def _key(self, room: int) -> str:
        return f"{self._pseudonyms.installation}/{room}"

    def _pseudonym(self, room: int, mention: Mention) -> Mention:
        return replace(mention, key=self._pseudonyms.of(room, mention.kind, mention.key))

    def _asked(self, room: int, mentions: Sequence[Mention]) -> list[Mention]:
        return [self._pseudonym(room, mention) for mention in mentions]

    def _node_key(self, room: int, mention: Mention) -> str:
        key = self._pseudonyms.of(room, mention.kind, mention.key)
        return PERSON + key if mention.kind is EntityKind.PERSON else key

    def _label(self, mention: Mention) -> str | None:
        return mention.label if self._labels and mention.kind is not EntityKind.PERSON else None

    def _row(self, room: int, link: MessageLinks) -> dict[str, Any]:
        at = (link.sent_at - EPOCH) // _MICROSECOND
        return {
            "serial": link.serial,
            "at": at,
            "place": f"{at:020}{link.serial:020}",
            "author": self._node_key(room, link.author),
            "session": link.session,
            "reply": None if link.reply_to == link.serial else link.reply_to,
        }

    # -- the line -----------------------------------------------------------------------------------------------------

    async def _read(self, work: Any) -> Any:
        return await self._spoken(self._link.read, work)

    async def _write(self, work: Any) -> Any:
        self._clear()  # nothing of what is taken out stays here
        try:
            return await self._spoken(self._link.write, work)
        finally:
            self._clear()

    def _clear(self) -> None:
        self._excerpts.clear()
        self._clearings += 1

    async def _spoken(self, speak: Callable[[Any], Awaitable[Any]], work: Any) -> Any:
        """After a failure nothing is taken for granted: the server may have come back with less, or be another one."""
        try:
            await self._prepare()
            return await speak(work)
        except BaseException:
            self._reached.clear()
            self._ready = False
            raise

    async def _prepare(self) -> None:
        """Constraints and indexes, and plans for what is asked most: a server that has just started takes seconds."""
        if self._ready:
            return
        self._link.check()  # else one would wait here for who tries
        async with self._preparing:
            if not self._ready:
                await self._link.read(lambda tx: tx.one(cypher.SERVER))  # a frozen one is soon found out
                for statement in cypher.SCHEMA.values():
                    await self._link.schema(statement)
                await self._link.write(_rehearse)
                self._ready = True


async def _rehearse(tx: Tx) -> None:
    """Asks about nothing."""
    nothing: dict[str, Any] = {"serials": [], "keys": [], "sessions": [], "busy": []}
    await tx.rows(cypher.REACHED, room="")
    await tx.rows(cypher.KNOWN, room="", keys=[])
    await tx.rows(cypher.LOOK, room="", serials=[], keys=[], sessions=True, most=WHOLE)
    await tx.rows(cypher.WHOLE, scope="")
    await tx.rows(cypher.AROUND, scope="", fan=FAN, most=WHOLE, **nothing)


def _ties(link: MessageLinks) -> list[tuple[str, Mention]]:
    """What a message is tied to besides other messages and its session."""
    ties = [("WROTE", link.author), ("ON", day_of(link.sent_at))]
    for mention in link.mentions:
        opens = mention.key == link.subject and mention.kind is not EntityKind.PERSON
        ties.append(("ABOUT" if opens else "MENTIONS", mention))
    return ties


def _chosen(
    starts: Sequence[tuple[str, int]], shared: Sequence[tuple[str | int, int]], room: int
) -> dict[str, list[Any]]:
    """Whose messages are read: all those of the question's entities as far as they go, then of what is rarest."""
    busy = sorted(key for key, fan in starts if fan > FAN)
    left = room - sum(min(fan, FAN) for _, fan in starts)
    taken: list[str | int] = [key for key, fan in starts if fan <= FAN]
    for key, fan in sorted(shared, key=lambda pair: (pair[1], str(pair[0]))):
        if key in taken or key in busy:
            continue
        if fan > left:
            break
        left -= fan
        taken.append(key)
    return {
        "keys": [key for key in taken if isinstance(key, str)],
        "sessions": [key for key in taken if isinstance(key, int)],
        "busy": busy,
    }

"""Vectors and words of messages on a Qdrant server: a projection of SQL without texts and names (docs/qdrant.md).

A point is a message: a vector for each chunk, compared by the closest of them; and its terms with their BM25 weights,
each under a keyed number of its room. How rare a term is is counted by the server, within the room. Both are asked for
in one request, and come back apart: what they are worth together is the fusion's to say.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from qdrant_client import AsyncQdrantClient
from qdrant_client.http import models

from memory import lexicon
from memory.adapters import qdrant_schema as schema
from memory.adapters.qdrant_link import QdrantLink, Work
from memory.adapters.qdrant_schema import Quantization
from memory.errors import ModelMismatch, Unavailable
from memory.models import Floats, Nominations, VectorHealth, VectorSum
from memory.pseudonyms import Pseudonyms
from memory.ranking import K1, B
from memory.room_rows import RoomRows

BATCH: Final = 500
"""Messages in one request."""

USUAL_LENGTH: Final = 10.0
"""Terms of a message, against which BM25 holds a message's own: a room's mean would change with every message."""

_PAGE: Final = 4096
_KNOWN_TERMS: Final = 1 << 17

_Given = TypeVar("_Given")
Write: TypeAlias = Callable[[Work[None]], Awaitable[None]]


class QdrantVectorIndex:
    """`LastingVectors` on a server, in a collection of this installation's own."""

    def __init__(
        self,
        link: QdrantLink,
        pseudonyms: Pseudonyms,
        model: str,
        dim: int,
        *,
        quantization: Quantization = "scalar",
    ) -> None:
        """``model`` and ``dim`` are those of the vectors that are put."""
        self._link = link
        self._pseudonyms = pseudonyms
        self._model = model
        self._dim = dim
        self._quantization: Quantization = quantization
        self._alias = f"weavebot_{pseudonyms.installation}"
        self._ready = False
        self._preparing = asyncio.Lock()
        self._reached: dict[int, int] = {}  # what was noted, while nothing has failed
        self._led: str | None = None  # the generation that it was noted in
        self._building: str | None = None
        self._term = lru_cache(maxsize=_KNOWN_TERMS)(pseudonyms.term)

    @property
    def resting(self) -> bool:
        """See the port."""
        return self._link.resting

    # -- how far it is ------------------------------------------------------------------------------------------------

    async def reached(self, room: int) -> int:
        """See the port."""
        if room not in self._reached:
            self._reached[room] = await self._spoken(self._link.read, lambda to: _noted(to, self._alias, room))
        return self._reached[room]

    async def reach(self, room: int, version: int, generation: str | None = None) -> None:
        """See the port."""
        if generation is not None and generation != await self.generation():
            return
        name = generation or self._alias  # not the alias: it may lead elsewhere by the time that this arrives
        await self._write(lambda to: _note(to, name, room, version))
        self._reached[room] = max(version, self._reached.get(room, 0))

    async def generation(self) -> str:
        """See the port."""
        current = await self._spoken(self._link.read, self._current)
        if current is None:  # everything was lost
            self._ready = False
            current = await self._spoken(self._link.read, self._current)
        if current != self._led:
            self._reached.clear()
            self._led = current
        return current or self._alias

    # -- writing ------------------------------------------------------------------------------------------------------

    async def put(self, room: int, tenant: int, rows: RoomRows) -> None:
        """See the port."""
        await self._put(self._alias, room, tenant, rows, self._write)

    async def _put(self, collection: str, room: int, tenant: int, rows: RoomRows, write: Write) -> None:
        for start in range(0, len(rows), BATCH):
            some = rows.take(np.arange(start, min(start + BATCH, len(rows))))
            points = await asyncio.to_thread(self._points, room, tenant, some)

            async def work(to: AsyncQdrantClient, points: list[models.PointStruct] = points) -> None:
                await to.upsert(collection, points, wait=True)

            await write(work)

    async def remove(self, room: int, serials: Sequence[int]) -> None:
        """See the port."""
        wanted = sorted(set(serials))
        if not wanted:
            return
        for name in await self._link.read(self._names):  # whatever model they are for
            for start in range(0, len(wanted), BATCH):
                some = models.HasIdCondition(has_id=list(wanted[start : start + BATCH]))

                async def work(to: AsyncQdrantClient, name: str = name, some: models.HasIdCondition = some) -> None:
                    ours = models.Filter(must=[some, *(schema.within(room).must or [])])
                    await to.delete(name, points_selector=models.FilterSelector(filter=ours), wait=True)

                await self._link.write(work)

    async def drop(self, room: int) -> None:
        """See the port."""

        async def work(to: AsyncQdrantClient) -> None:
            await to.delete(self._alias, points_selector=models.PointIdsList(points=[_key(room)]), wait=True)
            ours = models.FilterSelector(filter=schema.within(room))
            await to.delete(self._alias, points_selector=ours, wait=True)

        self._reached[room] = 0  # who asks meanwhile finds it behind
        await self._write(work)
        self._reached[room] = 0

    # -- rebuilding beside what is used -------------------------------------------------------------------------------

    async def begin(self) -> None:
        """See the port."""
        await self._link.write(self._prepare_any)
        await self.sweep()

        async def work(to: AsyncQdrantClient) -> str:
            return await self._made(to, max(map(_number, await self._names(to)), default=0) + 1)

        self._building = await self._link.write(work)

    async def build(self, room: int, tenant: int, rows: RoomRows) -> None:
        """See the port."""
        await self._put(self._begun, room, tenant, rows, self._link.write)

    async def built(self, room: int, version: int) -> None:
        """See the port."""
        name = self._begun
        await self._link.write(lambda to: _note(to, name, room, version))

    async def switch(self) -> None:
        """See the port."""
        name = self._begun

        async def work(to: AsyncQdrantClient) -> None:
            await self._point_to(to, name)

        await self._link.write(work)
        self._building = self._led = None
        self._ready = False
        self._reached.clear()

    async def unused(self) -> Sequence[str]:
        """See the port."""

        async def work(to: AsyncQdrantClient) -> list[str]:
            current = await self._current(to)
            return [name for name in await self._names(to) if name != current]

        return await self._link.write(work)

    async def sweep(self) -> None:
        """See the port."""
        for name in await self.unused():

            async def work(to: AsyncQdrantClient, name: str = name) -> None:
                await to.delete_collection(name)

            await self._link.write(work)

    @property
    def _begun(self) -> str:
        if self._building is None:
            raise Unavailable("nothing is being built in Qdrant: run `weavebot reindex --store qdrant` again")
        return self._building

    # -- health -------------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """See the port."""
        await self._link.read(self._current)  # one that is frozen is soon found out
        await self._link.write(self._prepare_any)
        info = await self._link.write(lambda to: to.get_collection(self._alias))
        if (made_for := schema.misfit(info, self._model, self._dim)) is not None:
            raise ModelMismatch(self._mismatch(made_for))

    async def health(self) -> VectorHealth:
        """See the port."""

        async def work(to: AsyncQdrantClient) -> VectorHealth:
            version = (await to.info()).version
            there = (await to.get_collection(self._alias)).payload_schema
            return VectorHealth(f"Qdrant {version}", tuple(name for name in schema.INDEXED if name not in there))

        return await self._write(work)

    async def sum_of(self, room: int) -> VectorSum:
        """See the port."""
        messages, checksum, after = 0, 0, 0
        while page := await self._page(room, after, [schema.MARK]):
            messages += len(page)
            checksum += sum(int((record.payload or {}).get(schema.MARK, 0)) for record in page)
            after = int(page[-1].id)
        return VectorSum(messages, checksum)

    async def count(self, room: int) -> int:
        """See the port."""
        found = await self._write(lambda to: to.count(self._alias, count_filter=schema.within(room), exact=True))
        return found.count

    async def serials(self, room: int, after: int) -> Sequence[int]:
        """See the port."""
        return [int(record.id) for record in await self._page(room, after)]

    async def _page(self, room: int, after: int, payload: Sequence[str] = ()) -> list[models.Record]:
        """Points in order of their ids, which are serials."""

        async def work(to: AsyncQdrantClient) -> list[models.Record]:
            records, _ = await to.scroll(
                self._alias,
                scroll_filter=schema.within(room),
                limit=_PAGE,
                offset=after + 1,
                with_payload=list(payload) or False,
                with_vectors=False,
            )
            return records

        return await self._write(work)

    async def close(self) -> None:
        """Closes every connection."""
        await self._link.close()

    # -- asking -------------------------------------------------------------------------------------------------------

    async def nominate(
        self, room: int, direction: Floats | None, terms: Mapping[str, float], limit: int
    ) -> tuple[Nominations, Nominations]:
        """See the port."""
        asked: dict[str, models.QueryRequest] = {}
        if direction is not None and len(direction) == self._dim:
            asked["vector"] = models.QueryRequest(
                query=[direction.astype(np.float32).tolist()],
                using=schema.DENSE,
                filter=schema.within(room),
                params=schema.searched(self._quantization, limit),
                limit=limit,
                with_payload=False,
            )
        if terms:
            asked["keyword"] = models.QueryRequest(
                query=self._sought(room, terms),
                using=schema.WORDS,
                filter=schema.within(room),
                params=models.SearchParams(idf=models.IdfCorpusParams(corpus=schema.within(room))),
                limit=limit,
                with_payload=False,
            )
        answers: Sequence[models.QueryResponse] = ()
        if asked:
            answers = await self._spoken(
                self._link.read, lambda to: to.query_batch_points(self._alias, list(asked.values()))
            )
        said = {name: _nominations(name, answer) for name, answer in zip(asked, answers, strict=True)}
        nothing = models.QueryResponse(points=[])
        return (
            said.get("vector", _nominations("vector", nothing)),
            said.get("keyword", _nominations("keyword", nothing)),
        )

    # -- points -------------------------------------------------------------------------------------------------------

    def _points(self, room: int, tenant: int, rows: RoomRows) -> list[models.PointStruct]:
        payload = {schema.ROOM: str(room), schema.TENANT: str(tenant)}
        points, chunk, term = [], 0, 0
        for i, serial in enumerate(rows.serials.tolist()):
            chunks, terms = int(rows.vectors.counts[i]), int(rows.words.terms.counts[i])
            vectors: dict[str, Any] = {}
            if chunks:
                vectors[schema.DENSE] = rows.vectors.values[chunk : chunk + chunks].astype(np.float32).tolist()
            if terms:
                vectors[schema.WORDS] = self._kept(room, rows.words.terms.values[term : term + terms].tolist())
            mark = self._pseudonyms.mark(serial, int(rows.digests[i]), chunks)
            points.append(models.PointStruct(id=serial, vector=vectors, payload={**payload, schema.MARK: mark}))
            chunk, term = chunk + chunks, term + terms
        return points

    def _kept(self, room: int, numbers: Sequence[int]) -> models.SparseVector:
        """BM25 of a message's terms, without how rare they are."""
        counts = Counter(self._term(room, number) for number in numbers)
        norm = K1 * (1 - B + B * len(numbers) / USUAL_LENGTH)
        return _sparse({term: count * (K1 + 1) / (count + norm) for term, count in counts.items()})

    def _sought(self, room: int, terms: Mapping[str, float]) -> models.SparseVector:
        weights: defaultdict[int, float] = defaultdict(float)
        for term, weight in terms.items():
            weights[self._term(room, lexicon.number(term))] += weight
        return _sparse(weights)

    # -- the line -----------------------------------------------------------------------------------------------------

    async def _write(self, work: Work[_Given]) -> _Given:
        return await self._spoken(self._link.write, work)

    async def _spoken(self, speak: Callable[[Work[_Given]], Awaitable[_Given]], work: Work[_Given]) -> _Given:
        """After a failure nothing is taken for granted: the server may have come back with less, or be another one."""
        try:
            await self._prepare()
            return await speak(work)
        except BaseException:
            self._reached.clear()
            self._ready = False
            raise

    async def _prepare(self) -> None:
        """The collection is there, and made for this model. Raises Unavailable when it is another's: see `check`."""
        if self._ready:
            return
        self._link.check()  # else one would wait here for who tries
        async with self._preparing:
            if self._ready:
                return
            try:
                await self.check()
            except ModelMismatch as exc:
                raise Unavailable(str(exc)) from exc
            self._ready = True

    async def _prepare_any(self, to: AsyncQdrantClient) -> None:
        """The alias leads to a collection, and its payload is indexed."""
        if await self._current(to) is None:
            there = await self._names(to)
            name = there[-1] if there else await self._made(to, 1)
            await self._index(to, name)  # whoever made it may have been killed before it was whole
            await self._point_to(to, name)

    async def _made(self, to: AsyncQdrantClient, number: int) -> str:
        name = f"{self._alias}_{number}"
        await to.create_collection(name, **schema.created(self._model, self._dim, self._quantization))
        await self._index(to, name)  # before the points: the graph of a room needs it
        return name

    async def _index(self, to: AsyncQdrantClient, name: str) -> None:
        for key in schema.INDEXED:
            index = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
            await to.create_payload_index(name, key, field_schema=index, wait=True)

    async def _point_to(self, to: AsyncQdrantClient, name: str) -> None:
        """The alias leads there, from one moment to the next."""
        made = models.CreateAlias(collection_name=name, alias_name=self._alias)
        actions: list[models.AliasOperations] = [models.CreateAliasOperation(create_alias=made)]
        if await self._current(to) is not None:
            gone = models.DeleteAlias(alias_name=self._alias)
            actions.insert(0, models.DeleteAliasOperation(delete_alias=gone))
        await to.update_collection_aliases(actions)

    async def _current(self, to: AsyncQdrantClient) -> str | None:
        aliases = (await to.get_aliases()).aliases
        return next((one.collection_name for one in aliases if one.alias_name == self._alias), None)

    async def _names(self, to: AsyncQdrantClient) -> list[str]:
        """The generations that are there, the newest last."""
        names = [one.name for one in (await to.get_collections()).collections]
        ours = [
            name for name in names if name.rpartition("_")[0] == self._alias and name.rpartition("_")[2].isdecimal()
        ]
        return sorted(ours, key=_number)

    def _mismatch(self, made_for: str) -> str:
        return (
            f"the vectors in Qdrant were made by {made_for}, this is {self._model}: build them anew with"
            " `weavebot reindex --store qdrant`"
        )


async def _noted(to: AsyncQdrantClient, collection: str, room: int) -> int:
    found = await to.retrieve(collection, [_key(room)], with_payload=True)
    return int((found[0].payload or {}).get(schema.VERSION, 0)) if found else 0


async def _note(to: AsyncQdrantClient, collection: str, room: int, version: int) -> None:
    """Never an earlier version than is noted, whoever else notes one."""
    key = _key(room)
    if not await to.retrieve(collection, [key], with_payload=False):
        noted = {schema.MARKS: str(room), schema.VERSION: version}
        await to.upsert(collection, [models.PointStruct(id=key, vector={}, payload=noted)], wait=True)
        return
    earlier = models.FieldCondition(key=schema.VERSION, range=models.Range(lt=version))
    older = models.Filter(must=[models.HasIdCondition(has_id=[key]), earlier])
    await to.set_payload(collection, {schema.VERSION: version}, points=older, wait=True)


def _number(name: str) -> int:
    """Of a generation."""
    return int(name.rpartition("_")[2])


def _key(room: int) -> str:
    """The id of the point that notes how far a room is: no message's, which are numbers."""
    return str(uuid.UUID(int=room))


def _sparse(weights: Mapping[int, float]) -> models.SparseVector:
    return models.SparseVector(indices=list(weights), values=[float(weight) for weight in weights.values()])


def _nominations(source: str, answer: models.QueryResponse) -> Nominations:
    return Nominations(
        source=source,
        serials=np.array([int(point.id) for point in answer.points], dtype=np.int64),
        scores=np.array([point.score for point in answer.points], dtype=np.float64),
    )

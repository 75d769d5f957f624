"""Vector indexes keep their promises: the arrays, Qdrant's simulation, the wire to it, a server where there is one."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient

from memory import ranking
from memory.adapters.qdrant import QdrantVectorIndex
from memory.adapters.qdrant_link import Address, QdrantLink
from memory.breaker import Breaker
from memory.lexicon import number
from memory.models import Floats, Nominations
from memory.pseudonyms import Pseudonyms
from memory.room import RoomView
from memory.room_rows import RoomRows
from tests.contract.vector_index import ROOM, TALK, TENANT, VectorIndexContract, rows
from tests.doubles import HandClock
from tests.standins.qdrant import running
from tests.unit.memory.arrays import DIM, question, row, unit

SERVER = os.environ.get("WEAVEBOT_QDRANT_URL")
MODEL = "words@1;dim=8"


class ExactIndex:
    """The arrays of rooms and the functions that search them, in the shape of the port."""

    def __init__(self) -> None:
        self.views: dict[int, RoomView] = {}
        self.versions: dict[int, int] = {}

    async def reached(self, room: int) -> int:
        return self.versions.get(room, 0)

    async def reach(self, room: int, version: int) -> None:
        self.versions[room] = max(version, self.versions.get(room, 0))

    async def put(self, room: int, tenant: int, rows: RoomRows) -> None:
        del tenant
        self.views[room] = self._view(room).updated(rows)

    async def remove(self, room: int, serials: Sequence[int]) -> None:
        self.views[room] = self._view(room).without(serials)

    async def nominate(
        self, room: int, direction: Floats | None, terms: Mapping[str, float], limit: int
    ) -> tuple[Nominations, Nominations]:
        view = self._view(room)
        asked = question("", vector=direction)
        scores = sum((weight * ranking.bm25(view, [term]) for term, weight in terms.items()), np.zeros(len(view)))
        return ranking.vector(view, asked, limit), ranking._best("keyword", view, scores, limit, above=0.0)

    async def drop(self, room: int) -> None:
        self.views.pop(room, None)
        self.versions.pop(room, None)

    def _view(self, room: int) -> RoomView:
        return self.views.get(room, RoomView.of(()))


def index_on(link: QdrantLink, secret: bytes = b"a secret") -> QdrantVectorIndex:
    return QdrantVectorIndex(link, Pseudonyms(secret), MODEL, DIM)


def local() -> QdrantLink:
    client = AsyncQdrantClient(location=":memory:")
    return QdrantLink(client, Breaker("Qdrant", HandClock()), reading=5.0, writing=5.0)


class TestExactIndex(VectorIndexContract):
    @pytest.fixture
    def index(self) -> ExactIndex:
        return ExactIndex()


class TestQdrantInMemory(VectorIndexContract):
    @pytest.fixture
    async def index(self) -> AsyncIterator[QdrantVectorIndex]:
        index = index_on(local())
        yield index
        await index.close()


class TestQdrantOnTheWire(VectorIndexContract):
    @pytest.fixture(params=["grpc", "http"])
    async def index(self, request: pytest.FixtureRequest) -> AsyncIterator[QdrantVectorIndex]:
        async with running(key="a key") as server:
            port = server.grpc_port if request.param == "grpc" else 0
            address = Address(server.url, key="a key", grpc_port=port, reading=5.0)
            index = index_on(QdrantLink.to(address, Breaker("Qdrant", HandClock())))
            yield index
            await index.close()


@pytest.mark.skipif(not SERVER, reason="WEAVEBOT_QDRANT_URL is not set: needs a real server")
class TestQdrantServer(VectorIndexContract):
    @pytest.fixture(params=[6334, 0], ids=["grpc", "http"])
    async def index(self, request: pytest.FixtureRequest) -> AsyncIterator[QdrantVectorIndex]:
        port = int(os.environ.get("WEAVEBOT_QDRANT_GRPC_PORT") or request.param) if request.param else 0
        key = os.environ.get("WEAVEBOT_QDRANT_KEY")
        link = QdrantLink.to(
            Address(SERVER or "", key=key, grpc_port=port, reading=10.0), Breaker("Qdrant", HandClock())
        )
        index = index_on(link, secrets.token_bytes(32))
        yield index
        await index.begin()
        await index.switch()
        await index.sweep()
        await link.write(lambda to: to.delete_collection(f"{index._alias}_2"))
        await index.close()


def strings(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from (*strings(key), *strings(each))
    elif isinstance(value, Iterable):
        for each in value:
            yield from strings(each)


class TestWhatIsStored:
    """Nothing of a text or a name: ids, vectors and keyed numbers."""

    @pytest.fixture
    async def client(self) -> AsyncIterator[AsyncQdrantClient]:
        client = AsyncQdrantClient(location=":memory:")
        yield client
        await client.close()

    def on(self, client: AsyncQdrantClient, secret: bytes = b"a secret") -> QdrantVectorIndex:
        return index_on(QdrantLink(client, Breaker("Qdrant", HandClock()), reading=5.0, writing=5.0), secret)

    async def everything(self, client: AsyncQdrantClient) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for one in (await client.get_collections()).collections:
            records, _ = await client.scroll(one.name, limit=1000, with_payload=True, with_vectors=True)
            found += [record.model_dump(mode="json") for record in records]
        return found

    async def test_no_word_of_a_message_and_no_number_that_stands_for_it_elsewhere(
        self, client: AsyncQdrantClient
    ) -> None:
        index = self.on(client)
        await index.put(ROOM, TENANT, rows(*TALK))
        await index.reach(ROOM, 3)
        held = await self.everything(client)
        assert len(held) == len(TALK) + 1
        told = {text for point in held for text in strings(point)}
        assert told == {"room", "tenant", "mark", "marks", "version", "id", "payload", "vector"} | {
            "shard_key",
            "order_value",
            "dense",
            "words",
            "indices",
            "values",
            str(ROOM),
            str(TENANT),
            "00000000-0000-0000-0000-000000000001",
        }
        numbers = {i for point in held for i in ((point["vector"] or {}).get("words") or {}).get("indices", [])}
        assert number("smoker") not in numbers
        assert len(numbers) == 10

    async def test_one_word_has_another_number_in_each_room_and_installation(self, client: AsyncQdrantClient) -> None:
        index, other = self.on(client), self.on(client, b"another secret")
        seen = []
        for where, room in ((index, 1), (index, 2), (other, 1)):
            await where.put(room, TENANT, rows(row(10 * room, "smoker")))
            records, _ = await client.scroll(where._alias, with_vectors=True)
            [found] = [one.model_dump() for one in records if one.id == 10 * room]
            seen.append(found["vector"]["words"]["indices"][0])
        assert len(set(seen)) == 3

    async def test_a_removed_message_leaves_no_point_also_where_a_rebuild_was_interrupted(
        self, client: AsyncQdrantClient
    ) -> None:
        index = self.on(client)
        await index.put(ROOM, TENANT, rows(*TALK))
        await index.begin()
        await index.build(ROOM, TENANT, rows(*TALK))
        assert len(await index.unused()) == 1
        await index.remove(ROOM, [1])
        assert 1 not in {point["id"] for point in await self.everything(client)}
        again = self.on(client)
        await again.sweep()
        assert await again.unused() == []
        assert await again.count(ROOM) == 4


class TestGenerations:
    @pytest.fixture
    async def index(self) -> AsyncIterator[QdrantVectorIndex]:
        index = index_on(local())
        yield index
        await index.close()

    async def test_what_is_built_answers_from_the_switch_on(self, index: QdrantVectorIndex) -> None:
        await index.put(ROOM, TENANT, rows(*TALK))
        await index.reach(ROOM, 3)
        await index.begin()
        await index.build(ROOM, TENANT, rows(row(8, "honey", vectors=unit(1))))
        await index.built(ROOM, 2)
        assert await index.count(ROOM) == 5
        assert await index.reached(ROOM) == 3
        await index.switch()
        assert await index.serials(ROOM, 0) == [8]
        assert await index.reached(ROOM) == 2
        await index.sweep()
        assert await index.unused() == []

    async def test_sums_tell_rooms_apart_that_hold_other_texts(self, index: QdrantVectorIndex) -> None:
        await index.put(ROOM, TENANT, rows(row(1, "smoker", vectors=unit(1)), row(2, "hive")))
        first = await index.sum_of(ROOM)
        await index.put(ROOM, TENANT, rows(row(2, "hive", vectors=unit(1))))
        second = await index.sum_of(ROOM)
        await index.put(ROOM, TENANT, rows(row(2, "hives", vectors=unit(1))))
        third = await index.sum_of(ROOM)
        assert [one.messages for one in (first, second, third)] == [2, 2, 2]
        assert len({one.checksum for one in (first, second, third)}) == 3

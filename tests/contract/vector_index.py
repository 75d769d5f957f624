"""What every `VectorIndex` promises; each adapter's test inherits it and gives a fixture ``index``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from memory.models import Nominations, RoomRow
from memory.ports import VectorIndex
from memory.room_rows import RoomRows
from memory.text import terms
from tests.unit.memory.arrays import DIM, row, unit

ROOM, OTHER, TENANT = 1, 2, 7

TALK = (
    row(1, "the smoker is broken again", vectors=unit(1, 0, 0)),
    row(2, "who mends the smoker?", vectors=unit(0.8, 0.6, 0)),
    row(3, "queens are marked with blue paint", vectors=unit(0, 1, 0)),
    row(4, "the blue hive is empty", vectors=np.stack([unit(0, 0, 1), unit(0.6, 0, 0.8)])),
    row(5, "not embedded yet, the smoker", vectors=None),
)
"""A little conversation: two about a smoker, a long message in two chunks, and one without an embedding."""


def rows(*given: RoomRow) -> RoomRows:
    return RoomRows.of(given)


def nominated(said: Nominations) -> dict[int, float]:
    return dict(zip(said.serials.tolist(), said.scores.tolist(), strict=True))


async def meaning(index: VectorIndex, *direction: float, room: int = ROOM, limit: int = 10) -> dict[int, float]:
    said, _ = await index.nominate(room, unit(*direction), {}, limit)
    return nominated(said)


async def words(index: VectorIndex, text: str, room: int = ROOM, limit: int = 10) -> dict[int, float]:
    _, said = await index.nominate(room, None, dict.fromkeys(terms(text), 1.0), limit)
    return nominated(said)


class VectorIndexContract:
    """Inherit it, and give the adapter as the fixture ``index``: empty at the start of each test, vectors of `DIM`."""

    @pytest.fixture
    async def talk(self, index: VectorIndex) -> VectorIndex:
        """The index with the little conversation."""
        await index.put(ROOM, TENANT, rows(*TALK))
        return index

    # -- what is found ------------------------------------------------------------------------------------------------

    async def test_a_room_that_never_came_is_empty(self, index: VectorIndex) -> None:
        assert await meaning(index, 1) == {}
        assert await words(index, "smoker") == {}
        assert await index.reached(9) == 0

    async def test_the_closest_in_meaning_come_first_with_their_cosines(self, talk: VectorIndex) -> None:
        found = await meaning(talk, 1)
        assert list(found)[:3] == [1, 2, 4]
        assert [found[1], found[2], found[4], found[3]] == pytest.approx([1.0, 0.8, 0.6, 0.0], abs=2e-3)

    async def test_a_long_message_is_as_close_as_its_closest_chunk(self, talk: VectorIndex) -> None:
        assert (await meaning(talk, 0, 0, 1))[4] == pytest.approx(1.0, abs=2e-3)
        assert (await meaning(talk, 0.6, 0, 0.8))[4] == pytest.approx(1.0, abs=2e-3)

    async def test_one_without_an_embedding_is_found_by_its_words_alone(self, talk: VectorIndex) -> None:
        assert 5 not in await meaning(talk, 1)
        assert 5 in await words(talk, "smoker")

    async def test_the_more_of_the_words_the_better_and_rare_ones_count_more(self, talk: VectorIndex) -> None:
        found = await words(talk, "smoker broken")
        assert next(iter(found)) == 1
        assert set(found) == {1, 2, 5}
        assert all(score > 0 for score in found.values())
        both = await words(talk, "smoker paint")
        assert next(iter(both)) == 3  # one message in five has it, three the smoker

    async def test_a_word_counts_by_its_weight(self, talk: VectorIndex) -> None:
        _, said = await talk.nominate(ROOM, None, {"smoker": 1.0, "paint": 0.1}, 10)
        assert said.serials[0] != 3

    async def test_both_are_told_at_once_and_no_more_than_wanted(self, talk: VectorIndex) -> None:
        close, said = await talk.nominate(ROOM, unit(1), {"smoker": 1.0}, 2)
        assert (close.source, said.source) == ("vector", "keyword")
        assert close.serials.tolist() == [1, 2]
        assert len(said.serials) == 2

    async def test_nothing_asked_is_nothing_found(self, talk: VectorIndex) -> None:
        close, said = await talk.nominate(ROOM, None, {}, 10)
        assert len(close.serials) == len(said.serials) == 0
        assert await words(talk, "zeppelin") == {}

    # -- changes ------------------------------------------------------------------------------------------------------

    async def test_put_again_nothing_changes(self, talk: VectorIndex) -> None:
        close, said = await meaning(talk, 1), await words(talk, "smoker blue")
        await talk.put(ROOM, TENANT, rows(*TALK))
        assert await meaning(talk, 1) == pytest.approx(close, abs=1e-6)
        assert await words(talk, "smoker blue") == pytest.approx(said, abs=1e-6)

    async def test_of_an_edited_message_the_earlier_text_is_gone(self, talk: VectorIndex) -> None:
        await talk.put(ROOM, TENANT, rows(row(1, "honey harvest", vectors=None)))
        assert 1 not in await meaning(talk, 1)
        assert 1 not in await words(talk, "smoker broken")
        assert 1 in await words(talk, "harvest")

    async def test_an_embedding_may_come_later(self, talk: VectorIndex) -> None:
        await talk.put(ROOM, TENANT, rows(row(5, "not embedded yet, the smoker", vectors=unit(1, 0, 0))))
        assert (await meaning(talk, 1))[5] == pytest.approx(1.0, abs=2e-3)

    async def test_what_is_removed_is_not_found_in_any_way(self, talk: VectorIndex) -> None:
        await talk.remove(ROOM, [1, 4, 99])
        assert set(await meaning(talk, 1)) == {2, 3}
        assert set(await words(talk, "smoker broken hive")) == {2, 5}

    async def test_how_rare_a_word_is_follows_what_is_removed(self, talk: VectorIndex) -> None:
        before = (await words(talk, "smoker"))[2]
        await talk.remove(ROOM, [1, 5])
        assert (await words(talk, "smoker"))[2] > before

    async def test_a_dropped_room_is_empty_and_has_reached_nothing(self, talk: VectorIndex) -> None:
        await talk.reach(ROOM, 4)
        await talk.drop(ROOM)
        assert await meaning(talk, 1) == {}
        assert await words(talk, "smoker") == {}
        assert await talk.reached(ROOM) == 0
        await talk.drop(ROOM)

    async def test_the_version_that_was_reached_never_goes_back(self, talk: VectorIndex) -> None:
        await talk.reach(ROOM, 4)
        await talk.reach(ROOM, 3)
        assert await talk.reached(ROOM) == 4
        await talk.reach(ROOM, 9)
        assert await talk.reached(ROOM) == 9
        assert await talk.reached(OTHER) == 0

    # -- rooms --------------------------------------------------------------------------------------------------------

    async def test_scopes_never_mix(self, talk: VectorIndex) -> None:
        alone = (await meaning(talk, 1), await words(talk, "smoker broken"))
        many = [row(100 + i, "the smoker is broken", vectors=unit(1, 0, 0.01 * i)) for i in range(20)]
        await talk.put(OTHER, TENANT + 1, rows(*many))
        assert (await meaning(talk, 1), await words(talk, "smoker broken")) == alone
        assert set(await meaning(talk, 1, room=OTHER)) <= {each.serial for each in many}
        await talk.remove(ROOM, [100])
        assert 100 in await words(talk, "broken", room=OTHER, limit=50)
        await talk.drop(OTHER)
        assert (await meaning(talk, 1), await words(talk, "smoker broken")) == alone

    async def test_many_messages_are_found_as_one_by_one(self, index: VectorIndex) -> None:
        chance = np.random.default_rng(3)
        vectors = chance.standard_normal((1200, DIM)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        many = [row(i + 1, f"word{i % 50}", vectors=vector) for i, vector in enumerate(vectors)]
        await index.put(ROOM, TENANT, rows(*many))
        wanted: Sequence[int] = (np.argsort(-(vectors @ vectors[17]))[:20] + 1).tolist()
        said, _ = await index.nominate(ROOM, vectors[17], {}, 20)
        found = said.serials.tolist()
        assert found[0] == 18
        assert len(set(found) & set(wanted)) >= 18  # an index may overlook some, and float16 moves near ties
        assert set(await words(index, "word7", limit=100)) == set(range(8, 1200, 50))

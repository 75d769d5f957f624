"""The model that made the vectors is recorded, compared, and changed only on purpose."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from memory.errors import ModelMismatch
from memory.indexing import Indexer
from memory.modelbook import change_model, current_model
from memory.models import Room
from memory.reflection.worker import Reflector
from memory.tables import embeddings, index_outbox
from tests.doubles import WordEmbedder
from tests.parts import Memory


class OtherWords(WordEmbedder):
    """Another model, with shorter vectors."""

    model = "other@1;dim=32;state=32"
    dim = 32


class TestModelBook:
    async def test_the_same_model_keeps_its_key(self, memory: Memory) -> None:
        assert await current_model(memory.database, memory.embedder, memory.clock) == memory.rooms._model

    async def test_another_model_is_refused_with_the_command_that_mends_it(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "hello"))
        with pytest.raises(ModelMismatch, match=r"the 1 stored vectors were made by words@1.*reindex --model"):
            await current_model(memory.database, OtherWords(), memory.clock)

    async def test_a_change_embeds_everything_anew_and_drops_the_old_vectors(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "hello"), ("Ben", "goodbye"))
        other = OtherWords()
        key = await change_model(memory.database, other, memory.clock)
        assert await current_model(memory.database, other, memory.clock) == key
        async with memory.database.read() as conn:
            assert (await conn.execute(select(func.count()).select_from(embeddings))).scalar_one() == 0
            assert (await conn.execute(select(func.count()).select_from(index_outbox))).scalar_one() == 2
        assert await Indexer(memory.database, other, key, memory.clock).drain() == 2
        assert sorted(other.embedded) == ["goodbye", "hello"]

    async def test_a_change_has_the_ended_conversations_told_anew_when_their_vectors_are_there(
        self, memory: Memory, room: Room
    ) -> None:
        said = [("Ana", f"The gate code of hut {i} is {4471 + i}") for i in range(12)]
        await memory.say(room, *said)
        memory.clock.advance(timedelta(days=1))
        await memory.sessions.clean_up()
        await memory.reflector.drain()
        other = OtherWords()
        key = await change_model(memory.database, other, memory.clock)
        reflector = Reflector(memory.database, memory.clock, key)
        assert (await reflector.depth()).waiting == 1
        assert await reflector.drain() == 0  # its messages have no vectors yet
        await Indexer(memory.database, other, key, memory.clock).drain()
        assert await reflector.drain() == len(said) + 1
        assert (await reflector.depth()).waiting == 0

    async def test_a_change_back_finds_its_key_again(self, memory: Memory) -> None:
        await change_model(memory.database, OtherWords(), memory.clock)
        assert await change_model(memory.database, memory.embedder, memory.clock) == memory.rooms._model

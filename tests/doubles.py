"""Stand-ins that tests pass to constructors: a clock to move by hand, an embedder that needs no model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from memory.errors import Unavailable
from memory.models import Embedding, Floats

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_WORD = re.compile(r"\w+")


class HandClock:
    """Stands still until it is moved."""

    def __init__(self, start: datetime = START) -> None:
        self.time = start

    def now(self) -> datetime:
        return self.time

    def advance(self, by: timedelta) -> None:
        self.time += by


class WordEmbedder:
    """Hashed bags of words: texts that share words lie close. Deterministic, instant; counts what it embedded."""

    model = "words@1;dim=64;state=32"
    dim = 64
    state_dim = 32

    def __init__(self) -> None:
        self.embedded: list[str] = []
        self.broken = False

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        if self.broken:
            raise Unavailable("the embedding model cannot run now")
        self.embedded += texts
        return [self._one(text) for text in texts]

    def count_tokens(self, text: str) -> int:
        return len(_WORD.findall(text))

    def words(self, token_ids: Sequence[int]) -> list[str]:
        return [str(key) for key in token_ids]

    def _one(self, text: str) -> Embedding:
        tokens = [word.lower() for word in _WORD.findall(text)]
        states = np.array([direction(word, self.state_dim) for word in tokens], dtype=np.float32)
        vector = np.sum([direction(word, self.dim) for word in tokens], axis=0) if tokens else np.zeros(self.dim)
        length = float(np.linalg.norm(vector)) or 1.0
        return Embedding(
            vectors=(vector / length).astype(np.float32)[None, :],
            token_ids=np.array([_number(word) % 30_000 for word in tokens], dtype=np.uint16),
            states=states.reshape(len(tokens), self.state_dim),
        )


def direction(word: str, dim: int) -> Floats:
    """A unit vector that stands for a word."""
    vector = np.random.default_rng(_number(word)).standard_normal(dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _number(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")

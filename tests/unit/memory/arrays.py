"""Rows, questions and embeddings made up for tests of the arrays and of ranking."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from memory.models import Embedding, Floats, Query, RoomRow, Scope

DIM = 8
STATE_DIM = 16
NOON = datetime(2024, 5, 15, 12, tzinfo=UTC)
DAY = 86400.0


def unit(*values: float) -> Floats:
    """A vector of length 1 that begins with these values."""
    vector = np.zeros(DIM, np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def states(*ids: int) -> Floats:
    """A state for each token id: the same id has the same state, others are about orthogonal."""
    found = [np.random.default_rng(number).choice([-1.0, 1.0], STATE_DIM) for number in ids]
    return (np.stack(found) / np.sqrt(STATE_DIM)).astype(np.float32) if ids else np.zeros((0, STATE_DIM), np.float32)


def row(
    serial: int,
    text: str = "",
    *,
    author: int = 1,
    days: float = 0.0,
    reply_to: int | None = None,
    vectors: Floats | None = None,
    tokens: tuple[int, ...] | None = None,
) -> RoomRow:
    """A message sent so many days after `NOON`."""
    ids = None if tokens is None else np.array(tokens, np.uint16)
    codes = None if tokens is None else np.packbits(states(*tokens) > 0, axis=1)
    if vectors is not None:
        vectors = np.atleast_2d(vectors)
    return RoomRow(serial, author, NOON.timestamp() + days * DAY, text, reply_to, None, vectors, ids, codes)


def question(
    text: str,
    *,
    vector: Floats | None = None,
    tokens: tuple[int, ...] = (),
    people: Mapping[str, int] | None = None,
    asked_at: datetime = NOON,
) -> Query:
    """A question, embedded when a vector is given."""
    embedding = None
    if vector is not None:
        embedding = Embedding(np.atleast_2d(vector), np.array(tokens, np.uint16), states(*tokens))
    return Query(text, Scope(1, (7,)), asked_at, people or {}, embedding)

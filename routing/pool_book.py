"""What each answer chose from, in numbers: the columns of its first candidates, kept so that votes can teach the order.

A row holds serials and the columns of `routing.fusion.LEARNED` in half precision (about 2 KB, compressed), no word and
no embedding. It goes with the answer, with any message that it describes, and with the person who asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import zstandard
from numpy.typing import NDArray
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.ports import Database
from routing.fusion import LEARNED, LEARNED_VERSION
from routing.lessons import Pick, Shown
from routing.models import Vote
from routing.questions import Kind
from routing.tables import answers, citations, pools, votes

DEPTH: Final = 40
"""Candidates that are kept of an answer: what was shown and what might have been."""

_SOME: Final = 400  # keys of one statement
_KEEP: Final = insert(pools)


@dataclass(frozen=True, slots=True)
class KeptPool:
    """The first candidates of an answer, those shown first and in their order. x: (candidates, columns)."""

    kind: Kind
    serials: NDArray[np.int64]
    x: NDArray[np.float64]


class PoolBook:
    """Pools of all teams, by answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, serials: Sequence[int]) -> dict[int, Shown]:
        """The pools of some answers; those of another version of the columns, and those erased, are missing."""
        found: dict[int, Shown] = {}
        async with self._database.read() as conn:
            for start in range(0, len(serials), _SOME):
                some = pools.c.answer_serial.in_(serials[start : start + _SOME])
                query = select(pools).where(some, pools.c.version == LEARNED_VERSION)
                for row in await conn.execute(query):
                    found[row.answer_serial] = Shown(Kind(row.kind), _unpacked(row.x))
        return found

    async def picks(self, tenant: int, places: Mapping[str, int]) -> list[Pick]:
        """Standing picks of a team; ``places`` maps an emoji to the number of the citation (1 first).

        The pick of a citation that was erased is left out.
        """
        query = (
            select(votes, answers.c.asker_id, citations.c.rank)
            .join(answers, answers.c.serial == votes.c.answer_serial)
            .join(citations, citations.c.answer_serial == votes.c.answer_serial)
            .where(answers.c.tenant_id == tenant, votes.c.emoji.in_(places))
            .order_by(votes.c.answer_serial, votes.c.person_id, votes.c.emoji)
        )
        async with self._database.read() as conn:
            rows = (await conn.execute(query)).all()
        return [
            Pick(
                Vote(row.answer_serial, row.person_id, row.emoji, row.cast_at, is_asker=row.person_id == row.asker_id),
                row.rank - 1,
            )
            for row in rows
            if row.rank == places[row.emoji]
        ]


async def keep(conn: AsyncConnection, answer: int, pool: KeptPool) -> None:
    """Keeps the pool of an answer."""
    await conn.execute(_KEEP, {"answer_serial": answer, **_row(pool)})


async def erase_messages(conn: AsyncConnection, serials: Sequence[int]) -> None:
    """Pools that describe any of the messages go."""
    gone = np.array(serials, dtype=np.int64)
    query = select(pools.c.answer_serial, pools.c.serials)
    holding = [
        row.answer_serial
        for row in await conn.execute(query)
        if np.isin(np.frombuffer(row.serials, dtype=np.int64), gone).any()
    ]
    await erase_answers(conn, holding)


async def erase_answers(conn: AsyncConnection, serials: Sequence[int]) -> None:
    """The pools of these answers go."""
    for start in range(0, len(serials), _SOME):
        await conn.execute(delete(pools).where(pools.c.answer_serial.in_(serials[start : start + _SOME])))


def _row(pool: KeptPool) -> dict[str, Any]:
    packed = zstandard.ZstdCompressor().compress(pool.x.astype(np.float16).tobytes())
    serials = pool.serials.astype(np.int64).tobytes()
    return {"kind": pool.kind.value, "version": LEARNED_VERSION, "serials": serials, "x": packed}


def _unpacked(packed: bytes) -> NDArray[np.float64]:
    raw = zstandard.ZstdDecompressor().decompress(packed)
    return np.frombuffer(raw, dtype=np.float16).reshape(-1, len(LEARNED)).astype(np.float64)

"""From rows to the columns that a room's arrays are made of, by the hundred thousand or one at a time.

Texts stay where they are: what search needs of them stands beside their vectors. Rows are read by pages and turned into
arrays in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, func, or_, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory import lexicon
from memory.columns import AnyRow
from memory.embedding import unpack_vectors
from memory.growing import Ragged
from memory.lexicon import Words
from memory.ports import Database
from memory.records import ModelKey, version_of
from memory.room_rows import NO_CODES, NO_TOKENS, NO_VECTORS, NONE, RoomRows, digests
from memory.tables import embeddings, messages, tombstones

_SLICE = 400
_PAGE = 4096
_MICROSECONDS = 1_000_000

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a room since a version: rows new or changed, serials removed, and the version reached."""

    version: int
    rows: RoomRows
    removed: list[int]


async def changes(conn: AsyncConnection, room: int, since: int, model: ModelKey) -> Changes:
    """Everything of a room that changed after version ``since``, rows ordered by serial, vectors of ``model``.

    Texts are read only where nothing derived from them is kept yet.
    """
    version = await version_of(conn, room)
    if version == since:
        return Changes(version, RoomRows.of(()), [])
    gone = select(tombstones.c.serial).where(
        tombstones.c.room_id == room, tombstones.c.version > since, tombstones.c.serial.is_not(None)
    )
    removed = list((await conn.execute(gone)).scalars())
    return Changes(version, await _rows(conn, _changed(room, since), model), removed)


async def page(conn: AsyncConnection, room: int, since: int, after: int, model: ModelKey) -> RoomRows:
    """The next thousands of a room's messages behind a serial that changed after a version; empty when there are none.

    Ordered by serial, with vectors of ``model``.
    """
    behind = and_(_changed(room, since), messages.c.serial > after)
    query = select(messages.c.serial).where(behind).order_by(messages.c.serial).limit(_PAGE)
    some = list((await conn.execute(query)).scalars())
    if not some:
        return RoomRows.of(())
    return await _rows(conn, and_(behind, messages.c.serial <= some[-1]), model)


async def changed(conn: AsyncConnection, room: int, since: int, first: int, last: int) -> set[int]:
    """The serials between two, those included, of a room's messages that changed after a version."""
    query = select(messages.c.serial).where(_changed(room, since), messages.c.serial.between(first, last))
    return set((await conn.execute(query)).scalars())


async def rows_of(conn: AsyncConnection, room: int, serials: Sequence[int], model: ModelKey) -> RoomRows:
    """Some of a room's messages, at most some hundred; those that are gone are missing."""
    return await _rows(conn, and_(messages.c.room_id == room, messages.c.serial.in_(serials)), model)


async def _rows(conn: AsyncConnection, chosen: ColumnElement[bool], model: ModelKey) -> RoomRows:
    heads = await _in_parts(conn, _heads_query(chosen), _Heads.of)
    texts = await _in_parts(conn, _derived_query(chosen, model.id), lambda rows: _Derived.of(rows, model))
    found = await asyncio.to_thread(_matched, heads, texts)
    bare = found.serials[found.bare].tolist()
    unread = await asyncio.to_thread(Words.of, await _texts(conn, bare))
    return await asyncio.to_thread(found.rows, unread)


async def _in_parts(conn: AsyncConnection, query: Select[Any], read: Callable[[Sequence[AnyRow]], P]) -> list[P]:
    """Reads a long result by pages, each in a thread: a room must neither stand in memory twice nor stop the loop."""
    pages = (await conn.stream(query)).partitions(_PAGE)
    return [await asyncio.to_thread(read, page) async for page in pages]


def _changed(room: int, since: int) -> ColumnElement[bool]:
    return and_(messages.c.room_id == room, messages.c.version > since)


def _heads_query(chosen: ColumnElement[bool]) -> Select[Any]:
    parent = messages.alias("parent")
    return (
        select(
            messages.c.serial,
            messages.c.author_id,
            type_coerce(messages.c.sent_at, BigInteger),
            messages.c.session_id,
            messages.c.content_hash,
            parent.c.serial.label("parent_serial"),
        )
        .outerjoin(parent, and_(parent.c.room_id == messages.c.room_id, parent.c.external_id == messages.c.reply_to))
        .where(chosen)
        .order_by(messages.c.serial)
    )


def _derived_query(chosen: ColumnElement[bool], model: int) -> Select[Any]:
    """In the order of the hashes, which is that of the rows: random places would cost a page each."""
    wanted = select(messages.c.content_hash).where(chosen)
    kept = (embeddings.c.content_hash, embeddings.c.vectors, embeddings.c.token_ids, embeddings.c.codes)
    return select(*kept, embeddings.c.terms).where(
        embeddings.c.model_id == model, embeddings.c.content_hash.in_(wanted)
    )


@dataclass(frozen=True, slots=True)
class _Heads:
    """What is kept of some messages beside their texts."""

    serials: NDArray[np.int64]
    authors: NDArray[np.int64]
    sent_at: NDArray[np.float64]
    sessions: NDArray[np.int64]
    hashes: tuple[bytes, ...]
    replies: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[AnyRow]) -> _Heads:
        serials, authors, sent_at, sessions, hashes, replies = zip(*rows, strict=True)
        return cls(
            np.array(serials, np.int64),
            np.array(authors, np.int64),
            np.array(sent_at, np.int64) / _MICROSECONDS,
            _numbers(sessions),
            hashes,
            _numbers(replies),
        )


@dataclass(frozen=True, slots=True)
class _Derived:
    """What is kept of some texts. ``words`` are those of the texts with a place in ``worded`` (else -1)."""

    hashes: tuple[bytes, ...]
    vectors: Ragged
    tokens: Ragged
    codes: Ragged
    worded: NDArray[np.int64]
    words: Words

    @classmethod
    def of(cls, rows: Sequence[AnyRow], model: ModelKey) -> _Derived:
        hashes, vectors, tokens, codes, terms = zip(*rows, strict=True)
        width = model.state_dim // 8
        current = np.fromiter(map(lexicon.is_current, terms), np.bool_, len(terms))
        return cls(
            hashes=hashes,
            vectors=Ragged(unpack_vectors(b"".join(vectors), model.dim), _lengths(vectors, model.dim + 4)),
            tokens=Ragged(np.frombuffer(b"".join(tokens), "<u2").astype(np.uint16), _lengths(tokens, 2)),
            codes=Ragged(np.frombuffer(b"".join(codes), np.uint8).reshape(-1, width), _lengths(codes, width)),
            worded=np.where(current, np.cumsum(current) - 1, NONE),
            words=lexicon.unpack([one for one in terms if lexicon.is_current(one)]),
        )


@dataclass(frozen=True, slots=True)
class _Matched:
    """Messages with what is kept of their texts; ``bare`` are the places of those whose texts have to be read."""

    heads: Sequence[_Heads]
    texts: Sequence[_Derived]
    serials: NDArray[np.int64]
    place: NDArray[np.int64]  # (n,) of a message's text in ``texts``, -1 when it is not embedded yet
    worded: NDArray[np.int64]  # (n,) of its words in those of ``texts``, -1 when they have to be read
    bare: NDArray[np.int64]

    def rows(self, unread: Words) -> RoomRows:
        """All columns; ``unread`` are the words of the bare ones."""
        kept = [*(text.words for text in self.texts), unread]
        words = Words(
            np.concatenate([one.asks for one in kept]),
            np.concatenate([one.selves for one in kept]),
            Ragged.joined([one.terms for one in kept], np.zeros(0, np.uint32)),
        )
        at = self.worded.copy()
        at[self.bare] = len(words.asks) - len(self.bare) + np.arange(len(self.bare))
        return RoomRows(
            serials=self.serials,
            authors=_joined([one.authors for one in self.heads], np.int64),
            sent_at=_joined([one.sent_at for one in self.heads], np.float64),
            replies=_joined([one.replies for one in self.heads], np.int64),
            sessions=_joined([one.sessions for one in self.heads], np.int64),
            digests=digests(key for one in self.heads for key in one.hashes),
            words=words.take(at),
            vectors=Ragged.joined([one.vectors for one in self.texts], NO_VECTORS).take(self.place),
            tokens=Ragged.joined([one.tokens for one in self.texts], NO_TOKENS).take(self.place),
            codes=Ragged.joined([one.codes for one in self.texts], NO_CODES).take(self.place),
        )


def _matched(heads: Sequence[_Heads], texts: Sequence[_Derived]) -> _Matched:
    keys = [key for one in texts for key in one.hashes]
    places = dict(zip(keys, range(len(keys)), strict=True))
    hashes = [key for one in heads for key in one.hashes]
    place = np.fromiter((places.get(key, NONE) for key in hashes), np.int64, len(hashes))
    before = np.cumsum([0, *(len(one.words.asks) for one in texts)])
    worded = [np.where(one.worded >= 0, one.worded + start, NONE) for one, start in zip(texts, before, strict=False)]
    of_text = np.append(_joined(worded, np.int64), NONE)  # the last one is that of the place -1
    serials = _joined([one.serials for one in heads], np.int64)
    return _Matched(heads, texts, serials, place, of_text[place], np.flatnonzero(of_text[place] < 0))


def _joined(parts: Sequence[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(parts) if len(parts) else np.zeros(0, kind)


def _numbers(keys: Sequence[int | None]) -> NDArray[np.int64]:
    return np.array([NONE if key is None else key for key in keys], np.int64)


def _lengths(blobs: Sequence[bytes], size: int) -> NDArray[np.int64]:
    """How many records of so many bytes each blob holds."""
    return np.fromiter(map(len, blobs), np.int64, len(blobs)) // size


async def _texts(conn: AsyncConnection, serials: Sequence[int]) -> list[str]:
    """The texts of messages that are there, in order."""
    found: dict[int, str] = {}
    for start in range(0, len(serials), _SLICE):
        query = select(messages.c.serial, messages.c.text).where(messages.c.serial.in_(serials[start : start + _SLICE]))
        found |= {row.serial: row.text for row in await conn.execute(query)}
    return [found[serial] for serial in serials]


async def renew_terms(database: Database) -> int:
    """Writes the terms of texts that were embedded before terms were kept, or by another version of `memory.lexicon`.

    Gives the number of texts. Killed in between, the rest is read from the texts as before.
    """
    renewed, last = 0, b""
    while True:
        async with database.read() as conn:
            found = list(await conn.execute(_OLD, {"last": last}))
        if not found:
            return renewed
        packed = await asyncio.to_thread(lambda rows: [lexicon.pack(row.text) for row in rows], found)
        rows = [{"key": row.content_hash, "packed": terms} for row, terms in zip(found, packed, strict=True)]
        async with database.write() as conn:
            await conn.execute(_RENEW, rows)
        renewed, last = renewed + len(found), found[-1].content_hash


_OLD = (
    select(embeddings.c.content_hash, messages.c.text)
    .join(messages, messages.c.content_hash == embeddings.c.content_hash)
    .where(embeddings.c.content_hash > bindparam("last"))
    .where(or_(embeddings.c.terms.is_(None), func.substr(embeddings.c.terms, 1, 1) != bytes((lexicon.VERSION,))))
    .group_by(embeddings.c.content_hash, messages.c.text)
    .order_by(embeddings.c.content_hash)
    .limit(_SLICE)
)
_RENEW = update(embeddings).where(embeddings.c.content_hash == bindparam("key")).values(terms=bindparam("packed"))

"""Column types and naming that every table shares."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import zstandard
from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, MetaData, Row
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RAW, _ZSTD = b"\x00", b"\x01"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL has no way to write these
_WORTH_IT = 96  # bytes: a zstd frame costs about 13, so shorter texts only grow

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)

Key: TypeAlias = Integer | BigInteger
AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of any statement; its columns are read by name."""


def key_type() -> Key:
    """A 64-bit integer key; plain INTEGER on SQLite, where only that is the row id."""
    return BigInteger().with_variant(Integer(), "sqlite")


class Instant(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970 in UTC: 8 bytes, ordered, the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the base's signature
        """Datetime to microseconds. Raises ValueError for a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        return (value - EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base's signature
        """Microseconds to datetime."""
        return None if value is None else instant(value)


def instant(stored: int) -> datetime:
    """The datetime of an `Instant` that was read as a number."""
    return EPOCH + timedelta(microseconds=stored)


class CompressedText(TypeDecorator[str]):
    """Text as bytes: one marker byte, then UTF-8, as it is or in a zstd frame, whichever is shorter.

    Lone surrogates (seen in broken imports) survive by ``surrogatepass``; NUL characters too, which a PostgreSQL text
    column would refuse.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002 - the base's signature
        """Text to bytes."""
        return None if value is None else pack_text(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base's signature
        """Bytes to text."""
        return None if value is None else unpack_text(value)


def storable(text: str, length: int) -> str:
    """What a column of so many characters takes of a text: no NUL, no half of a surrogate pair, and not more."""
    return _UNSTORABLE.sub("", text)[:length]


class _Zstd(threading.local):
    """One compressor and one decompressor a thread: neither may be shared, and making one costs more than a message."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=3, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor()


_ZSTD_OF_THREAD = _Zstd()


def pack_text(text: str) -> bytes:
    """The stored form of a text."""
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) >= _WORTH_IT:
        packed = _ZSTD_OF_THREAD.compressor.compress(raw)
        if len(packed) < len(raw):
            return _ZSTD + packed
    return _RAW + raw


def unpack_text(stored: bytes) -> str:
    """The text of a stored form."""
    raw = stored[1:] if stored[:1] == _RAW else _ZSTD_OF_THREAD.decompressor.decompress(stored[1:])
    return raw.decode("utf-8", "surrogatepass")

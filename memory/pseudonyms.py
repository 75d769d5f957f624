"""What stands for people and entities in stores that shall not know their names.

A person is the number of a row in ``people``, a day is the day; anything else is a keyed hash (BLAKE2b, 80 bits) of its
key in its room, so that nobody who reads the store can guess a name and look whether it is there, nor see that two
rooms speak of the same. The secret lies in SQL, beside the names themselves.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from datetime import date
from typing import Final

from sqlalchemy import insert, select

from memory.models import EntityKind
from memory.ports import Clock, Database
from memory.tables import pseudonym_keys

_BYTES: Final = 10
_SEAL: Final = 16
_WORD: Final = 4
_DAY: Final = len("2026-05-12")
_MARK: Final = "x"  # no pseudonym looks like a day


class Pseudonyms:
    """Of one installation."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` has up to 64 bytes; another one makes other pseudonyms."""
        self._secret = secret
        self.installation = self._hash("installation", 4)
        """8 hexadecimal digits that tell this installation's data from another's on the same server."""

    def of(self, room: int, kind: EntityKind, key: str) -> str:
        """What stands for an entity of a room; the same for equal keys, whatever their kind, people apart."""
        if kind is EntityKind.PERSON or _is_day(key):
            return key
        return _MARK + self._hash(f"{room}\0{key}", _BYTES)

    def seal(self, data: bytes) -> bytes:
        """16 bytes that nobody without the secret can make of the data, nor guess the data from (keyed BLAKE2b)."""
        return hashlib.blake2b(data, key=self._secret, digest_size=_SEAL, person=b"seal").digest()

    def term(self, room: int, number: int) -> int:
        """32 bits that stand for a term in a room, of its number (`memory.lexicon`)."""
        return int.from_bytes(self._digest(b"term", room, number), "little")

    def mark(self, serial: int, digest: int, vectors: int) -> int:
        """31 bits that change with a message's text (`memory.room_rows.digests`) and with its number of vectors."""
        return int.from_bytes(self._digest(b"mark", serial, digest, vectors), "little") >> 1

    def _digest(self, purpose: bytes, *numbers: int) -> bytes:
        data = struct.pack(f"<{len(numbers)}q", *numbers)
        return hashlib.blake2b(data, key=self._secret, digest_size=_WORD, person=purpose).digest()

    def _hash(self, words: str, size: int) -> str:
        return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=size).hexdigest()


async def pseudonyms_of(database: Database, clock: Clock) -> Pseudonyms:
    """Those of this database; their secret is made when it is first asked for."""
    query = select(pseudonym_keys.c.secret).order_by(pseudonym_keys.c.id).limit(1)
    async with database.write(alone=True) as conn:  # two processes that start at once must have the same
        secret = (await conn.execute(query)).scalar()
        if secret is None:
            secret = secrets.token_bytes(32)
            await conn.execute(insert(pseudonym_keys).values(secret=secret, created_at=clock.now()))
    return Pseudonyms(secret)


def _is_day(key: str) -> bool:
    try:
        return len(key) == _DAY and date.fromisoformat(key).isoformat() == key
    except ValueError:
        return False

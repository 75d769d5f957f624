"""The owner of path values: one row a team in SQL, written whole.

A snapshot says which votes it was made of, so that whoever starts knows whether it still holds. It holds types of paths
and numbers; no name, no text and no id of a message.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import select

from memory.models import PathType
from memory.ports import Clock, Database
from memory.statements import put
from routing.paths.evidence import Tally, Units, Version
from routing.tables import learner_snapshots

log = structlog.get_logger()

LEARNER: Final = "paths"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counts, sums and weights, with the version of the votes that they are made of."""

    votes: Version
    tally: Mapping[str, Units]
    worth: Mapping[tuple[str, PathType], float]

    def to_bytes(self) -> bytes:
        """Compressed JSON."""
        content = {
            "format": FORMAT,
            "votes": self.votes,
            "tally": {text: list(counted) for text, counted in sorted(self.tally.items())},
            "worth": [[kind, list(path), value] for (kind, path), value in sorted(self.worth.items())],
        }
        return zlib.compress(json.dumps(content).encode())

    @classmethod
    def from_bytes(cls, content: bytes) -> Snapshot | None:
        """What `to_bytes` gave; None when it is damaged or of another format."""
        try:
            found: Any = json.loads(zlib.decompress(content))
            if found["format"] != FORMAT:
                return None
            cast, there = found["votes"]
            tally = {text: (int(total), int(count)) for text, (total, count) in found["tally"].items()}
            worth = {(kind, tuple(path)): float(value) for kind, path, value in found["worth"]}
        except (zlib.error, ValueError, KeyError, TypeError):
            return None
        return cls((cast, there), tally, worth)


class Snapshots:
    """Reads and writes the snapshots of path learning."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def read(self, tenant: int) -> Snapshot | None:
        """A team's snapshot; None without a usable one."""
        async with self._database.read() as conn:
            content = (await conn.execute(select(learner_snapshots.c.state).where(*_key(tenant)))).scalar()
        if content is None:
            return None
        found = Snapshot.from_bytes(content)
        if found is None:
            log.warning("paths.snapshot_unusable", tenant=tenant)
        return found

    async def keep(self, tenant: int, snapshot: Snapshot, newest: int) -> None:
        """Writes a team's snapshot; ``newest`` is the serial of the newest answer that it learned from."""
        values = {
            "posterior": Tally(dict(snapshot.tally)).digest,
            "answer_serial": newest,
            "taken_at": self._clock.now(),
            "state": snapshot.to_bytes(),
        }
        async with self._database.write() as conn:
            await put(conn, learner_snapshots, {"tenant_id": tenant, "learner": LEARNER}, values)


def _key(tenant: int) -> tuple[Any, ...]:
    return learner_snapshots.c.tenant_id == tenant, learner_snapshots.c.learner == LEARNER

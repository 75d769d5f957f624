"""The mapped file of one team's path values: a local cache of what SQL owns, quick to open and to look up.

``NAME.bin`` is a header of 64 bytes and a sorted array of (u64 key, f32 sum, f32 n), memory-mapped; a lookup is a
binary search. Changes gather in a dictionary beside it, and `Cache.compact` merges them: it writes a new file, syncs it
and renames it over the old one, so that whoever is killed in the middle leaves the old one. ``NAME.HASH.keys`` holds
the whole tuple behind each key; a merge checks that no two have one key.

The stamp in the header says which evidence the file holds. A compaction by another process changes it; then this
process's changes were counted from something else, and `compact` refuses: the caller writes its whole state.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory.errors import Refused, Unavailable
from routing.paths.abstract import key_of
from routing.paths.updates import added

RECORD: Final = np.dtype([("key", "<u8"), ("sum", "<f4"), ("n", "<f4")])
MAGIC: Final = b"weavpath"
FORMAT: Final = 1
STAMP: Final = 32
"""Longest stamp, in bytes; ASCII."""

_HEADER: Final = struct.Struct(f"<8sIIQ8s{STAMP}s")  # magic, format, CRC-32 of the records, count, side file, stamp
COMPACT_FROM: Final = 4096
"""Changed pairs after which the file is written anew."""

Counted = tuple[float, float]
"""Sum of rewards and their number, both weighted."""


@dataclass(slots=True)
class _Mapped:
    """The file as it is: a snapshot that stays readable when the file is replaced."""

    records: NDArray[np.void]
    stamp: bytes
    texts: dict[int, str]


@dataclass(slots=True)
class Cache:
    """One file, its changes, and ``problem``: in a sentence why what was there could not be used, or None."""

    path: Path
    problem: str | None
    _base: _Mapped
    _delta: dict[int, Counted] = field(default_factory=dict)
    _texts: dict[int, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Cache:
        """The file at a path ending in .bin; an empty one where there is none.

        A file that is damaged or of another format is set aside under a name ending in .aside; then the cache is empty
        and ``problem`` says so. Raises Unavailable when the folder cannot be read or written.
        """
        with _at_work(path, "read"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _lock(path):
                try:
                    return cls(path, None, _mapped(path))
                except _Damaged as damage:
                    aside = _set_aside(path)
                    problem = f"{path.name} {damage}: it was set aside as {aside.name} and is rebuilt from the votes"
                    return cls(path, problem, _nothing())

    @property
    def stamp(self) -> bytes:
        """What evidence the file holds; the changes beside it are not in it."""
        return self._base.stamp

    def get(self, key: int) -> Counted:
        """Sum and number of a pair; zeros for one that is not there."""
        more = self._delta.get(key, (0.0, 0.0))
        keys = self._base.records["key"]
        place = int(np.searchsorted(keys, np.uint64(key)))
        if place < len(keys) and keys[place] == np.uint64(key):
            record = self._base.records[place]
            return float(record["sum"]) + more[0], float(record["n"]) + more[1]
        return more

    def state(self) -> dict[str, Counted]:
        """Everything: the whole tuple of each pair to its sum and number; pairs without evidence left out."""
        texts = self._base.texts | self._texts
        found = {text: self.get(key) for key, text in texts.items()}
        return {text: counted for text, counted in sorted(found.items()) if counted != (0.0, 0.0)}

    def add(self, text: str, more: float, many: float) -> None:
        """Changes a pair's sum and number. Raises Refused when another pair has its key."""
        key = key_of(text)
        known = self._base.texts.get(key) or self._texts.setdefault(key, text)
        if known != text:
            raise Refused(f"two kinds of path have one key ({known!r} and {text!r}): please report this")
        before = self._delta.get(key, (0.0, 0.0))
        self._delta[key] = (before[0] + more, before[1] + many)

    @property
    def waiting(self) -> int:
        """How many pairs have changes that are not in the file."""
        return len(self._delta)

    def compact(self, stamp: bytes) -> bool:
        """Merges the changes into the file under a new stamp; False when another process has replaced it meanwhile.

        Raises Unavailable when it cannot be written.
        """
        with _at_work(self.path, "written"), _lock(self.path):
            if _stamp_of(self.path) != self._base.stamp:
                return False
            keys = np.array(sorted(self._delta), dtype=np.uint64)
            merged = np.zeros(len(np.union1d(self._base.records["key"], keys)), dtype=RECORD)
            merged["key"] = np.union1d(self._base.records["key"], keys)
            for part in (self._base.records, self._changes(keys)):
                places = np.searchsorted(merged["key"], part["key"]).astype(np.int64)
                sums, counts = (np.ascontiguousarray(merged[name]) for name in ("sum", "n"))
                added(sums, counts, places, np.ascontiguousarray(part["sum"]), np.ascontiguousarray(part["n"]))
                merged["sum"], merged["n"] = sums, counts
            stays = (merged["sum"] != 0) | (merged["n"] != 0)
            self._write(merged[stays], self._base.texts | self._texts, stamp)
        return True

    def replace(self, state: Mapping[str, Counted], stamp: bytes) -> None:
        """Writes a whole state, whatever was there. Raises Refused for a collision, Unavailable for a bad folder."""
        texts = {key_of(text): text for text in state}
        if len(texts) != len(state):
            raise Refused("two kinds of path have one key: please report this")
        rows = sorted((key, *state[text]) for key, text in texts.items())
        with _at_work(self.path, "written"), _lock(self.path):
            self._write(np.array(rows, dtype=RECORD), texts, stamp)

    def _changes(self, keys: NDArray[np.uint64]) -> NDArray[np.void]:
        return np.array([(key, *self._delta[key]) for key in keys.tolist()], dtype=RECORD)

    def _write(self, records: NDArray[np.void], texts: Mapping[int, str], stamp: bytes) -> None:
        """The side file first, then the file itself: whoever is killed in between leaves the old pair."""
        kept = {key: texts[key] for key in records["key"].tolist()}
        body = records.tobytes()
        side = "".join(f"{key:016x} {text}\n" for key, text in kept.items()).encode()
        name = struct.pack("<II", zlib.crc32(side), zlib.crc32(body))
        _synced(_side(self.path, name), side)
        header = _HEADER.pack(MAGIC, FORMAT, zlib.crc32(body), len(records), name, stamp.ljust(STAMP, b"\0"))
        fresh = self.path.with_suffix(".new")
        _synced(fresh, header + body)
        fresh.replace(self.path)
        _sync_folder(self.path.parent)
        for old in self.path.parent.glob(f"{self.path.stem}.*.keys"):
            if old != _side(self.path, name):
                old.unlink(missing_ok=True)
        self._base, self._delta, self._texts = _mapped(self.path), {}, {}


class _Damaged(Exception):
    """The file cannot be used; the message completes a sentence."""


def _nothing() -> _Mapped:
    return _Mapped(np.zeros(0, dtype=RECORD), b"", {})


def _mapped(path: Path) -> _Mapped:
    """The file, checked. Raises _Damaged."""
    if not path.exists():
        return _nothing()
    crc, count, name, stamp = _header(path)
    if path.stat().st_size != _HEADER.size + count * RECORD.itemsize:
        raise _Damaged("is cut short or has grown")
    if not count:
        return _Mapped(np.zeros(0, dtype=RECORD), stamp, {})
    records = np.memmap(path, dtype=RECORD, mode="r", offset=_HEADER.size, shape=(count,))
    if zlib.crc32(records.tobytes()) != crc:
        raise _Damaged("is damaged")
    if (records["key"][1:] <= records["key"][:-1]).any():
        raise _Damaged("is not in order")
    return _Mapped(records, stamp, _texts(path, name, records["key"]))


def _header(path: Path) -> tuple[int, int, bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or head[: len(MAGIC)] != MAGIC:
        raise _Damaged("is not a file of path values")
    _, version, crc, count, name, stamp = _HEADER.unpack(head)
    if version != FORMAT:
        raise _Damaged(f"is of format {version} and this version reads {FORMAT}")
    return crc, count, name, stamp.rstrip(b"\0")


def _stamp_of(path: Path) -> bytes:
    try:
        return _header(path)[3] if path.exists() else b""
    except _Damaged:
        return b"damaged"


def _texts(path: Path, name: bytes, keys: NDArray[np.uint64]) -> dict[int, str]:
    try:
        content = _side(path, name).read_bytes()
    except FileNotFoundError:
        raise _Damaged("has lost the file of its keys") from None
    if struct.pack("<I", zlib.crc32(content)) != name[:4]:
        raise _Damaged("has a damaged file of keys")
    lines = (line.partition(" ") for line in content.decode().splitlines())
    texts = {int(key, 16): text for key, _, text in lines}
    if list(texts) != keys.tolist():
        raise _Damaged("does not fit the file of its keys")
    return texts


def _side(path: Path, name: bytes) -> Path:
    return path.with_name(f"{path.stem}.{name.hex()}.keys")


def _set_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_suffix(f".{number}.aside")).exists():
        number += 1
    path.rename(aside)
    return aside


def _synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One process at a time; another waits."""
    with path.with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _at_work(path: Path, what: str) -> Iterator[None]:
    """Turns what the file system says into one sentence."""
    try:
        yield
    except OSError as exc:
        raise Unavailable(f"{path.name} cannot be {what} ({exc.strerror}): check the data folder") from exc

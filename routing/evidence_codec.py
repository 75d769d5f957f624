"""Findings as bytes, for a cache that others may read: serials, scores, features and our own phrases, no other words.

A word of the question that a phrase quotes is written as its place in the question. Bytes begin with their version and
a seal; what was not written by this installation for this very key, or is of another version, reads as nothing.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import zstandard

from memory.models import Hit
from routing.confidence import Confidence
from routing.evidence import Findings
from routing.finding import RANKED
from routing.fusion import LEARNED, LEARNED_VERSION
from routing.patterns.trace import Trace
from routing.pool_book import DEPTH, KeptPool
from routing.questions import Kind

VERSION: Final = 2
MOST: Final = 1 << 18
"""Bytes of findings, packed."""

_UNPACKED: Final = 1 << 22
_SEAL: Final = 16
_HEAD: Final = bytes([VERSION, LEARNED_VERSION % 256])

Seal: TypeAlias = Callable[[bytes], bytes]


def pack(findings: Findings, question: str, key: str, seal: Seal) -> bytes | None:
    """The bytes; None when they would be too many, or would have to quote what is not in the question."""
    reasons = [_hidden(reason, question) for reason in findings.confidence.reasons]
    if [_shown(reason, question) for reason in reasons] != list(findings.confidence.reasons):
        return None
    names = sorted({name for hit in findings.hits for name in hit.features})
    kept = {
        "ranked": findings.ranked,
        "names": names,
        "hits": [
            [hit.serial, hit.room, hit.score, hit.why, [hit.features.get(name) for name in names]]
            for hit in findings.hits
        ],
        "confidence": [findings.confidence.value, reasons, findings.confidence.abstains],
        "missing": findings.missing,
        "pool": None if findings.pool is None else _pool(findings.pool),
        "traces": [trace.compact() for trace in findings.traces],
        "whole": findings.whole,
        "read": list(findings.read.items()),
        "imprint": seal(findings.imprint).hex(),
    }
    body = zstandard.ZstdCompressor().compress(json.dumps(kept, separators=(",", ":")).encode())
    whole = _HEAD + seal(_HEAD + key.encode() + body) + body
    return whole if len(whole) <= MOST else None


def unpack(data: bytes, question: str, key: str, rooms: Collection[int], seal: Seal) -> Findings | None:
    """The findings; None when the bytes are not `pack`'s, for this key, of this version, from these rooms.

    Their imprint is sealed.
    """
    start = len(_HEAD) + _SEAL
    body = data[start:]
    if (
        not start < len(data) <= MOST
        or not data.startswith(_HEAD)
        or data[len(_HEAD) : start] != seal(_HEAD + key.encode() + body)
    ):
        return None
    try:
        kept = json.loads(zstandard.ZstdDecompressor().decompress(body, max_output_size=_UNPACKED))
        found = _read(kept, question)
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, IndexError):
        return None  # sealed by us, so of a version that forgot to say so
    return found if all(hit.room in rooms for hit in found.hits) and len(found.ranked) <= RANKED else None


def _read(kept: dict[str, Any], question: str) -> Findings:
    names: Sequence[str] = kept["names"]
    value, reasons, abstains = kept["confidence"]
    return Findings(
        ranked=tuple(map(int, kept["ranked"])),
        hits=tuple(
            Hit(
                int(serial),
                int(room),
                float(score),
                {name: float(x) for name, x in zip(names, row, strict=True) if x is not None},
                tuple(map(str, why)),
            )
            for serial, room, score, why, row in kept["hits"]
        ),
        confidence=Confidence(float(value), tuple(_shown(reason, question) for reason in reasons), bool(abstains)),
        missing=tuple(map(str, kept["missing"])),
        pool=None if kept["pool"] is None else _pool_of(*kept["pool"]),
        traces=tuple(Trace.read(trace) for trace in kept["traces"]),
        whole=bool(kept["whole"]),
        read={int(serial): int(revision) for serial, revision in kept["read"]},
        imprint=bytes.fromhex(kept["imprint"]),
    )


def _pool(pool: KeptPool) -> list[Any]:
    """In half precision, as it is kept with an answer."""
    x = base64.b64encode(pool.x.astype(np.float16).tobytes()).decode()
    return [pool.kind.value, pool.serials.tolist(), x]


def _pool_of(kind: str, serials: Sequence[int], x: str) -> KeptPool:
    values = np.frombuffer(base64.b64decode(x), dtype=np.float16).reshape(len(serials), len(LEARNED))
    if len(serials) > DEPTH:
        raise ValueError("a pool is longer than any")
    return KeptPool(Kind(kind), np.array(serials, dtype=np.int64), values.astype(np.float64))


_QUOTED: Final = re.compile("\u201c(.+?)\u201d")
_PLACE: Final = re.compile("\u201c(\\d+):(\\d+):([01])\u201d")


def _hidden(reason: str, question: str) -> str:
    """With the places of the words that it quotes; a word that was put in lower case is marked."""

    def place(found: re.Match[str]) -> str:
        word = found.group(1)
        at = question.find(word)
        lower = at < 0
        if lower:
            at = question.lower().find(word)
        return f"\u201c{at}:{at + len(word)}:{lower:d}\u201d" if at >= 0 else "\u201c\u201d"

    return _QUOTED.sub(place, reason)


def _shown(reason: str, question: str) -> str:
    def word(found: re.Match[str]) -> str:
        said = question[int(found.group(1)) : int(found.group(2))]
        return f"\u201c{said.lower() if found.group(3) == '1' else said}\u201d"

    return _PLACE.sub(word, reason)

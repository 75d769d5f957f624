"""Embedding on behalf of many callers, and the small forms in which embeddings are kept.

``BatchingEmbedder`` stands in front of an embedder: callers that come while it computes share the next batch, texts
that were embedded lately or are being embedded now are not computed twice.

The stored forms: a vector is one float32 scale and int8 codes (``pack_vectors``; cosine to the original ≥ 0.9999), a
token state one bit a dimension, its sign (``pack_states``).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from memory.models import Embedding, Floats
from memory.ports import Embedder

HASH_BYTES = 16

_CODE = 127.0  # the largest int8; -128 stays unused, so that a vector and its negative have the same codes


def content_hash(text: str) -> bytes:
    """16 bytes that stand for a text and nothing else (BLAKE2b); what embeddings are keyed by."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()


def pack_vectors(vectors: Floats) -> bytes:
    """(n, dim) float32 -> n records of one little-endian float32 scale and dim int8 codes: x ≈ scale · code."""
    scale = np.abs(vectors).max(1, initial=0.0) / _CODE
    records = np.empty(len(vectors), _record(vectors.shape[1]))
    records["scale"] = scale
    records["codes"] = np.rint(vectors / np.where(scale > 0, scale, 1.0)[:, None])
    return records.tobytes()


def unpack_codes(blob: bytes, dim: int) -> tuple[NDArray[np.int8], Floats]:
    """Codes (n, dim) and scales (n,) of records that stand one after the other. Raises ValueError on a torn blob."""
    records = np.frombuffer(blob, _record(dim))
    return np.ascontiguousarray(records["codes"]), np.ascontiguousarray(records["scale"], np.float32)


def unpack_vectors(blob: bytes, dim: int) -> Floats:
    """The vectors (n, dim) of records that stand one after the other, to within half a scale in each dimension."""
    codes, scales = unpack_codes(blob, dim)
    return codes.astype(np.float32) * scales[:, None]


def pack_states(states: Floats) -> NDArray[np.uint8]:
    """(tokens, state_dim) -> (tokens, state_dim / 8): 1 where positive, the first dimension in the highest bit."""
    return np.packbits(states > 0, axis=1)


def unpack_states(codes: NDArray[np.uint8]) -> Floats:
    """(tokens, bytes) -> (tokens, 8 · bytes): ± 1 / √state_dim, so that each row has unit length."""
    signs = np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1
    return signs / np.float32(np.sqrt(max(1, signs.shape[1])))


def _record(dim: int) -> np.dtype[np.void]:
    return np.dtype([("scale", "<f4"), ("codes", "i1", (dim,))])


class EmbeddingCache:
    """The embeddings used last, by content hash, within a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[bytes, Embedding] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes of the arrays that are kept."""
        return self._size

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Embedding | None:
        """What is kept of a text, which is now the one used last."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: bytes, embedding: Embedding) -> None:
        """Keep one, and let go of those unused longest; one that is larger than the limit is not kept at all."""
        self.drop((key,))
        if _bytes(embedding) > self._limit:
            return
        # Copies: rows of a batch's arrays would keep the whole batch alive.
        own = Embedding(embedding.vectors.copy(), embedding.token_ids.copy(), embedding.states.copy())
        for array in (own.vectors, own.token_ids, own.states):
            array.flags.writeable = False  # it is handed to many
        self._kept[key] = own
        self._size += _bytes(own)
        while self._size > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self._size -= _bytes(oldest)

    def drop(self, keys: Iterable[bytes]) -> None:
        """Let go of some; unknown ones are no matter."""
        for key in keys:
            gone = self._kept.pop(key, None)
            if gone is not None:
                self._size -= _bytes(gone)


def _bytes(embedding: Embedding) -> int:
    return embedding.vectors.nbytes + embedding.token_ids.nbytes + embedding.states.nbytes


@dataclass(slots=True, eq=False)
class _Flight:
    """A text on its way through the model; ``waiting`` counts the calls that want it, ``taken`` that it is queued."""

    key: bytes
    text: str
    arrival: asyncio.Future[Embedding] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    waiting: int = 0
    taken: bool = False

    def land(self, task: asyncio.Task[list[Embedding]], place: int) -> None:
        """Hand what became of the batch to whoever waits."""
        if task.cancelled():
            self.arrival.cancel()
        elif (error := task.exception()) is not None:
            self.arrival.set_exception(error)
            self.arrival.exception()  # seen: a call that was cancelled meanwhile no longer asks
        else:
            self.arrival.set_result(task.result()[place])


class BatchingEmbedder:
    """An embedder whose concurrent callers share batches.

    While fewer than ``lanes`` batches run, a call starts at once with whatever else came in the same turn of the event
    loop; otherwise texts gather until a lane is free, so that batches grow with the load and an idle machine adds no
    delay. A call of ``alone`` texts or more is a good batch by itself: it waits for no lane, and an import does not
    push the questions out of the cache.

    A batch that fails fails the calls that had a text in it, and no other. A call that is cancelled takes back those of
    its texts that no other call wants.
    """

    def __init__(
        self,
        inner: Embedder,
        *,
        lanes: int = 2,
        batch: int = 128,
        alone: int = 64,
        cache_bytes: int = 32 << 20,
    ) -> None:
        self._inner = inner
        self._lanes = lanes
        self._batch = batch
        self._alone = alone
        self._cache = EmbeddingCache(cache_bytes)
        self._flights: dict[bytes, _Flight] = {}
        self._queue: list[_Flight] = []
        self._running: set[asyncio.Task[list[Embedding]]] = set()
        self._busy = 0
        self._scheduled = False

    @property
    def model(self) -> str:
        """See the port."""
        return self._inner.model

    @property
    def dim(self) -> int:
        """See the port."""
        return self._inner.dim

    @property
    def state_dim(self) -> int:
        """See the port."""
        return self._inner.state_dim

    def count_tokens(self, text: str) -> int:
        """See the port."""
        return self._inner.count_tokens(text)

    def words(self, token_ids: Sequence[int]) -> list[str]:
        """See the port."""
        return self._inner.words(token_ids)

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """See the port. The arrays may be shared with other callers: read them, do not write to them."""
        by_key = {content_hash(text): text for text in texts}
        found = {key: cached for key in by_key if (cached := self._cache.get(key)) is not None}
        found |= await self._arrivals([self._board(key, text) for key, text in by_key.items() if key not in found])
        return [found[content_hash(text)] for text in texts]

    def forget(self, hashes: Iterable[bytes]) -> None:
        """Drop what is cached of these texts; one that is being computed reaches its callers and is not kept."""
        hashes = list(hashes)
        self._cache.drop(hashes)
        for key in hashes:
            self._flights.pop(key, None)

    async def drop(self, room: int, serials: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Dropper: see ``memory.erasure``."""
        del room, serials
        self.forget(hashes)

    async def drop_person(self, person: int) -> None:
        """Dropper: nothing here is about people."""

    def _board(self, key: bytes, text: str) -> _Flight:
        """The flight that carries this text already, or a new one that has not been given to a batch."""
        return self._flights.setdefault(key, _Flight(key, text))

    async def _arrivals(self, flights: list[_Flight]) -> dict[bytes, Embedding]:
        if not flights:
            return {}
        fresh = [flight for flight in flights if not flight.taken]
        for flight in flights:
            flight.taken = True
            flight.waiting += 1
        self._take(fresh)
        try:
            await asyncio.wait([flight.arrival for flight in flights])
        finally:
            for flight in flights:
                flight.waiting -= 1
        return {flight.key: flight.arrival.result() for flight in flights}

    def _take(self, fresh: list[_Flight]) -> None:
        if len(fresh) >= self._alone:
            self._start(fresh, bulk=True)
        elif fresh:
            self._queue += fresh
            self._schedule()

    def _schedule(self) -> None:
        """Look at the queue in the next turn of the loop, when all callers of this turn have joined it."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._depart)

    def _depart(self) -> None:
        self._scheduled = False
        for flight in self._queue:
            if not flight.waiting and self._carries(flight):  # every call that wanted it was cancelled
                del self._flights[flight.key]
        self._queue = [flight for flight in self._queue if flight.waiting]
        while self._queue and self._busy < self._lanes:
            batch, self._queue = self._queue[: self._batch], self._queue[self._batch :]
            self._busy += 1
            self._start(batch)

    def _start(self, batch: list[_Flight], *, bulk: bool = False) -> None:
        task = asyncio.get_running_loop().create_task(self._inner.embed([flight.text for flight in batch]))
        self._running.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(partial(self._arrive, batch, bulk=bulk))

    def _arrive(self, batch: list[_Flight], task: asyncio.Task[list[Embedding]], *, bulk: bool) -> None:
        self._running.discard(task)
        self._busy -= not bulk
        for i, flight in enumerate(batch):
            flight.land(task, i)
            current = self._flights.pop(flight.key, None) if self._carries(flight) else None
            if current is not None and not bulk and not task.cancelled() and task.exception() is None:
                self._cache.put(flight.key, task.result()[i])
        if self._queue:
            self._schedule()

    def _carries(self, flight: _Flight) -> bool:
        """False once the text was forgotten on its way, also when it has been asked for again since."""
        return self._flights.get(flight.key) is flight

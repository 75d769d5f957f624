"""Embeddings from all-MiniLM-L6-v2, read from this machine alone (``model_files`` says where it is looked for).

One forward pass gives the vector of a text and the states of its tokens. Each processor core has a worker thread of its
own that computes whole batches: two workers of one thread are faster than one of two threads, and do not stall when the
event loop needs a core. Short calls overtake long ones, so that a question does not wait for an import.

Texts over 254 tokens are cut into chunks, one vector each, the first 64 of them: what lies behind is found by its words
alone. ``token_states.npz`` holds the centre and the axes of the token states; ``benchmarks/fit_token_states.py`` says
what they were fitted on and makes them again.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from memory.adapters.model_files import MINILM, ModelSpec, find_model, verify_model
from memory.adapters.probes import PROBES
from memory.adapters.word_pieces import MAX_CHARACTERS, WordPieces
from memory.adapters.workers import Workers
from memory.errors import ModelMismatch, Unavailable
from memory.models import Embedding, Floats

if TYPE_CHECKING:
    from memory.adapters.bert import BertEncoder, Projection

T = TypeVar("T")

STATES = Path(__file__).with_name("token_states.npz")

_SECONDS_PER_TOKEN = 5e-5  # of one core; these two only order the jobs
_SECONDS_PER_TEXT = 5e-5
_LARGE, _BULK = 0.5, 2.0  # calls of more seconds than the first count as the second: of those, the first come is first
_CPU_BATCH = 768  # tokens, 40 ms: larger ones are no faster, and a question would wait longer for the next
_BATCHES = 8  # for each worker, where the call is large enough: so that all end together
_CUDA_BATCH = 65_536
_LEAST_BATCH = 192  # below it, a batch costs more than it shares


@dataclass(frozen=True, slots=True)
class _Model:
    """What loading gives."""

    encoder: BertEncoder
    project: Projection


@dataclass(frozen=True, slots=True)
class _Call:
    """The chunks of one call, and the rows that its batches fill.

    ``starts`` is where each chunk's tokens begin in ``token_ids`` and ``states``; ``ends`` the number of chunks up to
    and with each text.
    """

    chunks: list[NDArray[np.int64]]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    token_ids: NDArray[np.uint16]
    vectors: Floats
    states: Floats


class SentenceTransformerEmbedder:
    """The model on this machine's processor, or on CUDA when there is one.

    The constructor does nothing that takes time: the tokenizer is read when it is first needed, the model by ``load``
    or the first ``embed``. A load that failed is tried again by the next call.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        spec: ModelSpec = MINILM,
        states: Path = STATES,
        device: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._configured = folder
        self._spec = spec
        self._states = states
        self._device = device
        self._threads = threads or _cores()
        self._lock = threading.Lock()
        self._loading: Future[_Model] | None = None
        self._workers = Workers(self._threads, name="embed")

    @property
    def model(self) -> str:
        """Name, revision of the weights, dimensions, revision of the token states."""
        return self._identity

    @property
    def dim(self) -> int:
        """384 for MiniLM."""
        return self._spec.dim

    @property
    def state_dim(self) -> int:
        """96 as shipped."""
        axes = self._axes[1]
        return len(axes.T)

    async def load(self) -> None:
        """Read the model now. Raises Unavailable when it is missing, ModelMismatch when it is not the right one."""
        await self._loaded()

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """See the port. At most the first 64 chunks (about 16,000 tokens) of a text are embedded."""
        if not texts:
            return []
        model = await self._loaded()
        call = await self._run(partial(self._cut, texts), len(texts) * _SECONDS_PER_TEXT)
        seconds = len(call.token_ids) * _SECONDS_PER_TOKEN
        seconds = seconds if seconds < _LARGE else _BULK
        jobs = [partial(self._compute, model, call, rows) for rows in self._batches(call, model)]
        await asyncio.gather(*(self._run(job, seconds) for job in jobs))
        return _embeddings(call)

    def count_tokens(self, text: str) -> int:
        """See the port; about a million tokens a second."""
        return self._pieces.count(text)

    def count_tokens_each(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, on all cores."""
        return [len(ids) for ids in self._pieces.ids(texts)]

    def words(self, token_ids: Sequence[int]) -> list[str]:
        """See the port."""
        return self._pieces.words(token_ids)

    async def close(self) -> None:
        """Give up what has not begun and end the threads."""
        await asyncio.to_thread(self._workers.close)

    async def _loaded(self) -> _Model:
        with self._lock:
            if self._loading is None or _failed(self._loading):
                self._loading = self._submit(self._load, 0.0)
            loading = self._loading
        return await asyncio.shield(asyncio.wrap_future(loading))

    def _submit(self, job: Callable[[], T], seconds: float) -> Future[T]:
        try:
            return self._workers.submit(job, seconds=seconds)
        except RuntimeError as error:
            raise Unavailable("The embedder was closed: start the program again.") from error

    async def _run(self, job: Callable[[], T], seconds: float) -> T:
        try:
            return await asyncio.wrap_future(self._submit(job, seconds))
        except RuntimeError as error:  # how torch reports a lack of memory or a lost device
            raise Unavailable(f"The embedding model cannot run now ({error}): free memory and try again.") from error

    def _load(self) -> _Model:
        verify_model(self._spec, self._folder)
        try:
            from memory.adapters.bert import BertEncoder, Projection  # noqa: PLC0415 - it imports torch: 1 s
        except ImportError as error:
            raise Unavailable("torch cannot be imported: run `make setup`.") from error
        probes = sorted((self._pieces.chunks(ids)[0] for ids in self._pieces.ids(PROBES)), key=len)
        batches = [self._pieces.batch(some) for some in _shared(probes)]
        encoder = BertEncoder.load(self._folder, batches, device=self._device)
        return _Model(encoder, Projection(*self._axes, encoder))

    def _cut(self, texts: Sequence[str]) -> _Call:
        chunks: list[NDArray[np.int64]] = []
        ends = np.zeros(len(texts), np.int64)
        for i, ids in enumerate(self._pieces.ids([text[:MAX_CHARACTERS] for text in texts])):
            chunks += self._pieces.chunks(ids)
            ends[i] = len(chunks)
        lengths = np.array([len(chunk) for chunk in chunks], np.int64)
        tokens = int(lengths.sum())
        return _Call(
            chunks=chunks,
            starts=np.cumsum(lengths) - lengths,
            ends=ends,
            token_ids=np.concatenate(chunks).astype(np.uint16) if chunks else np.empty(0, np.uint16),
            vectors=np.empty((len(chunks), self.dim), np.float32),
            states=np.empty((tokens, self.state_dim), np.float32),
        )

    def _batches(self, call: _Call, model: _Model) -> list[NDArray[np.int64]]:
        """Chunks by length, cut where the padded batch would pass the budget; longest first, so that ends meet."""
        share = len(call.token_ids) // (_BATCHES * self._threads)
        budget = min(_CPU_BATCH, max(_LEAST_BATCH, share)) if model.encoder.device == "cpu" else _CUDA_BATCH
        lengths = np.array([len(chunk) + 2 for chunk in call.chunks], np.int64)
        order = np.argsort(-lengths, kind="stable")
        batches: list[NDArray[np.int64]] = []
        while len(order):
            fits = max(1, budget // int(lengths[order[0]]))
            batches.append(order[:fits])
            order = order[fits:]
        return batches

    def _compute(self, model: _Model, call: _Call, rows: NDArray[np.int64]) -> None:
        batch = self._pieces.batch([call.chunks[row] for row in rows])
        hidden, vectors = model.encoder.encode(batch)
        call.vectors[rows] = vectors
        targets = [np.arange(call.starts[row], call.starts[row] + len(call.chunks[row])) for row in rows]
        call.states[np.concatenate(targets)] = model.project(hidden, batch.content_rows())

    @cached_property
    def _identity(self) -> str:
        states = hashlib.blake2b(self._states.read_bytes(), digest_size=4).hexdigest()
        return f"{self._spec.name}@{self._spec.sha256[:12]}/{self.dim}+{self.state_dim}@{states}"

    @cached_property
    def _folder(self) -> Path:
        return find_model(self._spec, self._configured)

    @cached_property
    def _pieces(self) -> WordPieces:
        return WordPieces(self._folder)

    @cached_property
    def _axes(self) -> tuple[Floats, Floats]:
        """Centre (dim,) and axes (dim, state_dim)."""
        with np.load(self._states) as file:
            centre, axes = file["centre"].astype(np.float32), file["axes"].astype(np.float32)
        if len(centre) != self.dim:
            raise ModelMismatch(
                f"{self._states} was fitted on {len(centre)} dimensions, {self._spec.name} has {self.dim}."
            )
        return centre, axes


def _failed(loading: Future[_Model]) -> bool:
    return loading.cancelled() or (loading.done() and loading.exception() is not None)


def _shared(chunks: list[NDArray[np.int64]]) -> Iterator[list[NDArray[np.int64]]]:
    """Chunks in order of length, some at a time, the padding of which is bearable."""
    for _, some in groupby(chunks, key=lambda chunk: (len(chunk) + 2).bit_length()):
        yield list(some)


def _cores() -> int:
    """Those that this process may use; where the system does not say, all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _embeddings(call: _Call) -> list[Embedding]:
    """Each text's rows; a text of no token gets one zero vector."""
    nothing = np.zeros((1, call.vectors.shape[1]), np.float32)
    found: list[Embedding] = []
    chunk = token = 0
    for end in call.ends.tolist():
        after = int(call.starts[end]) if end < len(call.chunks) else len(call.token_ids)
        vectors = call.vectors[chunk:end] if end > chunk else nothing.copy()
        found.append(Embedding(vectors, call.token_ids[token:after], call.states[token:after]))
        chunk, token = end, after
    return found

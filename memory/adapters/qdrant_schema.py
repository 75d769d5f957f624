"""How a collection on Qdrant is made, and what of it is looked at before it is used.

::

    collection  weavebot_INSTALLATION_NUMBER, the one in use also by its alias weavebot_INSTALLATION
    metadata    {model, dim, distance, layout}
    point       a message: its serial; dense: a vector a chunk, words: its terms; payload {room, tenant, mark}
    point       a room: a UUID of its number; payload {marks: room, version}
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from qdrant_client.http import models

Quantization: TypeAlias = Literal["scalar", "binary", "none"]

LAYOUT: Final = 1
"""Raised when points of an earlier version cannot be used any more."""

DENSE: Final = "dense"
WORDS: Final = "words"
ROOM: Final = "room"
TENANT: Final = "tenant"
MARK: Final = "mark"
MARKS: Final = "marks"
VERSION: Final = "version"

INDEXED: Final = (ROOM, TENANT)
"""Payload by which points are looked up and lie together on the disk."""

_LINKS: Final = 16  # of a message in the graph of its room; there is no graph over rooms
_OVERSAMPLING: Final[dict[str, float]] = {"scalar": 2.0, "binary": 4.0}
_DELETED: Final = 0.05  # of a segment, after which it is written anew; the rest is what a disk still holds
_SMALLEST: Final = 100  # the least that the server takes


def metadata_of(model: str, dim: int) -> dict[str, Any]:
    """What a collection is made for."""
    return {"model": model, "dim": dim, "distance": models.Distance.COSINE.value, "layout": LAYOUT}


def created(model: str, dim: int, quantization: Quantization) -> dict[str, Any]:
    """The arguments that make a collection.

    Searches are within one room, so there is a graph for each and none over all. Originals stay on the disk for
    rescoring, what is searched (their quantized form) in memory.
    """
    return {
        "vectors_config": {
            DENSE: models.VectorParams(
                size=dim,
                distance=models.Distance.COSINE,
                datatype=models.Datatype.FLOAT16,
                on_disk=quantization != "none",
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            )
        },
        "sparse_vectors_config": {WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        "hnsw_config": models.HnswConfigDiff(m=0, payload_m=_LINKS),
        "optimizers_config": models.OptimizersConfigDiff(
            deleted_threshold=_DELETED, vacuum_min_vector_number=_SMALLEST
        ),
        "quantization_config": _quantized(quantization),
        "metadata": metadata_of(model, dim),
    }


def _quantized(how: Quantization) -> models.QuantizationConfig | None:
    if how == "scalar":
        config = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        return models.ScalarQuantization(scalar=config)
    if how == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
    return None


def searched(how: Quantization, limit: int) -> models.SearchParams:
    """How the graph is walked: more is looked at than is wanted, and that is scored by the originals."""
    quantization = None
    if how != "none":
        quantization = models.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING[how])
    return models.SearchParams(hnsw_ef=2 * limit, quantization=quantization)


def within(room: int) -> models.Filter:
    """The messages of a room."""
    return models.Filter(must=[models.FieldCondition(key=ROOM, match=models.MatchValue(value=str(room)))])


def misfit(info: models.CollectionInfo, model: str, dim: int) -> str | None:
    """What a collection was made for, in words, when that is not this model; None when it fits."""
    wanted, made = metadata_of(model, dim), info.config.metadata or {}
    vectors = info.config.params.vectors
    dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
    fits = dense is not None and dense.size == dim and dense.distance == models.Distance.COSINE
    if fits and made == wanted:
        return None
    if made.get("layout", LAYOUT) != LAYOUT:
        return "another version of Weavebot"
    size = f"{dense.size} numbers by {dense.distance.value}" if dense is not None else "no vectors"
    return f"{made.get('model', 'an unknown model')} ({size})"

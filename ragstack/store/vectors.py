"""The only module that knows FAISS: making, saving, loading and searching one immutable index segment.

A segment maps chunk ids to L2-normalised vectors and ranks by inner product. Segments are never changed after
they were made; search parameters are built per call, because FAISS swaps the selector inside shared ones.
Index files are only read after the caller has checked their size and sha256, and with a limit on what they
may claim to hold.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragstack.records import FloatArray, IntArray

VECTOR_TYPE = np.dtype("<f4")


def to_bytes(vector: FloatArray) -> bytes:
    """A vector as the store keeps it: little-endian float32."""
    return np.ascontiguousarray(vector, dtype=VECTOR_TYPE).tobytes()


def from_bytes(rows: Sequence[bytes], dimension: int) -> FloatArray:
    """Stored vectors as one array of shape (len(rows), dimension); ValueError on a wrong length."""
    flat = np.frombuffer(b"".join(rows), dtype=VECTOR_TYPE)
    return flat.reshape(len(rows), dimension).astype(np.float32, copy=False)


@functools.cache
def _faiss() -> Any:
    import faiss

    return faiss


@dataclass(frozen=True, slots=True)
class VectorSegment:
    """An immutable FAISS index over `ids` (sorted chunk ids)."""

    index: Any
    ids: IntArray
    kind: str

    @property
    def count(self) -> int:
        """Number of vectors held, dead ones included."""
        return len(self.ids)

    def search(
        self, vector: FloatArray, limit: int, *, only: IntArray | None, without: IntArray | None
    ) -> list[tuple[int, float]]:
        """(chunk id, inner product) of the nearest, best first; `only` and `without` are chunk ids."""
        limit = min(limit, self.count)
        if limit == 0 or (only is not None and len(only) == 0):
            return []
        parameters = _search_parameters(only, without)
        scores, ids = self.index.search(vector.reshape(1, -1), limit, params=parameters)
        return [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]

    def agrees(self, held: FloatArray, stored: FloatArray) -> NDArray[np.bool_]:
        """Which rows of `held` (from this segment) are the `stored` vectors, both of shape (n, dimension)."""
        same: NDArray[np.bool_] = (held == stored).all(axis=1)
        return same

    def vectors(self) -> FloatArray:
        """The stored vectors in the order of `ids`, shape (count, dimension)."""
        flat: FloatArray = self.index.index.reconstruct_n(0, self.count)
        return flat


def _search_parameters(only: IntArray | None, without: IntArray | None) -> Any:
    faiss = _faiss()
    selector = None
    if only is not None:
        kept = only if without is None else np.setdiff1d(only, without, assume_unique=True)
        selector = faiss.IDSelectorBatch(kept)
    elif without is not None and len(without):
        selector = faiss.IDSelectorNot(faiss.IDSelectorBatch(without))
    return None if selector is None else faiss.SearchParameters(sel=selector)


def build_segment(ids: IntArray, vectors: FloatArray) -> VectorSegment:
    """An exact (flat) segment of `vectors`, shape (n, dimension), under sorted unique `ids`, shape (n,)."""
    faiss = _faiss()
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), np.ascontiguousarray(ids, np.int64))
    return VectorSegment(index, np.asarray(ids, np.int64), "flat")


def serialize(segment: VectorSegment) -> memoryview:
    """The bytes of a segment's file."""
    return memoryview(_faiss().serialize_index(segment.index))


def deserialize(data: bytes, kind: str, dimension: int) -> VectorSegment:
    """The segment in `data`, whose sha256 the caller has checked; ValueError if it is something else."""
    faiss = _faiss()
    if kind != "flat":
        raise ValueError(f"unknown index kind `{kind}`")
    faiss.set_deserialization_vector_byte_limit(max(len(data), 1 << 20))
    try:
        index = faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
    except RuntimeError as error:
        raise ValueError(str(error).splitlines()[-1]) from error
    if not isinstance(index, faiss.IndexIDMap2) or index.d != dimension:
        raise ValueError("not an index of this kind and dimension")
    return VectorSegment(index, faiss.vector_to_array(index.id_map), kind)


def search_rows(
    ids: IntArray, vectors: FloatArray, vector: FloatArray, limit: int
) -> list[tuple[int, float]]:
    """Exact search over plain arrays: `ids` of shape (n,), `vectors` of shape (n, dimension)."""
    if len(ids) == 0 or limit <= 0:
        return []
    scores = vectors @ vector
    best = np.argpartition(-scores, min(limit, len(ids)) - 1)[:limit]
    order = best[np.lexsort((ids[best], -scores[best]))]
    return [(int(ids[at]), float(scores[at])) for at in order]

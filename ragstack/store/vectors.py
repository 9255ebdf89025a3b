"""The only module that knows FAISS: making, saving, loading and searching one immutable index segment.

A segment maps chunk ids to L2-normalised vectors and ranks by inner product, exactly (`flat`) or by
approximation (`ivf-sq8`). Segments are never changed after they were made; search parameters are built per
call, because FAISS swaps the selector inside shared ones. Index files are only read after the caller has
checked their size and sha256, and with a limit on what they may claim to hold.

Why an inverted file of codes of 8 bits a component: 100,000 vectors of 384 dimensions (all-MiniLM-L6-v2,
windows of three collections, filled up by mixes), 600 real questions, 2 cores, faiss 1.15.1; all in one run,
recall@10 against exact search before and after 20 candidates are scored exactly:

    kind                               build s   bytes a vector   search ms   recall   rescored
    flat                                     0            1,544        6.9    1          1
    IVF, SQ8, 128 of 1,264 lists           5.4              404        0.24   0.982      0.990
    IVF, SQ8, 192 lists                    5.4              404        0.35   0.985      0.994
    IVF, SQ8 of residuals, 192 lists       6.3              404        0.34   0.985      0.994
    IVF, fp16, 192 lists                   6.7              788        0.39   0.994      0.994
    IVF, PQ 192 x 4 bits, 128 lists       28.4              147        0.20   0.789      0.990 (of 100)
    IVF, RaBitQ 1 bit, 192 lists           6.5               94        0.49   0.719      0.987 (of 100)
    HNSW of 32, SQ8, efSearch 128         18.9              660        0.17   0.959      0.966
    HNSW of 32, SQ8, efSearch 256         18.9              660        0.30   0.974      0.981

Exact scoring makes up for the codes, so that residuals and fp16 gain nothing; the smaller codes need five
times as many rows of SQLite; the graph takes 3.5 times as long to build and finds less. At a million vectors
64, 128 and 192 of 4,000 lists find 0.969, 0.981 and 0.989 (rescored) of the questions' nearest.

The codes have one scale for all components: the ten best by them held 0.990 of the ten nearest (0.987 with a
scale for each component, 60,000 vectors), and comparing takes 21 ns a vector (32; fp16 32, 6 bits 216).
A search uses one thread: two need 0.6 times as long on idle cores, but needed 5 times as long on busy ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragstack.records import FloatArray, IntArray

    Codes = NDArray[np.uint8]

VECTOR_TYPE = np.dtype("<f4")

FLAT = "flat"
"""Every vector is kept as it is and compared with the question."""

INVERTED = "ivf-sq8"
"""Vectors of 8 bits a component in lists around centroids; a search compares those in the nearest lists."""

LISTS_PER_ROOT = 4
"""Lists of an inverted file = this times the square root of its vectors, after FAISS's own guideline
(https://github.com/facebookresearch/faiss/wiki/Guidelines-to-choose-an-index): 4 to 16 times."""

TRAINING_PER_LIST = 32
"""Vectors that the centroids are trained on, per list: 196 MB at a million vectors of 384 dimensions."""

TRAINING_ROUNDS = 10
"""Iterations of k-means; FAISS's own default for inverted files."""

_PARTS = 1 << 20  # bytes that FAISS asks for at once, or hands over


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


# ------------------------------------------------------------------------- a segment


@dataclass(frozen=True, slots=True)
class VectorSegment:
    """An immutable FAISS index over `ids` (sorted chunk ids); `probes` of its `lists` are searched."""

    index: Any
    ids: IntArray
    kind: str
    probes: int = 0

    @property
    def count(self) -> int:
        """Number of vectors held, dead ones included."""
        return len(self.ids)

    @property
    def is_exact(self) -> bool:
        """Whether the scores that a search gives are inner products with the stored vectors."""
        return self.kind == FLAT

    @property
    def lists(self) -> int:
        """Number of lists of an inverted file, 0 for another kind."""
        return int(self.index.nlist) if self.kind == INVERTED else 0

    def search(
        self, vector: FloatArray, limit: int, *, allowed: AllowedIds | None = None
    ) -> list[tuple[int, float]]:
        """(chunk id, score) of the nearest that are `allowed` (None: all), best first.

        A score is the inner product, with quantised vectors unless the segment `is_exact`.
        """
        limit = min(limit, self.count)
        if limit <= 0 or (allowed is not None and allowed.share == 0.0):
            return []
        parameters = self._parameters(allowed, self.probes)
        scores, ids = self.index.search(vector.reshape(1, -1), limit, params=parameters)
        return [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]

    def candidates(self, queries: FloatArray, limit: int, probes: int) -> IntArray:
        """Chunk ids that a search of so many lists finds for each query, shape (queries, limit); -1: none."""
        _, ids = self.index.search(queries, limit, params=self._parameters(None, probes))
        found: IntArray = ids
        return found

    def _parameters(self, allowed: AllowedIds | None, probes: int) -> Any:
        faiss = _faiss()
        selector = None if allowed is None else faiss.IDSelectorBitmap(allowed.bits)
        if self.kind == FLAT:
            return None if selector is None else faiss.SearchParameters(sel=selector)
        if allowed is not None:  # as many vectors are compared as without a filter
            probes = int(min(self.lists, np.ceil(probes / allowed.share)))
        return faiss.SearchParametersIVF(sel=selector, nprobe=probes)

    def parts(self) -> Iterator[tuple[IntArray, Codes]]:
        """All that is held: ids, shape (n,), with their codes, shape (n, bytes of a code), part by part."""
        faiss = _faiss()
        if self.kind == FLAT:
            ids = faiss.vector_to_array(self.index.id_map)
            for at in range(0, self.count, 1_000):
                rows = self.index.index.reconstruct_n(at, min(1_000, self.count - at))
                yield ids[at : at + 1_000], rows.astype(VECTOR_TYPE, copy=False).view(np.uint8)
            return
        held = self.index.invlists
        for number in range(self.lists):
            size = held.list_size(number)
            if size:
                codes = faiss.rev_swig_ptr(held.get_codes(number), size * self.index.code_size)
                ids = faiss.rev_swig_ptr(held.get_ids(number), size)
                yield ids.copy(), codes.reshape(size, -1).copy()

    def agrees(self, codes: Codes, stored: FloatArray) -> NDArray[np.bool_]:
        """Which rows of `codes` (from this segment) stand for the `stored` vectors, shape (n, dimension).

        A flat segment holds the very vectors. A quantised one must hold the codes of those vectors; one step
        of 255 in a component is allowed, because processors round differently where two steps meet.
        """
        if self.kind == FLAT:
            exact = np.ascontiguousarray(stored, dtype=VECTOR_TYPE).view(np.uint8).reshape(codes.shape)
            same: NDArray[np.bool_] = (codes == exact).all(axis=1)
            return same
        expected = self.index.sq.compute_codes(np.ascontiguousarray(stored, dtype=np.float32))
        apart = np.abs(codes.astype(np.int16) - expected.astype(np.int16))
        close: NDArray[np.bool_] = (apart <= 1).all(axis=1)
        return close


@dataclass(frozen=True, slots=True)
class AllowedIds:
    """The chunk ids that a search may return, as a bitmap: bit i of byte j is chunk 8 j + i.

    `share` estimates which share of the vectors they are. A bitmap is made in the time of one pass over its
    bytes, where FAISS's own sets of ids take about 100 ns an id.
    """

    bits: Codes
    share: float


def allowed_ids(*, only: IntArray | None, without: IntArray, last: int, count: int) -> AllowedIds | None:
    """`only` these chunk ids (None: all up to `last`) `without` those; None where nothing is excluded.

    `count` is the number of vectors that are searched.
    """
    if only is None and not len(without):
        return None
    allowed = np.zeros((last // 8 + 1) * 8, dtype=np.bool_)
    if only is None:
        allowed[:] = True
    else:
        allowed[only[only < len(allowed)]] = True
    allowed[without[without < len(allowed)]] = False
    kept = count - len(without) if only is None else int(np.count_nonzero(allowed))
    return AllowedIds(np.packbits(allowed, bitorder="little"), min(1.0, kept / max(count, 1)))


# ---------------------------------------------------------------------------- making


@dataclass(slots=True)
class GrowingSegment:
    """A segment to which vectors are still added, in batches with ascending ids; not searched before."""

    _index: Any
    kind: str
    _ids: list[IntArray]

    def add(self, ids: IntArray, vectors: FloatArray) -> None:
        """Add `vectors`, shape (n, dimension), under `ids`, shape (n,)."""
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        self._index.add_with_ids(rows, np.ascontiguousarray(ids, np.int64))
        self._ids.append(np.asarray(ids, np.int64))

    def finish(self) -> VectorSegment:
        """The segment; an inverted file searches all its lists until its number of probes is chosen."""
        ids = np.concatenate(self._ids) if self._ids else np.empty(0, np.int64)
        return VectorSegment(self._index, ids, self.kind, self._index.nlist if self.kind == INVERTED else 0)


def begin_exact(dimension: int) -> GrowingSegment:
    """A segment that keeps and compares every vector as it is."""
    faiss = _faiss()
    return GrowingSegment(faiss.IndexIDMap2(faiss.IndexFlatIP(dimension)), FLAT, [])


def list_count(vectors: int) -> int:
    """Into how many lists an inverted file of so many vectors is divided."""
    return max(1, int(LISTS_PER_ROOT * vectors**0.5))


def begin_inverted(sample: FloatArray, count: int) -> GrowingSegment:
    """An inverted file for `count` vectors; its lists and its quantiser are trained on `sample`.

    The lists follow the size, and the `sample`, shape (n, dimension), should be drawn from the vectors that
    will be added. Centroids are kept on the sphere, where the vectors are.
    """
    faiss = _faiss()
    dimension = sample.shape[1]
    lists = min(list_count(count), len(sample))
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimension),
        dimension,
        lists,
        faiss.ScalarQuantizer.QT_8bit_uniform,
        faiss.METRIC_INNER_PRODUCT,
        False,  # not of residuals, see the module
    )
    index.cp.niter = TRAINING_ROUNDS
    index.cp.spherical = True
    index.cp.min_points_per_centroid = 1
    index.cp.max_points_per_centroid = max(1, -(-len(sample) // lists))
    index.train(np.ascontiguousarray(sample, dtype=np.float32))
    return GrowingSegment(index, INVERTED, [])


def build_segment(ids: IntArray, vectors: FloatArray) -> VectorSegment:
    """An exact segment of `vectors`, shape (n, dimension), under sorted unique `ids`, shape (n,)."""
    growing = begin_exact(vectors.shape[1])
    growing.add(ids, vectors)
    return growing.finish()


# ----------------------------------------------------------------- saving and loading


def serialize(segment: VectorSegment, write: Callable[[bytes], object]) -> None:
    """Hand the bytes of a segment's file to `write`, part by part; what it raises is raised."""
    faiss = _faiss()
    waiting = bytearray()

    def take(part: bytes) -> int:
        waiting.extend(part)
        if len(waiting) >= _PARTS:
            write(bytes(waiting))
            waiting.clear()
        return len(part)

    faiss.write_index(segment.index, faiss.PyCallbackIOWriter(take, _PARTS))
    write(bytes(waiting))


def deserialize(
    parts: Iterable[bytes], kind: str, dimension: int, *, size: int, probes: int
) -> VectorSegment:
    """The segment in `parts` (`size` bytes), whose sha256 the caller has checked.

    A part that was read is let go of, so that a file is never in memory twice. Raises ValueError if it is
    something else than its `kind` and `dimension` say, or of a kind that this version does not know.
    """
    faiss = _faiss()
    if kind not in (FLAT, INVERTED):
        raise ValueError(f"unknown index kind `{kind}`")
    faiss.set_deserialization_vector_byte_limit(max(size, 1 << 20))
    try:
        index = faiss.read_index(faiss.PyCallbackIOReader(_Parts(parts).read, _PARTS))
    except RuntimeError as error:
        raise ValueError(str(error).splitlines()[-1]) from error
    ids = _ids_of_flat(index, dimension) if kind == FLAT else _ids_of_inverted(index, dimension)
    if ids is None or len(ids) != index.ntotal or (np.diff(ids) <= 0).any():
        raise ValueError("not an index of this kind and dimension")
    if kind == INVERTED and not 1 <= probes <= index.nlist:
        raise ValueError("its manifest does not say how many lists to search")
    return VectorSegment(index, ids, kind, probes)


class _Parts:
    """Reads on through parts, forgetting each that was read."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._present = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        if not self._present:
            self._present = memoryview(next(self._parts, b""))
        taken, self._present = self._present[:size], self._present[size:]
        return bytes(taken)


def _ids_of_flat(index: Any, dimension: int) -> IntArray | None:
    """The ids of an exact index, None if it is not one."""
    faiss = _faiss()
    if not isinstance(index, faiss.IndexIDMap2) or index.d != dimension:
        return None
    inner = faiss.downcast_index(index.index)
    if not isinstance(inner, faiss.IndexFlat) or inner.ntotal != index.ntotal:
        return None
    ids: IntArray = faiss.vector_to_array(index.id_map)
    return ids if inner.metric_type == faiss.METRIC_INNER_PRODUCT else None


def _ids_of_inverted(index: Any, dimension: int) -> IntArray | None:
    """The sorted ids of an inverted file as this module makes it, None if it is something else."""
    faiss = _faiss()
    if not isinstance(index, faiss.IndexIVFScalarQuantizer) or index.d != dimension or not index.is_trained:
        return None
    quantizer = faiss.downcast_index(index.quantizer)
    as_made = (
        index.sq.qtype == faiss.ScalarQuantizer.QT_8bit_uniform
        and index.metric_type == faiss.METRIC_INNER_PRODUCT
        and not index.by_residual
        and index.code_size == dimension
        and isinstance(quantizer, faiss.IndexFlat)
        and quantizer.ntotal == index.nlist
        and quantizer.d == dimension
    )
    if not as_made:
        return None
    held = index.invlists
    lists = [
        faiss.rev_swig_ptr(held.get_ids(number), held.list_size(number))
        for number in range(index.nlist)
        if held.list_size(number)
    ]
    return np.sort(np.concatenate(lists)) if lists else np.empty(0, np.int64)


# ------------------------------------------------------------------ exact comparison


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

"""From an embedded question to hits: ask both searches, fuse, and return hits with all their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragstack.errors import UsageError
from ragstack.records import Candidate, ChunkSearch, Filter, Hit
from ragstack.retrieval.fusion import convex_combination

if TYPE_CHECKING:
    from ragstack.records import FloatArray

MIN_CANDIDATES = 100
"""Each search returns at least this many candidates, so that one found by both is seen by both."""

_EVERYTHING = Filter()


def retrieve(
    search: ChunkSearch,
    question: str,
    vector: FloatArray,
    *,
    limit: int,
    where: Filter = _EVERYTHING,
) -> list[Hit]:
    """The `limit` best chunks for `question` among those that `where` lets through, best first.

    `vector`, of shape (dimension,), is the embedded question. Raises UsageError for a limit below 1.
    """
    if limit < 1:
        raise UsageError(f"the number of hits must be at least 1, not {limit}", hint="raise `--top-k`")
    depth = max(limit, MIN_CANDIDATES)
    dense = search.dense_candidates(vector, depth, where)
    lexical = search.lexical_candidates(question, depth, where)
    return _fused_hits(search, vector, dense, lexical, limit)


def _fused_hits(
    search: ChunkSearch,
    vector: FloatArray,
    dense: Sequence[Candidate],
    lexical: Sequence[Candidate],
    limit: int,
) -> list[Hit]:
    """A chunk that only the lexical search found gets its exact cosine too; the reverse is cheap to lack."""
    cosines = {candidate.chunk_id: candidate.score for candidate in dense}
    unknown = [candidate.chunk_id for candidate in lexical if candidate.chunk_id not in cosines]
    cosines |= search.cosines(vector, unknown)
    fused = convex_combination(cosines, {candidate.chunk_id: candidate.score for candidate in lexical})
    best = sorted(fused, key=lambda chunk_id: (-fused[chunk_id], chunk_id))[:limit]
    stored = search.chunks(best)
    dense_by_id = {candidate.chunk_id: candidate for candidate in dense}
    lexical_by_id = {candidate.chunk_id: candidate for candidate in lexical}
    return [
        Hit(
            chunk=stored[chunk_id],
            score=fused[chunk_id],
            dense_rank=dense_by_id[chunk_id].rank if chunk_id in dense_by_id else None,
            dense_score=cosines.get(chunk_id),
            lexical_rank=lexical_by_id[chunk_id].rank if chunk_id in lexical_by_id else None,
            lexical_score=lexical_by_id[chunk_id].score if chunk_id in lexical_by_id else None,
        )
        for chunk_id in best
        if chunk_id in stored
    ]

"""Which chunks lie nearest to a chunk in the space of the embeddings, and which of them say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragstack.records import Filter, StoredChunk

if TYPE_CHECKING:
    from ragstack.store.protocols import ReadSession
    from ragstack.system import RAGSystem

NEAREST = 5
"""Neighbours that are shown unless another number is asked for."""

_SEARCHED = 50
"""Neighbours among which duplicates are looked for: equal texts have equal vectors but for their headings."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A chunk and the cosine of its vector with that of the chunk that was asked about."""

    chunk: StoredChunk
    cosine: float


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The nearest chunks of other texts, best first, and the chunks whose text is the same."""

    nearest: tuple[Neighbour, ...]
    duplicates: tuple[Neighbour, ...]


def neighbourhood(system: RAGSystem, chunk_id: int, count: int = NEAREST) -> Neighbourhood:
    """Of a chunk that the store holds, the `count` nearest others and its duplicates; no model is needed."""
    with system.store.read() as snapshot:
        vector = snapshot.vectors([chunk_id]).get(chunk_id)
        found = snapshot.chunks([chunk_id]).get(chunk_id)
        if vector is None or found is None:
            return Neighbourhood((), ())
        candidates = snapshot.dense_candidates(vector, max(_SEARCHED, count + 1), Filter())
        others = {each.chunk_id: each.score for each in candidates if each.chunk_id != chunk_id}
        return _sorted_apart(snapshot, found, others, count)


def _sorted_apart(
    snapshot: ReadSession, chunk: StoredChunk, others: dict[int, float], count: int
) -> Neighbourhood:
    chunks = snapshot.chunks(others)
    neighbours = [Neighbour(chunks[each], cosine) for each, cosine in others.items() if each in chunks]
    same = [each for each in neighbours if _words(each.chunk) == _words(chunk)]
    nearest = [each for each in neighbours if _words(each.chunk) != _words(chunk)][:count]
    return Neighbourhood(tuple(nearest), tuple(same))


def _words(chunk: StoredChunk) -> list[str]:
    """The text without regard to where its lines break."""
    return chunk.text.split()

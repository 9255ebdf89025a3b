"""The chunks that stand beside the best hits, as further candidates for a prompt.

What comes before or after the best evidence often belongs to it, and no search finds it for its words. It is
a candidate like any other: the packer pays for it only what it is expected to be worth. Lists of hits that a
person asked for are not widened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragstack.records import ChunkSearch, Hit

LENDERS = 3
"""Hits whose neighbours are looked at."""

LENT = (0.75, 0.7, 0.65, 0.6)
"""The share of a hit's score that the chunk next to it has, the one after that, and so on."""


def with_neighbours(search: ChunkSearch, hits: Sequence[Hit]) -> list[Hit]:
    """The hits, then the chunks beside the first `LENDERS` of them that are no hits, highest score first.

    A neighbour is lent a share of the score of the hit that it stands beside, if it has no higher one itself.
    """
    lent: dict[tuple[int, int], tuple[float, int]] = {}
    for hit in hits[:LENDERS]:
        for distance, share in enumerate(LENT, start=1):
            for place in (hit.chunk.position - distance, hit.chunk.position + distance):
                key = hit.chunk.document_id, place
                lent[key] = max(lent.get(key, (0.0, 0)), (share * hit.score, hit.chunk.chunk_id))
    found = [_with_loan(hit, lent) for hit in hits]
    known = {hit.chunk.chunk_id for hit in hits}
    around = (search.chunk_ids_around(hit.chunk, len(LENT)) for hit in hits[:LENDERS])
    new = search.chunks({chunk_id for ids in around for chunk_id in ids} - known).values()
    beside = [_with_loan(Hit(chunk, 0.0), lent) for chunk in new]
    return [*found, *sorted(beside, key=lambda hit: (-hit.lent, hit.chunk.chunk_id))]


def _with_loan(hit: Hit, lent: dict[tuple[int, int], tuple[float, int]]) -> Hit:
    loan, lender = lent.get((hit.chunk.document_id, hit.chunk.position), (0.0, 0))
    return replace(hit, lent=loan, beside=lender) if loan > hit.score else hit

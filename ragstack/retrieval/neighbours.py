"""The chunks that stand beside the best hits or in their sections, as further candidates for a prompt.

What comes before or after the best evidence often belongs to it, as does what its section says elsewhere and
what the sections around that begin with; no search finds it for its words. It is a candidate like any other:
the packer pays for it only what it is expected to be worth. Lists of hits that a person asked for are not
widened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ragstack.records import ChunkSearch, Hit, StoredChunk

LENDERS = 3
"""Hits whose neighbours are looked at. On chroma five change nothing; one loses up to half of the gain."""

LENT = (0.75, 0.7, 0.65, 0.6)
"""The share of a hit's score that the chunk next to it has, the one after that, and so on.

Evidence in 1,000 / 2,000 / 4,000 tokens on chroma: 94.0 / 96.9 / 98.5 instead of 93.7 / 96.2 / 97.9 % (tuning
half 95.1 / 98.6 / 99.2 instead of 94.6 / 97.7 / 98.7), on squad (500 questions) 96.5 / 97.7 / 98.8 instead of
96.3 / 97.7 / 99.0 %. On chroma six places are no better than four, and 0.75 for two of them loses a point at
1,000 tokens. Of answers copied from prompts with them (595 questions of squad) 420 instead of 423 first
statements and 503 instead of 505 threes hold the answer: hence they are for models.
"""

LENT_TO_SECTION = 0.5
"""The share that other chunks of the hit's section have, and the first chunks of the sections around it.

By `context.planning.RELEVANCE_EXPONENT` that is too little to pay for text of which nothing is known, and
enough for sentences with terms of the question. On the 40 answerable questions of `data/`, the only ones with
headings, evidence in 300 / 500 / 1,000 tokens was 71.1 / 90.6 / 96.3 % with sections and 73.6 / 91.9 / 96.3
without in one run, 73.6 / 90.6 / 96.3 and 71.1 / 90.6 / 96.3 in the next. That is one question, and no
difference: the random digits of a prompt's fences cost as much.
"""

LARGEST_SECTION = 16
"""Chunks of one section that are looked at, those nearest to the hit: some 2,500 tokens of the usual size."""


def with_neighbours(search: ChunkSearch, hits: Sequence[Hit]) -> list[Hit]:
    """The hits, then the chunks near the first `LENDERS` of them that are no hits, highest score first.

    Near are those beside a hit and those of its sections. Each is lent a share of the score of the hit that
    it is near to, if it has no higher one itself.
    """
    loans: dict[int, tuple[float, int]] = {}
    for hit in hits[:LENDERS]:
        for chunk_id, share in _near(search, hit.chunk).items():
            loans[chunk_id] = max(loans.get(chunk_id, (0.0, 0)), (share * hit.score, hit.chunk.chunk_id))
    found = [_with_loan(hit, loans) for hit in hits]
    new = search.chunks(loans.keys() - {hit.chunk.chunk_id for hit in hits}).values()
    near = [_with_loan(Hit(chunk, 0.0), loans) for chunk in new]
    return [*found, *sorted(near, key=lambda hit: (-hit.lent, hit.chunk.chunk_id))]


def _near(search: ChunkSearch, chunk: StoredChunk) -> dict[int, float]:
    """The chunks near one, by id, with the share of its score that each is lent."""
    section = search.section_chunk_ids(chunk, LARGEST_SECTION)
    shares = dict.fromkeys(section, LENT_TO_SECTION)
    for position, chunk_id in search.chunk_ids_around(chunk, len(LENT)).items():
        if position != chunk.position:
            shares[chunk_id] = LENT[abs(position - chunk.position) - 1]
    shares.pop(chunk.chunk_id, None)
    return shares


def _with_loan(hit: Hit, loans: Mapping[int, tuple[float, int]]) -> Hit:
    loan, lender = loans.get(hit.chunk.chunk_id, (0.0, 0))
    return replace(hit, lent=loan, beside=lender) if loan > hit.score else hit

"""Combining the evidence of meaning and of words into one score, and saying what each adds to it.

Pure functions over evidence by chunk id; nothing here knows where it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping

from ragstack.records import ScoreShares
from ragstack.retrieval.lexical import NO_EVIDENCE, LexicalEvidence

MEANING, WORDS, NEARNESS, ADJACENCY = 0.45, 0.30, 0.15, 0.10
"""Weights of the cosine, of BM25 (1 for the highest of the question), and of how close the terms stand.

Chosen on the tuning halves of chroma, squad and scifact together; each weight may be a third more or less
without any measure changing by more than a point. The cosine is not scaled to the extremes of the
candidates, as is often done: that turns small differences among good candidates into large ones. With the
same weights of cosine and BM25, min-max scaling against none: nDCG@10 on squad 80.0 against 85.7 %, on
scifact 71.0 against 73.4 %, recall of 5 chunks on chroma 87.1 against 91.0 %. Nearness and adjacency add 2.5
points on squad and 1 on chroma and cost half a point on scifact, where claims are not phrased like the
abstracts. Tried without gain: pseudo-relevance feedback (Rocchio, 1 to 10 chunks), scores of neighbouring
chunks and of the document, the question without its stop words."""


def fuse(cosines: Mapping[int, float], lexical: Mapping[int, LexicalEvidence]) -> dict[int, ScoreShares]:
    """What each kind of evidence adds to the score of every chunk of either side; the score is their sum."""
    highest = max((evidence.bm25 for evidence in lexical.values()), default=0.0)
    return {
        chunk_id: _shares(cosines.get(chunk_id, 0.0), lexical.get(chunk_id, NO_EVIDENCE), highest)
        for chunk_id in cosines.keys() | lexical.keys()
    }


def _shares(cosine: float, evidence: LexicalEvidence, highest: float) -> ScoreShares:
    return ScoreShares(
        meaning=MEANING * cosine,
        words=WORDS * evidence.bm25 / highest if highest > 0 else 0.0,
        nearness=NEARNESS * evidence.nearness,
        adjacency=ADJACENCY * evidence.adjacency,
    )

"""Combining the evidence of two searches into one score.

Pure functions over scores by chunk id; nothing here knows where the scores come from.
"""

from __future__ import annotations

from collections.abc import Mapping

DENSE_WEIGHT = 0.6
"""Weight of the scaled cosine against the scaled BM25. 0.6 / 0.4 was the best of the fusions compared under a
budget on the Chroma chunking evaluation (evidence recall at 2,000 characters: 78.5 %, RRF(60) 74.1 %, dense
alone 68.6 %)."""


def convex_combination(
    dense: Mapping[int, float], lexical: Mapping[int, float], dense_weight: float = DENSE_WEIGHT
) -> dict[int, float]:
    """`w * scaled cosine + (1 - w) * scaled BM25` for every chunk of either side, in [0, 1].

    Cosines are scaled from their lowest to their highest value among the candidates. BM25 has a true zero (no
    shared word), which is also what a chunk without a lexical score gets, so it is divided by its highest.
    """
    scaled_dense, scaled_lexical = _between_extremes(dense), _by_highest(lexical)
    return {
        chunk_id: dense_weight * scaled_dense.get(chunk_id, 0.0)
        + (1 - dense_weight) * scaled_lexical.get(chunk_id, 0.0)
        for chunk_id in dense.keys() | lexical.keys()
    }


def _between_extremes(scores: Mapping[int, float]) -> dict[int, float]:
    low, high = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    return {key: (value - low) / (high - low) if high > low else 1.0 for key, value in scores.items()}


def _by_highest(scores: Mapping[int, float]) -> dict[int, float]:
    high = max(scores.values(), default=0.0)
    return {key: value / high if high > 0 else 0.0 for key, value in scores.items()}

"""Prints why a hit stands where it stands: what each kind of evidence gave it, and what moved it.

Only what retrieval has recorded in the hit is told; nothing is computed anew.
"""

from __future__ import annotations

import math

from ragstack.cli.tables import wrapped_columns
from ragstack.records import Hit


def evidence_lines(place: int, hit: Hit) -> list[str]:
    """A table of a line for each kind of evidence, for the hit at `place` of the list (from 1)."""
    if hit.shares is None:
        return []
    rows = [
        ("meaning", f"{hit.shares.meaning:.4f}", _meaning(hit)),
        ("words", f"{hit.shares.words:.4f}", _words(hit)),
        ("nearness", f"{hit.shares.nearness:.4f}", "words of the question within one sentence's length"),
        ("adjacency", f"{hit.shares.adjacency:.4f}", "words that stand side by side as in the question"),
        ("coverage", f"{hit.shares.coverage:.4f}", "rare words of the question that are there at all"),
        ("related", f"{hit.shares.related:.4f}", _related(hit)),
        ("score", f"{hit.score:.4f}", _movement(place, hit)),
    ]
    return wrapped_columns(rows, right=(1,), indent="   ")


def _meaning(hit: Hit) -> str:
    cosine = "unknown" if hit.dense_score is None else f"{hit.dense_score:.4f}"
    return f"cosine {cosine}, {_rank(hit.dense_rank)} by meaning alone"


def _words(hit: Hit) -> str:
    matched = ", ".join(hit.matched) or "none of its words"
    return f"BM25 {hit.lexical_score or 0:.2f}, {_rank(hit.lexical_rank)} by words alone: {matched}"


def _related(hit: Hit) -> str:
    return ", ".join(f"{word} for {term}" for term, word in hit.related) or "no other words of like meaning"


def _rank(rank: int | None) -> str:
    return "not among the candidates" if rank is None else f"rank {rank}"


def _movement(place: int, hit: Hit) -> str:
    """What brought the hit to its place, against what meaning alone would have said."""
    if hit.score_rank is not None and hit.score_rank < place:
        return f"rank {hit.score_rank} by score, held back: better hits give most of its text"
    if hit.shares is not None and not math.isclose(hit.score, hit.shares.total):
        return f"placed by the reranker; by its own evidence {hit.shares.total:.4f}"
    reasons = []
    if hit.dense_rank is None or hit.dense_rank > place:
        reasons.append("raised by its words")
    elif hit.dense_rank < place:
        reasons.append("passed by others whose words fit better")
    if hit.score_rank is not None and hit.score_rank > place:
        reasons.append("moved up past repetitions")
    return ", ".join(reasons) or "words and meaning agree"

"""Whether what was found answers the question at all, judged by meaning and words together.

A cosine alone does not tell: off-topic questions reach cosines that good ones do not. What tells is one chunk
that is close in meaning and holds the rare words of the question in one place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragstack.records import Hit
from ragstack.retrieval.fusion import NEARNESS
from ragstack.words import PAIRED, QUESTION_STOP_WORDS

_WORD = re.compile(r"\w+")

PER_WORD = 0.047
"""A long question has more words than any one place holds; each makes up for a little of that."""

MOST_WORDS = 20

LEAST_CONFIDENCE = 1.05
"""Below it the documents are taken not to answer. The shape and `PER_WORD` are a logistic regression on the
tuning halves of squad (all 490 articles) and chroma, each question once with the documents that answer it and
once without. Answered / refused on the reporting halves: 1.05 squad 99.4 / 30.7 %, chroma 97.9 / 90.7 %; 1.10
98.7 / 41.3 and 97.0 / 92.8 %; 1.15 96.9 / 50.3 and 96.6 / 96.6 %. Above 1.05 less than 95 % of the questions
of `data/` are answered, which are phrased in other words than its documents. A threshold on the best cosine
that answers 91.4 % of squad refuses 38.4 %."""

_PAIRED_SCRIPT = re.compile(f"[{PAIRED}]")


def confidence(question: str, hits: Sequence[Hit]) -> float:
    """The highest sum of cosine and nearness among the hits, with an allowance for long questions.

    `LEAST_CONFIDENCE` is on the scale of all-MiniLM-L6-v2; most other embedders have higher cosines, so that
    with them less is refused. 0 without hits.
    """
    words = {word for word in _WORD.findall(question.casefold()) if word not in QUESTION_STOP_WORDS}
    allowance = PER_WORD * min(len(words), MOST_WORDS)
    return max((_closeness(hit) + allowance for hit in hits), default=0.0)


def _closeness(hit: Hit) -> float:
    nearness = hit.shares.nearness / NEARNESS if hit.shares is not None else 0.0
    return (hit.dense_score or 0.0) + nearness


def seems_answered(question: str, hits: Sequence[Hit]) -> bool:
    """Whether to answer from these hits.

    True where this cannot tell, so that the reader decides: without hits, and for questions in scripts
    without blanks between words, on which nothing was calibrated.
    """
    if not hits or _PAIRED_SCRIPT.search(question):
        return True
    return confidence(question, hits) >= LEAST_CONFIDENCE

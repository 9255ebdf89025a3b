"""Whether what was found answers the question at all, judged by meaning and words together.

A cosine alone does not tell: off-topic questions reach cosines that good ones do not. What tells is one chunk
that is close in meaning, has the rare words of the question in one place and holds what the question names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

from ragstack.records import Hit
from ragstack.retrieval.fusion import NEARNESS
from ragstack.retrieval.naming import Named, named
from ragstack.words import PAIRED, QUESTION_STOP_WORDS

_WORD = re.compile(r"\w+")

PER_WORD = 0.047
"""A long question has more words than any one place holds; each makes up for a little of that."""

MOST_WORDS = 20

WITHOUT_IDENTIFIERS, WITHOUT_NAMES, WITHOUT_NUMBERS = 0.5, 0.3, 0.1
"""What a chunk loses that holds none of the identifiers, names or numbers of the question; less if it holds
some. Numbers weigh little: what was bought in 2025 may fall under a rule that names no year. Names from 0.2
to 0.5 do nearly the same."""

LEAST_CONFIDENCE = 1.05
"""Below it the documents are taken not to answer. The shape and `PER_WORD` are a logistic regression on the
tuning halves of squad (all 490 articles) and chroma, each question once with the documents that answer it and
once without. Answered / refused on the reporting halves: 1.00 squad 98.5 / 31.5 %, chroma 96.6 / 97.0 %; 1.05
98.1 / 38.8 and 95.8 / 97.9 %; 1.10 97.1 / 47.8 and 94.1 / 98.7 %. Above 1.05 less than 95 % of the questions
of `data/` are answered, which are phrased in other words than its documents. Where 95 % are answered, 58.0 %
of squad and 98.7 % of chroma are refused; by a threshold on the best cosine 24.4 and 91.9 %.

Where the thing that is named is in the documents and only the fact is not, little tells without reading. With
the paragraph of the answer left out and the rest of its article in, 29.9 % are refused on squad at 95 %
answered; with the evidence left out of chroma's documents 16.1 %. Adding to the confidence the highest sum of
cosine and covered terms of a single statement gives 39.9 and 18.6 % (article left out: 66.0 and 99.2 %), but
those thresholds differ more between the data sets: at one for all nothing is won. A missing word's nearest
word by embedding adds a little to that on squad and takes it away on chroma; leaving out the words of the
question one at a time, the kind of answer asked for, the distance to the next best statements, and gradient
boosting over fifty of these together, add nothing."""

LEAST_FOR_A_MODEL = 0.5
"""Below it a question is off topic. That is 0.2 % of the questions of squad and of chroma; with the documents
that answer them left out, 1.5 and 29 %."""

_ENGLISH = frozenset("did does how the what when where which who whose why".split())
"""Words that hardly any other language has, and hardly any English question lacks."""

_PAIRED_SCRIPT = re.compile(f"[{PAIRED}]")


def confidence(question: str, hits: Sequence[Hit]) -> float:
    """The highest sum of cosine and nearness among the hits, less what a hit lacks of what is named.

    With an allowance for long questions; what those name that are longer than `MOST_WORDS` is not looked at,
    since a pasted letter names much that no answer holds. `LEAST_CONFIDENCE` is on the scale of
    all-MiniLM-L6-v2; most other embedders have higher cosines, so that with them less is refused. 0 without
    hits.
    """
    words = {word for word in _WORD.findall(question.casefold()) if word not in QUESTION_STOP_WORDS}
    allowance = PER_WORD * min(len(words), MOST_WORDS)
    wanted = named(question) if len(words) <= MOST_WORDS else named("")
    return max((_closeness(hit) - _lack(hit, wanted) + allowance for hit in hits), default=0.0)


def _closeness(hit: Hit) -> float:
    nearness = hit.shares.nearness / NEARNESS if hit.shares is not None else 0.0
    return (hit.dense_score or 0.0) + nearness


def _lack(hit: Hit, wanted: Named) -> float:
    held = frozenset(hit.matched)
    return (
        WITHOUT_IDENTIFIERS * _missing_share(wanted.identifiers, held)
        + WITHOUT_NAMES * _missing_share(wanted.names, held)
        + WITHOUT_NUMBERS * _missing_share(wanted.numbers, held)
    )


def _missing_share(wanted: Set[str], held: Set[str]) -> float:
    return len(wanted - held) / len(wanted) if wanted else 0.0


def seems_answered(question: str, hits: Sequence[Hit]) -> bool:
    """Whether to answer from these hits.

    True where this cannot tell, so that the reader decides: without hits, and for questions in scripts
    without blanks between words, on which nothing was calibrated.
    """
    if not hits or _PAIRED_SCRIPT.search(question):
        return True
    return confidence(question, hits) >= LEAST_CONFIDENCE


def is_off_topic(question: str, hits: Sequence[Hit]) -> bool:
    """Whether these hits have so little to do with the question that no reader can answer from them.

    For a language model, which understands more than is measured here: false unless the question is in
    English, since one in another language than the documents finds little and may be answered all the same.
    """
    if not hits or _ENGLISH.isdisjoint(_WORD.findall(question.casefold())):
        return False
    return confidence(question, hits) < LEAST_FOR_A_MODEL

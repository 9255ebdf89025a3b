"""The words of a text as evidence: folded, stemmed, without those that carry none.

Compares a question with sentences by content words. It does not search (the store's full-text index does) and
knows nothing of weights or scores.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from ragstack.words import STOP_WORDS, UNSPACED, overlapping_pairs

_UNSPACED_RUN = re.compile(f"[{UNSPACED}]+")
_WORD = re.compile(r"\w+(?:[.,]\d+)*")

# "What does E1042 mean?" asks about E1042, and "This does not mean ..." is no answer to it.
_ASKS_FOR_MEANING = re.compile(
    r"(\bwhat\s+(?:do|does|did)\s(?:\s*[^\s,;:.?!]+){1,4}?)"
    r"(?<!\bthe)(?<!\ba)(?<!\bor)(?<!\band)\s+(?:mean|stand\s+for)\s*\??\s*$",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """The words of a text, case folded.

    A number keeps its decimals; a script without blanks between words gives overlapping pairs of letters.
    """
    found: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        if word.isascii():
            found.append(word)
        else:
            found.extend(_UNSPACED_RUN.sub(" ", word).split())
            for run in _UNSPACED_RUN.findall(word):
                found.extend(overlapping_pairs(run))
    return found


def terms(text: str) -> list[str]:
    """The stems of the content words of a text, in order, with repetitions."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]


def question_terms(question: str) -> list[str]:
    """The distinct terms of what a question asks about; of one made of stop words only, all its words."""
    return list(dict.fromkeys(terms(_asked(question)) or words(question)))


def question_pairs(question: str) -> frozenset[tuple[str, str]]:
    """The pairs of neighbouring terms of what a question asks about."""
    return pairs(terms(_asked(question)))


def _asked(question: str) -> str:
    return _ASKS_FOR_MEANING.sub(r"\1", question)


def pairs(in_order: Sequence[str]) -> frozenset[tuple[str, str]]:
    """The pairs of neighbouring terms: "Los Angeles", "notice period"."""
    return frozenset(pairwise(in_order))


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The word without its English endings (Snowball's English stemmer); other scripts stay as they are."""
    from Stemmer import Stemmer

    if not word.isascii() or not word.isalpha():
        return word
    # A stemmer keeps the word it works on, so threads must not share one; making one costs nothing.
    stemmed: str = Stemmer("english").stemWord(word)
    return stemmed

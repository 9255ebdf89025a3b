"""Shortens a long sentence to the stretch of it that matters, at clause borders, with exact offsets.

An excerpt is always a slice of the sentence: nothing is reworded, and what is left out is shown by dots.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ragstack.answering.terms import STOP_WORDS, stem, words

_BORDER = re.compile(
    r"(?<=[,;:)—–])\s+"
    r"|\s+(?=[(—–-])"
    r"|\s+(?=(?:and|but|or|which|who|that|while|where|when|because|after|before|although)\s)"
)
_BLANK = re.compile(r"\s+")


def excerpt(
    sentence: str, limit: int, shares: Mapping[str, float], asked: Callable[[str], bool]
) -> tuple[int, int]:
    """Offsets in `sentence` of at most `limit` characters of it: all of it if it is short enough.

    Of the stretches between clause borders the one is taken that covers most of the question, by `shares` of
    its terms, where holding what is `asked` for counts as a quarter of them; of equals the longest, then the
    first. A clause longer than the limit is cut at a word.
    """
    if len(sentence) <= limit:
        return 0, len(sentence)
    starts = [0, *(match.end() for match in _BORDER.finditer(sentence))]
    stretches = [(start, _end(sentence, start, limit)) for start in starts]
    return max(
        stretches,
        key=lambda stretch: (
            round(_worth(sentence[slice(*stretch)], shares, asked), 6),
            stretch[1] - stretch[0],
            -stretch[0],
        ),
    )


def _end(sentence: str, start: int, limit: int) -> int:
    """The last border in the second half of the limit; failing that the last blank there, or the limit."""
    if start + limit >= len(sentence):
        return len(sentence)
    for border in (_BORDER, _BLANK):
        ends = [match.start() for match in border.finditer(sentence, start + limit // 2, start + limit + 1)]
        if ends:
            return ends[-1]
    return start + limit


def _worth(text: str, shares: Mapping[str, float], asked: Callable[[str], bool]) -> float:
    held = {stem(word) for word in words(text) if word not in STOP_WORDS}
    return sum(share for term, share in shares.items() if term in held) + 0.25 * asked(text)

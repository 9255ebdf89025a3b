"""Shortens a long sentence to the stretch of it that matters, at clause borders, with exact offsets.

An excerpt is always a slice of the sentence: nothing is reworded, and what is left out is shown by dots.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ragstack.answering.terms import stem, words
from ragstack.words import STOP_WORDS

_BORDER = re.compile(
    r"(?<=[,;:)—–])\s+"
    r"|\s+(?=[(—–-])"
    r"|\s+(?=(?:and|but|or|which|who|that|while|where|when|because|after|before|although)\s)"
)
_BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a sentence that begins at a clause border; `is_whole` when it ends at one too."""

    start: int
    end: int
    is_whole: bool


def excerpt(
    sentence: str, limit: int, shares: Mapping[str, float], asked: Callable[[str], bool]
) -> tuple[int, int]:
    """Offsets in `sentence` of at most `limit` characters of it: all of it if it is short enough.

    Of the stretches that begin at a clause border the one is taken that covers most of the question, by
    `shares` of its terms, where holding what is `asked` for counts as a quarter of them; of equals one that
    also ends at a border, then the longest, then the first.
    """
    if len(sentence) <= limit:
        return 0, len(sentence)
    starts = [0, *(match.end() for match in _BORDER.finditer(sentence))]
    best = max(
        (_stretch(sentence, start, limit) for start in starts),
        key=lambda stretch: (
            round(_worth(sentence[stretch.start : stretch.end], shares, asked), 6),
            stretch.is_whole,
            stretch.end - stretch.start,
            -stretch.start,
        ),
    )
    return best.start, best.end


def _stretch(sentence: str, start: int, limit: int) -> _Stretch:
    """To the last border in the second half of the limit; failing that the last blank there, or the limit."""
    if start + limit >= len(sentence):
        return _Stretch(start, len(sentence), is_whole=True)
    for border in (_BORDER, _BLANK):
        ends = [match.start() for match in border.finditer(sentence, start + limit // 2, start + limit + 1)]
        if ends:
            return _Stretch(start, ends[-1], is_whole=border is _BORDER)
    return _Stretch(start, start + limit, is_whole=False)


def _worth(text: str, shares: Mapping[str, float], asked: Callable[[str], bool]) -> float:
    held = {stem(word) for word in words(text) if word not in STOP_WORDS}
    return sum(share for term, share in shares.items() if term in held) + 0.25 * asked(text)

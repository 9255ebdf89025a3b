"""Makes the text that the embedder is given out of a chunk and its context.

WordPiece turns a word over its limit into a single unknown token, and whoever searches for a part of it finds
nothing; here such words are cut by blanks first. Nothing is tokenised and no chunk is shortened here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

SEPARATOR = "\n"
"""Stands between context and text; a blank to every tokenizer."""

_LONGEST_DECOMPOSITION = 4
"""No character decomposes (NFD) into more characters; a test goes through all of Unicode."""

_REMOVED_BLANKS = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
"""Blanks to a reader that BERT's normaliser deletes as control characters, joining the words beside them."""

_ASCII_PUNCTUATION = r"!-/:-@\[-`{-~"

_IDEOGRAPHS = (
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002a6df\U0002a700-\U0002b81f\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f"
)
"""What BERT's normaliser puts blanks around (`is_chinese_char` in github.com/huggingface/tokenizers)."""


def embedding_text(context: str, text: str, word_limit: int | None) -> str:
    """`context`, a line break and `text`, words of over `word_limit` normalised characters cut by blanks.

    Without a context it is the text alone. A `word_limit` of None changes nothing.
    """
    joined = context + SEPARATOR + text if context else text
    if word_limit is None:
        return joined
    return cut_words(joined, word_cuts(joined, word_limit))


def cut_words(text: str, cuts: list[int]) -> str:
    """`text` with a blank put in at every offset of `cuts` (sorted), and with blanks that WordPiece sees.

    The latter replace other blanks one for one, so offsets shift by the cuts before them and nothing else.
    """
    text = _REMOVED_BLANKS.sub(" ", text)
    if not cuts:
        return text
    return " ".join(text[start:end] for start, end in pairwise([0, *cuts, len(text)]))


def is_plain(text: str) -> bool:
    """Whether `cut_words` without cuts leaves the text as it is."""
    return _REMOVED_BLANKS.search(text) is None


def word_cuts(text: str, word_limit: int) -> list[int]:
    """Offsets at which words must be cut to have at most `word_limit` normalised characters each.

    A word is what WordPiece's pre-tokenizers make: it ends at blanks and punctuation, and every ideograph is
    one. Its length is counted after NFD, which lengthens (a Hangul syllable to three). No cut is put before a
    combining mark if there is another place. A text that begins at a cut has exactly the cuts that remain.
    """
    shortest = word_limit // _LONGEST_DECOMPOSITION + 1
    long_run = _long_runs(shortest)
    cuts: list[int] = []
    for start, end in _blank_free(text, shortest):
        for match in long_run.finditer(text, start, end):
            if len(unicodedata.normalize("NFD", match.group())) > word_limit:
                cuts += _cuts_of_run(text, match.start(), match.end(), word_limit)
    return cuts


def _blank_free(text: str, shortest: int) -> Iterator[tuple[int, int]]:
    """The runs without a blank; looking for the blank before them is several times faster than for them."""
    first, others = _blank_free_runs(shortest)
    if match := first.match(text):
        yield match.span()
    for match in others.finditer(text):
        yield match.span(1)


@lru_cache(maxsize=8)
def _blank_free_runs(shortest: int) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile(rf"\S{{{shortest},}}"), re.compile(rf"\s(\S{{{shortest},}})")


@lru_cache(maxsize=8)
def _long_runs(shortest: int) -> re.Pattern[str]:
    return re.compile(rf"[^\s{_ASCII_PUNCTUATION}{_IDEOGRAPHS}]{{{shortest},}}")


def _cuts_of_run(text: str, start: int, end: int, word_limit: int) -> Iterator[int]:
    word = start  # where the word, or what the last cut left of it, begins
    length = 0
    position = start
    while position < end:
        length += _normalised_length(text[position])
        if unicodedata.category(text[position])[0] == "P":
            word, length = position + 1, 0
        elif length > word_limit and position > word:
            word = _before_marks(text, word, position)
            yield word
            position, length = word, 0
            continue
        position += 1


def _before_marks(text: str, word: int, position: int) -> int:
    """The last place up to `position` that parts no character from its marks; `position` if there is none."""
    place = position
    while place > word and parts_character(text, place):
        place -= 1
    return place if place > word else position


def parts_character(text: str, place: int) -> bool:
    """Whether a cut at `place` (not 0) parts a character from its marks, its joiner or its skin colour."""
    return _joins_previous(text[place]) or text[place - 1] == "\u200d"


@lru_cache(maxsize=4096)
def _normalised_length(character: str) -> int:
    return len(unicodedata.normalize("NFD", character))


@lru_cache(maxsize=4096)
def _joins_previous(character: str) -> bool:
    return (
        unicodedata.category(character)[0] == "M"
        or character in "\u200c\u200d"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )

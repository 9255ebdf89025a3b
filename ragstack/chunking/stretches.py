"""Tokenises a text in pieces and parts it into stretches: the smallest spans that windows are made of.

Stretches begin at the tokenizer's word borders, because a text cut there keeps its tokens; words too long for
a window are parted inside. Nothing is known here of sentences, structure or windows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ragstack.chunking.embedding_text import cut_words, embedding_text, is_plain, parts_character, word_cuts
from ragstack.records import Tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragstack.records import IntArray

    BoolArray = NDArray[np.bool_]
    Codes = NDArray[np.uint32]

PIECE = 16_384
"""Characters tokenised at once; MiniLM's tokenizer is fastest at 8,000 to 32,000, half as fast at 10 MB."""

_FIRST_MARK = 0x300
"""No code point below is a combining mark."""

_CLAUSE_ENDS = np.array(sorted(map(ord, ",;:.!?)]—–…，、；：。！？）」』")), dtype=np.uint32)
_INTRODUCTIONS = np.array(sorted(map(ord, ":：*")), dtype=np.uint32)
"""A sentence that ends so introduces what follows: "as follows:", "**In short.**"."""

_WIDE = 0x3000
"""From this code point on, a punctuation mark ends a clause without a blank behind it."""

_BLANK = np.array([chr(code).isspace() for code in range(_WIDE + 2)])
"""Whether a code point is blank; all from the last entry on are not."""

_IDEOGRAPH = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]")


@dataclass(frozen=True, slots=True)
class Grain:
    """The most tokens and characters of a stretch that can be parted at all."""

    tokens: int
    characters: int


@dataclass(frozen=True, slots=True)
class Stretches:
    """Neighbouring stretches `[starts[i], ends[i])` with only blanks between them, as arrays of one length.

    `tokens` counts each. `is_ragged` says that a stretch begins inside a word, `is_estimate` that its tokens
    are those of the stretch alone, because it is part of a single token. `is_plain` says that no word needs
    a cut and no blank a replacement before the text is embedded.
    """

    starts: IntArray
    ends: IntArray
    tokens: IntArray
    is_ragged: BoolArray
    is_estimate: BoolArray
    ends_clause: BoolArray
    introduces: BoolArray
    is_plain: bool


def find_stretches(text: str, tokenizer: Tokenizer, grain: Grain) -> tuple[Stretches, bool]:
    """All stretches of `text`, and whether tokenising it in pieces has parted no word."""
    pieces = []
    parts_no_word = True
    start = 0
    while start < len(text):
        end, is_border = _piece_end(text, start)
        parts_no_word = parts_no_word and is_border
        if not (piece := text[start:end]).isspace():
            pieces.append(_stretches_of_piece(piece, start, tokenizer, grain))
        start = end
    return _joined(pieces), parts_no_word


def _joined(pieces: list[Stretches]) -> Stretches:
    numbers = np.zeros(0, dtype=np.int64)
    flags = np.zeros(0, dtype=np.bool_)
    return Stretches(
        starts=np.concatenate([numbers, *(piece.starts for piece in pieces)]),
        ends=np.concatenate([numbers, *(piece.ends for piece in pieces)]),
        tokens=np.concatenate([numbers, *(piece.tokens for piece in pieces)]),
        is_ragged=np.concatenate([flags, *(piece.is_ragged for piece in pieces)]),
        is_estimate=np.concatenate([flags, *(piece.is_estimate for piece in pieces)]),
        ends_clause=np.concatenate([flags, *(piece.ends_clause for piece in pieces)]),
        introduces=np.concatenate([flags, *(piece.introduces for piece in pieces)]),
        is_plain=all(piece.is_plain for piece in pieces),
    )


def _piece_end(text: str, start: int) -> tuple[int, bool]:
    """Where the piece that begins at `start` ends, and whether that parts no word."""
    end = start + PIECE
    if end >= len(text):
        return len(text), True
    line = text.rfind("\n", start + PIECE // 2, end)
    if line >= 0:
        return line + 1, True
    for place in range(end, start + PIECE // 2, -1):
        if _is_no_letter(text[place - 1]) or _is_no_letter(text[place]):
            return place, True
    return end, False


def _is_no_letter(character: str) -> bool:
    """Whether a character is never part of a longer word."""
    return (
        character.isspace()
        or unicodedata.category(character)[0] == "P"
        or _IDEOGRAPH.match(character) is not None
    )


def _stretches_of_piece(piece: str, offset: int, tokenizer: Tokenizer, grain: Grain) -> Stretches:
    codes = np.frombuffer(piece.encode("utf-32-le"), dtype=np.uint32)
    filled: IntArray = np.flatnonzero(~_BLANK[np.minimum(codes, _WIDE + 1)])
    cuts = word_cuts(piece, tokenizer.word_limit) if tokenizer.word_limit is not None else []
    token_starts, words = _tokenise(piece, cuts, tokenizer, filled)
    borders = _word_borders(piece, codes, filled, token_starts, words)
    inner, estimates = _places_inside(piece, borders, filled, token_starts, tokenizer, grain)
    starts = np.union1d(borders, inner) if inner else borders
    ends = filled[np.searchsorted(filled, np.append(starts[1:], len(piece))) - 1] + 1
    tokens = np.diff(np.append(np.searchsorted(token_starts, starts), len(token_starts)))
    estimated = np.searchsorted(starts, np.array(list(estimates), dtype=np.int64))
    tokens[estimated] = list(estimates.values())
    is_estimate = np.zeros(len(starts), dtype=np.bool_)
    is_estimate[estimated] = True
    last = codes[ends - 1]
    before_blank = np.append(starts[1:] > ends[:-1], True)
    return Stretches(
        starts=starts + offset,
        ends=ends + offset,
        tokens=tokens,
        is_ragged=np.isin(starts, borders, invert=True) if inner else np.zeros_like(is_estimate),
        is_estimate=is_estimate,
        ends_clause=np.isin(last, _CLAUSE_ENDS) & (before_blank | (last >= _WIDE)),
        introduces=np.isin(last, _INTRODUCTIONS),
        is_plain=not cuts and is_plain(piece),
    )


def _tokenise(
    piece: str, cuts: list[int], tokenizer: Tokenizer, filled: IntArray
) -> tuple[IntArray, IntArray]:
    """For each token the offset of its first character that is not blank, and the number of its word.

    `filled` are the offsets of all characters that are not blank. Tokens of blanks at the end are left out.
    """
    spans = tokenizer.spans(cut_words(piece, cuts) if tokenizer.word_limit is not None else piece)
    starts = np.maximum.accumulate(spans.starts)
    if cuts:
        inserted = np.array(cuts) + np.arange(len(cuts))
        starts = starts - np.searchsorted(inserted, starts)
    place = np.searchsorted(filled, starts)
    inside = place < len(filled)
    return filled[place[inside]], spans.words[inside]


def _word_borders(
    piece: str, codes: Codes, filled: IntArray, token_starts: IntArray, words: IntArray
) -> IntArray:
    """The offsets where words begin, the first character's at any rate, none that parts a character."""
    is_first = np.ones(len(words), dtype=np.bool_)
    np.not_equal(words[1:], words[:-1], out=is_first[1:])
    borders = _distinct(np.concatenate((filled[:1], token_starts[is_first])))
    parted = codes[borders] >= _FIRST_MARK
    for place in np.flatnonzero(parted):
        parted[place] = place > 0 and parts_character(piece, int(borders[place]))
    return borders[~parted]


def _distinct(values: IntArray) -> IntArray:
    """Sorted values without repetitions."""
    is_new = np.ones(len(values), dtype=np.bool_)
    np.greater(values[1:], values[:-1], out=is_new[1:])
    return values[is_new]


# ------------------------------------------------------------------- over-long words


def _places_inside(
    piece: str,
    borders: IntArray,
    filled: IntArray,
    token_starts: IntArray,
    tokenizer: Tokenizer,
    grain: Grain,
) -> tuple[list[int], dict[int, int]]:
    """Places inside words that are longer than the grain, and the tokens of parts of single tokens."""
    bounds = np.append(borders, len(piece))
    is_long = np.diff(np.searchsorted(token_starts, bounds)) > grain.tokens
    is_long |= np.diff(bounds) > grain.characters
    inner: list[int] = []
    estimates: dict[int, int] = {}
    for word in np.flatnonzero(is_long):
        first, last = int(bounds[word]), int(bounds[word + 1])
        low, high = np.searchsorted(token_starts, (first, last))
        places = list(_token_places(piece, first, token_starts[low:high].tolist(), grain.tokens))
        inner += places
        for start, end in pairwise([first, *places, last]):
            estimates |= _parts_of_token(piece, start, end, filled, tokenizer, grain)
    return [*inner, *estimates], estimates


def _token_places(piece: str, start: int, token_starts: list[int], most_tokens: int) -> Iterator[int]:
    """Where tokens begin inside a word; before a combining mark only if the grain asks for it."""
    kept, kept_token = start, 0
    for token, place in enumerate(token_starts):
        if place > kept and (token - kept_token >= most_tokens or not parts_character(piece, place)):
            yield place
            kept, kept_token = place, token


def _parts_of_token(
    piece: str, start: int, end: int, filled: IntArray, tokenizer: Tokenizer, grain: Grain
) -> dict[int, int]:
    """Where parts of a token that is longer than the grain begin, each with the tokens that it has alone."""
    step = grain.characters
    while True:
        places = [start, *_steps(piece, start, end, filled, step)]
        if len(places) == 1:
            return {}
        parts = [piece[first:last] for first, last in pairwise([*places, end])]
        counts = tokenizer.count_many([embedding_text("", part, tokenizer.word_limit) for part in parts])
        if step == 1 or max(counts) <= grain.tokens:
            return dict(zip(places, counts, strict=True))
        step //= 2


def _steps(piece: str, start: int, end: int, filled: IntArray, step: int) -> Iterator[int]:
    """Places inside `[start, end)` that lie at most `step` characters apart, blanks not counted."""
    while end - start > step:
        place = start + step
        while place > start and parts_character(piece, place):
            place -= 1
        if place == start:
            place = start + step
        following = int(np.searchsorted(filled, place))
        if following == len(filled) or filled[following] >= end:
            return
        start = int(filled[following])
        yield start

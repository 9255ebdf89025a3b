"""The seams of a document: every place where a window may begin or end, with the tokens counted up to it.

Joins the stretches that the tokenizer allows with the marks that the structure asks for. Windows are not
chosen here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ragstack.chunking.stretches import Grain, Stretches, find_stretches
from ragstack.chunking.structure import Level, Structure
from ragstack.records import Tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Levels = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Seams:
    """The seams around `count` stretches `[starts[i], ends[i])`, between which only blanks lie.

    Seam i is before stretch i, and seam `count` behind the last one. `tokens[i]` counts the tokens before
    seam i. `beginnings[level]` are the seams where a window may begin at that level or a better one, and
    `endings[level]` those where it may end. `ragged` seams lie inside a word, and the tokens of `estimates`,
    which are stretches, are not certain. `is_exact` and `is_plain` say of the whole document what
    `is_exact_between` and `Stretches` say.
    """

    starts: memoryview
    ends: memoryview
    tokens: memoryview
    beginnings: tuple[memoryview, ...]
    endings: tuple[memoryview, ...]
    ragged: memoryview
    estimates: memoryview
    is_exact: bool
    is_plain: bool

    @property
    def count(self) -> int:
        """Number of stretches."""
        return len(self.ends)

    def seam_at(self, offset: int) -> int:
        """The first seam at or behind a character offset."""
        return bisect_left(self.starts, offset)

    def tokens_between(self, first: int, last: int) -> int:
        """Tokens from seam `first` to seam `last`."""
        return int(self.tokens[last] - self.tokens[first])

    def characters_between(self, first: int, last: int) -> int:
        """Characters from seam `first` to seam `last`, without the blanks at either end."""
        return int(self.ends[last - 1] - self.starts[first]) if first < last else 0

    def is_exact_between(self, first: int, last: int) -> bool:
        """Whether the text between two seams is certain to have exactly `tokens_between` tokens by itself."""
        return (
            self.is_exact
            and not _holds(self.ragged, first, first + 1)
            and not _holds(self.ragged, last, last + 1)
            and not _holds(self.estimates, first, last)
        )

    def last_beginning(self, level: Level, *, above: int, at_most: int) -> int | None:
        """The last seam in (above, at_most] where a window may begin at this level."""
        seams = self.beginnings[level]
        place = bisect_right(seams, at_most) - 1
        return int(seams[place]) if place >= 0 and seams[place] > above else None

    def last_ending(self, level: Level, *, at_least: int, at_most: int) -> int | None:
        """The last seam in [at_least, at_most] where a window may end at this level."""
        seams = self.endings[level]
        place = bisect_right(seams, at_most) - 1
        return int(seams[place]) if place >= 0 and seams[place] >= at_least else None

    def first_ending(self, level: Level, *, above: int, default: int) -> int:
        """The first seam above `above` where a window may end at this level; `default` if there is none."""
        seams = self.endings[level]
        place = bisect_right(seams, above)
        return int(seams[place]) if place < len(seams) else default


def _holds(seams: memoryview, first: int, last: int) -> bool:
    """Whether sorted `seams` have a value in `[first, last)`."""
    return bisect_left(seams, last) > bisect_left(seams, first)


def find_seams(text: str, structure: Structure, tokenizer: Tokenizer, grain: Grain) -> Seams:
    """All seams of `text`.

    A tokenizer with a word limit is WordPiece, which looks at one word at a time: there the tokens of a text
    are the sum of its words' tokens. Others may count a word differently without the blank before it.
    """
    stretches, parts_no_word = find_stretches(text, tokenizer, grain)
    begin = _beginning_levels(stretches, structure)
    end = _ending_levels(begin, stretches, structure)
    words_are_independent = tokenizer.word_limit is not None and parts_no_word
    return Seams(
        starts=stretches.starts.data,
        ends=stretches.ends.data,
        tokens=np.concatenate(([0], np.cumsum(stretches.tokens, dtype=np.int64))).data,
        beginnings=tuple(np.flatnonzero(begin >= level).data for level in Level),
        endings=tuple(np.flatnonzero(end >= level).data for level in Level),
        ragged=np.flatnonzero(stretches.is_ragged).data,
        estimates=np.flatnonzero(stretches.is_estimate).data,
        is_exact=words_are_independent,
        is_plain=words_are_independent and stretches.is_plain,
    )


def _beginning_levels(stretches: Stretches, structure: Structure) -> Levels:
    """The level of every seam as a window's beginning."""
    starts, ends = stretches.starts, stretches.ends
    levels = np.zeros(len(starts) + 1, dtype=np.int8)
    levels[1:-1] = np.where(starts[1:] > ends[:-1], Level.WORD, Level.ANYWHERE)
    levels[1:][stretches.ends_clause] = Level.CLAUSE
    offsets = np.array([mark.offset for mark in structure.marks], dtype=np.int64)
    marked = np.array([mark.level for mark in structure.marks], dtype=np.int8)
    np.maximum.at(levels, np.searchsorted(starts, offsets), marked)
    levels[-1] = Level.BLOCK
    return levels


def _ending_levels(levels: Levels, stretches: Stretches, structure: Structure) -> Levels:
    """The level of every seam as a window's end, given those as its beginning."""
    is_weak = np.append(False, stretches.introduces)
    weak_ends = np.array(structure.weak_ends, dtype=np.int64)
    is_weak[np.searchsorted(stretches.starts, weak_ends)] = True
    is_weak[-1] = False
    return np.where(is_weak, np.minimum(levels, Level.WEAK), levels)

"""Finds text that hits have in common, so that it is paid for once and cited everywhere.

Two kinds: hits whose whole texts are the same (the same paragraph in two files), and hits of two documents
that are much the same (versions of one), of which the sentences they share are the same. A sentence that
differs in a word is another sentence: the word may be the one that was asked for. A sentence that comes again
within one document stands in another connection each time, as a row does in two tables, and is no copy.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragstack.context.layout import Layout
from ragstack.records import Hit

MUCH_THE_SAME = 0.5
"""A window is a version of what another document says if at least this share of its tokens stands there too.
A sentence that two texts happen to share, about different things, is not taken for a copy. Two data sheets
are, where they say the same; the header of the passage names both."""

# What formats differ in and meaning does not: emphasis and quotation marks round words, then also the marks
# at the end of a sentence, and what stands alone for a heading or between the cells of a table.
_QUOTES = "*_`\"'\u2018\u2019\u201c\u201d"
_ENDS = _QUOTES + ".,;:!?"
_RULES = "#|"


@dataclass(frozen=True, slots=True)
class Distinct:
    """One text among the hits: the hit that stands for it, and the others that repeat it elsewhere.

    `positions` are their places in the list of hits: the first is that of `hit`, the rest those of `repeats`.
    """

    hit: Hit
    repeats: tuple[Hit, ...]
    positions: tuple[int, ...]

    @property
    def score(self) -> float:
        """The best score that this text got, wherever it stands."""
        return max(hit.score for hit in (self.hit, *self.repeats))

    @property
    def worth(self) -> float:
        """The best score by which this text competes, wherever it stands."""
        return max(hit.worth for hit in (self.hit, *self.repeats))


def distinct_hits(hits: Sequence[Hit]) -> list[Distinct]:
    """The hits without repetition, in their order.

    Of several documents with the same text, the one whose first hit comes earliest stands for all: so the
    windows of one copy are kept together and can merge.
    """
    order = {document: place for place, document in enumerate(_documents(hits))}
    groups: dict[str, list[int]] = {}
    for position, hit in enumerate(hits):
        groups.setdefault(normalised(hit.text), []).append(position)
    distinct = []
    for group in groups.values():
        positions = sorted(group, key=lambda position: order[hits[position].chunk.document_id])
        first, *repeats = (hits[position] for position in positions)
        distinct.append(Distinct(first, tuple(repeats), tuple(positions)))
    return distinct


def _documents(hits: Sequence[Hit]) -> list[int]:
    return list(dict.fromkeys(hit.chunk.document_id for hit in hits))


def normalised(text: str) -> str:
    """The text in one case and one composition, without marks of formatting, with single spaces.

    Signs, numbers and every word stay, so that texts of the same normal form say the same.
    """
    words = unicodedata.normalize("NFKC", text).casefold().split()
    plain = (word.lstrip(_QUOTES).rstrip(_ENDS) for word in words if word.strip(_RULES))
    return " ".join(filter(None, plain))


def copied_segments(layout: Layout, tokens: Mapping[int, int]) -> dict[int, int]:
    """For every segment that a version of its text in another document repeats: the one that stands for both.

    That is the segment met first when the windows are read best first; it stands for itself. Segments whose
    text is in no version are not among them, and of one document no two have the same text.
    """
    places = _places_of_texts(layout)
    copied: dict[int, set[int]] = defaultdict(set)
    for window in layout.windows if places else ():
        held = {number: places[number] for number in window if number in places}
        for document in _versions(window, held, layout, tokens):
            for number, place in held.items():
                if document in place:
                    copied[min(place.values())].update((number, place[document]))
    read = dict.fromkeys(number for window in layout.windows for number in window)
    order = {number: rank for rank, number in enumerate(read)}
    groups = ((min(numbers, key=order.__getitem__), numbers) for numbers in copied.values())
    return {number: standing for standing, numbers in groups for number in numbers}


def _places_of_texts(layout: Layout) -> dict[int, dict[int, int]]:
    """For every segment whose text several documents hold, each once: the segments that do, by document."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, segment in layout.segments.items():
        groups[normalised(segment.text)].append(number)
    found: dict[int, dict[int, int]] = {}
    for text, numbers in groups.items():
        place = {layout.segments[number].document_id: number for number in numbers}
        if text and 1 < len(place) == len(numbers):
            found.update(dict.fromkeys(numbers, place))
    return found


def _versions(
    window: range, held: Mapping[int, Mapping[int, int]], layout: Layout, tokens: Mapping[int, int]
) -> list[int]:
    """The other documents that hold enough of the window; `held` says which hold each of its segments."""
    shared: Counter[int] = Counter()
    for number, place in held.items():
        shared.update(dict.fromkeys(place, tokens[number]))
    own = {layout.segments[number].document_id for number in window}
    enough = MUCH_THE_SAME * sum(tokens[number] for number in window)
    return [document for document, count in shared.items() if count >= enough and document not in own]

"""Finds hits that say the same thing, so that it is paid for once and cited everywhere.

Two hits are the same when their normalised texts are equal: case, spacing and Unicode composition do not
count. Texts that differ in a few words are not handled here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from ragstack.records import Hit


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


def normalised(text: str) -> str:
    """The text in one case, one composition, with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _documents(hits: Sequence[Hit]) -> list[int]:
    return list(dict.fromkeys(hit.chunk.document_id for hit in hits))

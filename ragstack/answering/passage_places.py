"""Knows where every span of a prompt's passages lies, without the store that they were read from.

A model may write for minutes; the store is released before it begins, and what its answer cites is located
from here. The places are exactly those that the store itself would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from ragstack.chunking.headings import enclosing_headings
from ragstack.errors import NotInStoreError
from ragstack.records import DocumentSource, Element, ElementKind, Landmark, Location, Passage


@dataclass(frozen=True, slots=True)
class _Place:
    """A passage, the headings of its document up to its end, and the pages (or the like) that it touches."""

    passage: Passage
    headings: tuple[Element, ...]
    landmarks: tuple[Landmark, ...]

    def holds(self, document_id: int, start: int, end: int) -> bool:
        passage = self.passage
        return passage.document_id == document_id and passage.start <= start and end <= passage.end

    def location(self, start: int, end: int) -> Location:
        last = max(start, end - 1)
        first_landmark, last_landmark = self._landmark(start), self._landmark(last)
        return Location(
            landmark_kind=first_landmark.kind if first_landmark else None,
            first_landmark=first_landmark.label if first_landmark else None,
            last_landmark=last_landmark.label if last_landmark else None,
            first_line=self._line(start),
            last_line=self._line(last),
            headings=enclosing_headings(self.headings, start),
        )

    def _landmark(self, offset: int) -> Landmark | None:
        return next((each for each in reversed(self.landmarks) if each.start <= offset), None)

    def _line(self, offset: int) -> int | None:
        first = self.passage.location.first_line
        if first is None:
            return None
        return first + self.passage.text.count("\n", 0, offset - self.passage.start)


@dataclass(frozen=True, slots=True)
class PassagePlaces:
    """A `TextSource` of the passages alone; for spans beyond them it raises NotInStoreError."""

    places: tuple[_Place, ...]

    @classmethod
    def of(cls, passages: Sequence[Passage], source: DocumentSource) -> PassagePlaces:
        """The places of these passages, read from `source` now."""
        return cls(tuple(_place(passage, source) for passage in passages))

    def read_text(self, document_id: int, start: int, end: int) -> str:
        """Exactly `text[start:end]` of the document."""
        passage = self._place(document_id, start, end).passage
        return passage.text[start - passage.start : end - passage.start]

    def locate(self, document_id: int, start: int, end: int) -> Location:
        """Page and lines of a span."""
        return self._place(document_id, start, end).location(start, end)

    def _place(self, document_id: int, start: int, end: int) -> _Place:
        for place in self.places:
            if place.holds(document_id, start, end):
                return place
        raise NotInStoreError(f"no passage holds characters {start}-{end} of document {document_id}")


def _place(passage: Passage, source: DocumentSource) -> _Place:
    elements = takewhile(lambda each: each.start < passage.end, source.elements(passage.document_id))
    return _Place(
        passage=passage,
        headings=tuple(element for element in elements if element.kind is ElementKind.HEADING),
        landmarks=source.landmarks(passage.document_id, passage.start, passage.end),
    )

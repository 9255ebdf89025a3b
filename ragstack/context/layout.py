"""Lays hits out on their documents: which windows overlap or touch, and the pieces that they are made of.

The text under the hits is cut wherever a window begins or ends and at every sentence. Each piece is a segment
with a number; two segments have consecutive numbers exactly when they touch, so a passage is a run of
numbers, and what a window adds is the segments that are not taken yet. Nothing is counted or chosen here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from ragstack.chunking.sentences import sentence_spans
from ragstack.records import Hit, TextSource

MAXIMUM_BLANKS = 64
"""Windows further apart than this are not asked whether only blanks lie between them."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a document, `[start, end)`, with the blanks that follow it."""

    document_id: int
    path: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The segments by number, and for each hit the numbers of the segments that it is made of."""

    segments: dict[int, Segment]
    windows: tuple[range, ...]

    def runs(self, numbers: Set[int]) -> list[range]:
        """The longest runs of consecutive numbers: the passages that these segments make."""
        starts = sorted(number for number in numbers if number - 1 not in numbers)
        ends = sorted(number + 1 for number in numbers if number + 1 not in numbers)
        return [range(start, end) for start, end in zip(starts, ends, strict=True)]

    def span(self, run: range) -> tuple[int, int]:
        """Where a run of segments lies in its document."""
        return self.segments[run[0]].start, self.segments[run[-1]].end


@dataclass(slots=True)
class _Stretch:
    """Windows of one document that overlap or touch, and the text under them."""

    document_id: int
    path: str
    start: int
    text: str
    members: list[int]

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def lay_out(hits: Sequence[Hit], source: TextSource) -> Layout:
    """The segments of all hits. Only the gaps between neighbouring windows are read from `source`."""
    segments: dict[int, Segment] = {}
    windows: list[range] = [range(0)] * len(hits)
    number = 0
    for stretch in _stretches(hits, source):
        cuts = _cuts(stretch, hits)
        for place, (start, end) in enumerate(pairwise(cuts), start=number):
            text = stretch.text[start:end]
            segments[place] = Segment(
                stretch.document_id, stretch.path, stretch.start + start, stretch.start + end, text
            )
        for member in stretch.members:
            first, last = (bisect_left(cuts, cut) for cut in _edges(stretch, hits[member]))
            windows[member] = range(number + first, number + last)
        number += len(cuts) + 1  # a number is left out, so that stretches never touch
    return Layout(segments, tuple(windows))


def _stretches(hits: Sequence[Hit], source: TextSource) -> Iterator[_Stretch]:
    stretch: _Stretch | None = None
    for index in sorted(range(len(hits)), key=lambda index: _position(hits[index])):
        chunk = hits[index].chunk
        if stretch is not None and chunk.document_id == stretch.document_id:
            gap = blank_gap(source, chunk.document_id, stretch.end, chunk.start)
            if gap is not None:
                stretch.text += gap
                stretch.text += chunk.text[stretch.end - chunk.start :]
                stretch.members.append(index)
                continue
        if stretch is not None:
            yield stretch
        stretch = _Stretch(chunk.document_id, chunk.path, chunk.start, chunk.text, [index])
    if stretch is not None:
        yield stretch


def _position(hit: Hit) -> tuple[int, int, int]:
    return hit.chunk.document_id, hit.chunk.start, hit.chunk.end


def blank_gap(source: TextSource, document_id: int, start: int, end: int) -> str | None:
    """The blanks between two windows; empty when they touch or overlap, None when other text lies between."""
    if end <= start:
        return ""
    if end - start > MAXIMUM_BLANKS:
        return None
    gap = source.read_text(document_id, start, end)
    return gap if gap.isspace() else None


def _cuts(stretch: _Stretch, hits: Sequence[Hit]) -> list[int]:
    """Offsets in the stretch where a segment begins, and its end; no segment begins with a blank."""
    text = stretch.text
    cuts = {_next_letter(text, 0), len(text)}
    for member in stretch.members:
        cuts.update(_edges(stretch, hits[member]))
    cuts.update(_next_letter(text, start) for start, _ in sentence_spans(text, 0, len(text)))
    return sorted(cuts)


def _edges(stretch: _Stretch, hit: Hit) -> tuple[int, int]:
    start = _next_letter(stretch.text, hit.chunk.start - stretch.start)
    return start, _next_letter(stretch.text, hit.chunk.end - stretch.start)


def _next_letter(text: str, offset: int) -> int:
    """The first place at or after `offset` that is not blank."""
    while offset < len(text) and text[offset].isspace():
        offset += 1
    return offset

"""Spans of documents and the arithmetic on sets of them: merging, what two sets share, what is left of one.

A span knows its document by the name that the data set gives it. Nothing here knows of stores or questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters `[start, end)` of a document, in Unicode code points of its text."""

    document: str
    start: int
    end: int

    @property
    def length(self) -> int:
        """Number of characters."""
        return self.end - self.start


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same characters as disjoint spans that do not touch, sorted by document and offset."""
    union: list[Span] = []
    for span in sorted(spans):
        last = union[-1] if union else None
        if last is None or last.document != span.document or last.end < span.start:
            union.append(span)
        elif span.end > last.end:
            union[-1] = Span(last.document, last.start, span.end)
    return union


def total_length(spans: Iterable[Span]) -> int:
    """Sum of the lengths; characters in several spans count as often."""
    return sum(span.length for span in spans)


def shared_length(first: Sequence[Span], second: Sequence[Span]) -> int:
    """Number of distinct characters that lie in both sets of spans."""
    other = merged(second)
    return sum(overlap(mine, theirs) for mine in merged(first) for theirs in other)


def overlap(first: Span, second: Span) -> int:
    """Number of characters that two spans share."""
    if first.document != second.document:
        return 0
    return max(0, min(first.end, second.end) - max(first.start, second.start))


def remainder(span: Span, taken: Iterable[Span]) -> list[Span]:
    """What is left of `span` without the characters in `taken`, in the order of the text."""
    pieces = []
    start = span.start
    for other in merged(each for each in taken if overlap(span, each)):
        if other.start > start:
            pieces.append(Span(span.document, start, other.start))
        start = max(start, other.end)
    if start < span.end:
        pieces.append(Span(span.document, start, span.end))
    return pieces

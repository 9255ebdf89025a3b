"""The sections that a document is read by: those of its headings, long ones in parts, none without text.

Offsets only; no more than a few hundred characters are read to find where a long section parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ragstack.chunking.sentences import paragraphs_and_sentences
from ragstack.records import DocumentSource, Element, ElementKind, SelectedDocument

LARGEST_SECTION = 2_400
"""Characters of a section before it is read in parts: some 600 tokens; a prompt of 4,096 holds six."""

SMALLEST_BODY = 40
"""Characters without which there is nothing to summarise: the section goes with the next one."""

_REACH = 600
"""Characters before the longest end of a part among which the best place to part is looked for."""


@dataclass(frozen=True, slots=True)
class Section:
    """`[start, end)` of a document, and the titles of the headings that enclose it, outermost first."""

    document: SelectedDocument
    start: int
    end: int
    headings: tuple[str, ...]


def sections_of(document: SelectedDocument, source: DocumentSource) -> Iterator[Section]:
    """The sections of a document in order; together they hold all of its text."""
    elements = source.elements(document.document_id)
    for start, end, headings in _headed(document, elements):
        cuts = [start, *_cuts(document, elements, start, end, source), end]
        for first, last in pairwise(cuts):
            yield Section(document, first, last, headings)


def _headed(
    document: SelectedDocument, elements: tuple[Element, ...]
) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """The stretches between headings that have a body; headings without one go with what follows."""
    start, body, path = 0, 0, list[Element]()
    titles: tuple[str, ...] = ()
    for element in elements:
        if element.kind is not ElementKind.HEADING:
            continue
        if element.start - body >= SMALLEST_BODY:
            yield start, element.start, titles
            start = element.start
        path = [*(outer for outer in path if outer.level < element.level), element]
        body, titles = element.end, tuple(heading.title for heading in path)
    if document.characters > start:
        yield start, document.characters, titles


def _cuts(
    document: SelectedDocument, elements: tuple[Element, ...], start: int, end: int, source: DocumentSource
) -> Iterator[int]:
    """Where a stretch that is too long parts, into parts of about one length."""
    while end - start > LARGEST_SECTION:
        parts = -(-(end - start) // LARGEST_SECTION)
        start = _best_cut(document, elements, start + (end - start) // parts, source)
        yield start


def _best_cut(
    document: SelectedDocument, elements: tuple[Element, ...], before: int, source: DocumentSource
) -> int:
    """The last beginning of a unit, a paragraph or a sentence shortly before an offset, else that offset."""
    earliest = before - _REACH
    units = [element.start for element in elements if earliest < element.start <= before]
    if units:
        return units[-1]
    text = source.read_text(document.document_id, earliest, before)
    paragraphs, sentences = paragraphs_and_sentences(text, 0, len(text))
    inside = [offset for offset in paragraphs[1:] or sentences[1:] if offset > 0]
    return earliest + inside[-1] if inside else before

"""Builds the elements of a text whose lines stay as they are: what markup readers find, line by line.

The readers of LaTeX, reStructuredText and source code say which lines are headings and which are code; what
is left between becomes paragraphs here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate

from ragstack.loading.readers.text import unwrapped
from ragstack.records import Element, ElementKind

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")


def line_starts(text: str) -> list[int]:
    """The offset of each line, and of the end of the text as if one more line began there."""
    return list(accumulate((len(line) + 1 for line in text.split("\n")), initial=0))


def trimmed(text: str, start: int, end: int, *, keep_indent: bool = False) -> tuple[int, int]:
    """The span without the blanks around it; with `keep_indent` its first line keeps those before it."""
    part = text[start:end]
    last = start + len(part.rstrip())
    first = start + len(part) - len(part.lstrip())
    if keep_indent and first < last:
        first = max(start, text.rfind("\n", 0, first) + 1)
    return first, max(first, last)


def with_paragraphs(text: str, found: Iterable[Element]) -> Iterator[Element]:
    """The elements `found` (sorted, apart), and paragraphs for the prose between them."""
    position = 0
    for element in found:
        yield from _paragraphs(text, position, element.start)
        yield element
        position = element.end
    yield from _paragraphs(text, position, len(text))


def _paragraphs(text: str, start: int, end: int) -> Iterator[Element]:
    start, end = trimmed(text, start, end)
    while start < end:
        separator = _BLANK_LINES.search(text, start, end)
        last = separator.start() if separator else end
        for span in unwrapped(text, start, last):
            yield Element(ElementKind.PARAGRAPH, *span)
        start = separator.end() if separator else end

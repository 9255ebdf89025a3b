"""Reads plain text: blank lines separate paragraphs, and so do the ends of lines that nobody wrapped.

It finds no headings and gives no title. Line ends become line feeds and no line is added or lost, so line n
of the text is line n of the file.
"""

from __future__ import annotations

import re

from ragstack.loading.encoding import decode
from ragstack.loading.limits import Limits
from ragstack.loading.readers.base import OWN_CODE_BYTES, Reader
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, Element, ElementKind

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
_FULL_LINE = re.compile(r"\S(?:[^\n]*[^\s])?")

# Nobody wraps lines at more characters than this; where the mean is above it, a line end ends a paragraph.
_WRAPPED = 160


def extract(data: bytes, _name: str, _limits: Limits) -> Document:
    """The document of a plain text file."""
    refuse_other_formats(data)
    return parse(decode(data))


def parse(text: str) -> Document:
    """The document of clean text (see `encoding.clean`)."""
    return Document(
        text=text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        elements=tuple(_paragraphs(text)),
        lines_are_original=True,
    )


def _paragraphs(text: str) -> list[Element]:
    spans: list[tuple[int, int]] = []
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    for separator in _BLANK_LINES.finditer(text, start, end):
        spans.extend(unwrapped(text, start, separator.start()))
        start = separator.end()
    if start < end:
        spans.extend(unwrapped(text, start, end))
    return [Element(ElementKind.PARAGRAPH, start, end) for start, end in spans]


def unwrapped(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The paragraphs in lines without a blank one between: each line, if they are too long to be wrapped."""
    breaks = text.count("\n", start, end)
    if not breaks or end - start <= (breaks + 1) * _WRAPPED:
        return [(start, end)]
    return [match.span() for match in _FULL_LINE.finditer(text, start, end)]


READER = Reader(
    name="text",
    version=1,
    suffixes=(".txt", ".text", ".log"),
    media_type="text/plain",
    extract=extract,
    parse=parse,
    unguarded_bytes=OWN_CODE_BYTES,
)

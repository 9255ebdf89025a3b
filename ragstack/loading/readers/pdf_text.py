"""Writes the paragraphs of a PDF as text, and remembers at which offset each page begins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ragstack.loading.readers.blocks import Block, assemble
from ragstack.loading.readers.pdf_layout import Paragraph
from ragstack.loading.readers.pdf_lines import COLUMN, Line
from ragstack.records import Element, ElementKind, Landmark

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LAST_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*\Z")

# English, whose compounds keep their hyphen: words that begin compounds, words that begin other words, and
# how the rest of a word begins that was cut before its ending.
_SHORTEST_PART = 4
_LONGEST_ENDING = 5
_COMPOUND_STARTS = frozenset("half high long low self short well".split())
_PREFIXES = frozenset("after every here inter over some super there trans under where with".split())
_ENDING = re.compile(
    r"abl|ably|al[il]|ati|atel|enc|ful|ibl|ica|ing|ist|iti|iz|less|ment|ness|olog|ous|ship|sion|tion|ward|wise"
)


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text of a document, its elements, and where its pages begin."""

    text: str
    elements: tuple[Element, ...]
    landmarks: tuple[Landmark, ...]


def write(paragraphs: Sequence[Paragraph]) -> PdfText:
    """The text of paragraphs; a page without text has no landmark, since nothing lies on it."""
    words = _words(line for paragraph in paragraphs for line in paragraph.lines)
    blocks = []
    starts: list[dict[int, int]] = []
    for paragraph in paragraphs:
        text, pages = _written(paragraph, words)
        blocks.append(Block(paragraph.kind, text, paragraph.level))
        starts.append(pages)
    text, elements = assemble(blocks)
    seen: dict[int, int] = {}
    for element, pages in zip(elements, starts, strict=True):
        for page, offset in pages.items():
            seen.setdefault(page, element.start + offset)
    landmarks = tuple(Landmark(start, "page", str(page + 1)) for page, start in seen.items())
    return PdfText(text, elements, landmarks)


def _written(paragraph: Paragraph, words: frozenset[str]) -> tuple[str, dict[int, int]]:
    """The text of a paragraph, and the offset in it at which each of its pages begins."""
    pieces: list[str] = []
    pages: dict[int, int] = {}
    length = 0
    margin = min(line.x0 for line in paragraph.lines)
    for number, line in enumerate(paragraph.lines):
        separator = paragraph.separators[number]
        if number and paragraph.lines[number - 1].hyphenated and _keeps_hyphen(pieces[-1], line.prose, words):
            separator = "-"
        piece = _piece(paragraph.kind, line, margin)
        pages.setdefault(line.page, length + len(separator))
        pieces.append(separator + piece)
        length += len(pieces[-1])
    return "".join(pieces), pages


def _piece(kind: ElementKind, line: Line, margin: float) -> str:
    if kind is ElementKind.TABLE:
        return line.text.replace(COLUMN, " | ")
    if kind is ElementKind.CODE:
        pitch = (line.x1 - line.x0) / len(line.text)
        indent = round((line.x0 - margin) / pitch) if pitch > 0 else 0
        return " " * min(indent, 80) + line.text.replace(COLUMN, "  ")
    return line.prose


def _words(lines: Iterable[Line]) -> frozenset[str]:
    """The words of a document in lower case, without those that a line end cut in two."""
    words: set[str] = set()
    is_rest = False
    for line in lines:
        found = _WORD.findall(line.prose.casefold())
        words.update(found[int(is_rest) : len(found) - int(line.hyphenated)])
        is_rest = line.hyphenated
    return frozenset(words)


def _keeps_hyphen(before: str, after: str, words: frozenset[str]) -> bool:
    """Whether the hyphen at a line end belongs to the word (well-known) and is no mark of the typesetter.

    The document's own words decide: the word as a whole, else the compound, else both of its parts.
    """
    first, rest = _LAST_WORD.search(before), _WORD.match(after)
    if first is None or rest is None:
        return first is not None or rest is not None
    left, right = first[0].casefold(), rest[0].casefold()
    if left + right in words:
        return False
    if f"{left}-{right}" in words or "-" in left or rest[0][0].isupper():
        return True
    if left in _COMPOUND_STARTS and len(right) > 3 and _ENDING.match(right) is None:
        return True
    if left not in words or len(left) < _SHORTEST_PART or left in _PREFIXES:
        return False
    return right in words or (len(right) > _LONGEST_ENDING and _ENDING.match(right) is None)

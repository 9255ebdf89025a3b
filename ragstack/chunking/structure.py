"""Turns a document's elements into what windows are snapped to: marks, sections and table headers.

A mark says how well a window may begin at an offset. Sentences are found here, by `sentences`, in everything
that is prose; text outside of all elements counts as prose too. Nothing is measured in tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from ragstack.chunking.sentences import paragraphs_and_sentences, sentence_starts
from ragstack.records import Document, Element, ElementKind

_LINE_START = re.compile(r"\n\s*")
_RULE = re.compile(r"\n[^\S\n]*[|:+=-][|:+=\- ]*(?=\n|\Z)")
"""A line that only rules off a table's header: no row, and nothing that a window should begin with."""


class Level(IntEnum):
    """How good a place is to part windows, from bad to good."""

    ANYWHERE = 0
    """No blank stands here: between a word and its comma, between ideographs, inside an over-long word."""
    WORD = 1
    CLAUSE = 2
    WEAK = 3
    """The end of a unit that belongs to what follows: a heading, a table's first row, "as follows:"."""
    SENTENCE = 4
    """Also the lines of code, the rows of tables and the items of lists."""
    BLOCK = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """A place where a unit of some level begins."""

    offset: int
    level: Level


@dataclass(frozen=True, slots=True)
class Section:
    """A heading (of level 1 to 6; 0 before the first one) and what stands under it up to the next heading.

    `start` is the heading's offset, `body` the offset behind it. `path` are the titles of the headings that
    enclose the section, its own last, and `path_starts` their offsets.
    """

    start: int
    body: int
    level: int
    path: tuple[str, ...] = ()
    path_starts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table `[start, end)` whose first line ends at `header_end`; its rows follow from `rows` on."""

    start: int
    header_end: int
    rows: int
    end: int


@dataclass(frozen=True, slots=True)
class Structure:
    """What is known of a document's build. All sorted by offset; sections begin at 0 and leave no gap."""

    marks: tuple[Mark, ...]
    weak_ends: tuple[int, ...]
    sections: tuple[Section, ...]
    tables: tuple[Table, ...]


def structure_of(document: Document) -> Structure:
    """The marks, sections and tables of a document."""
    return Structure(
        marks=tuple(_marks(document)),
        weak_ends=tuple(_weak_ends(document)),
        sections=tuple(_sections(document)),
        tables=tuple(
            _table(document.text, element)
            for element in document.elements
            if element.kind is ElementKind.TABLE
        ),
    )


def _marks(document: Document) -> Iterator[Mark]:
    position = 0
    for element in document.elements:
        yield from _prose(document.text, position, element.start)
        yield from _marks_of(document.text, element)
        position = element.end
    yield from _prose(document.text, position, len(document.text))


def _marks_of(text: str, element: Element) -> Iterator[Mark]:
    if element.kind is ElementKind.PARAGRAPH:
        yield from _prose(text, element.start, element.end)
    elif element.kind is ElementKind.LIST_ITEM:
        for start in sentence_starts(text, element.start, element.end):
            yield Mark(start, Level.SENTENCE)
    else:
        yield Mark(element.start, Level.BLOCK)
        if element.kind is not ElementKind.HEADING:
            yield from _lines(text, element)


def _prose(text: str, start: int, end: int) -> Iterator[Mark]:
    if start < end:
        paragraphs, sentences = paragraphs_and_sentences(text, start, end)
        beginnings = frozenset(paragraphs)
        for sentence in sentences:
            yield Mark(sentence, Level.BLOCK if sentence in beginnings else Level.SENTENCE)


def _lines(text: str, element: Element) -> Iterator[Mark]:
    for match in _LINE_START.finditer(text, element.start, element.end):
        if match.end() < element.end and not _RULE.match(text, match.start(), element.end):
            after_blank_line = match.group().count("\n") > 1
            yield Mark(match.end(), Level.BLOCK if after_blank_line else Level.SENTENCE)


def _weak_ends(document: Document) -> Iterator[int]:
    for element in document.elements:
        if element.kind is ElementKind.HEADING:
            yield element.end
        elif element.kind is ElementKind.CODE:
            yield _first_line_end(document.text, element)
        elif element.kind is ElementKind.TABLE:
            yield _table(document.text, element).rows


def _table(text: str, element: Element) -> Table:
    header_end = _first_line_end(text, element)
    rule = _RULE.match(text, header_end, element.end)
    return Table(element.start, header_end, rule.end() if rule else header_end, element.end)


def _first_line_end(text: str, element: Element) -> int:
    line_end = text.find("\n", element.start, element.end)
    return element.end if line_end < 0 else line_end


def _sections(document: Document) -> Iterator[Section]:
    yield Section(start=0, body=0, level=0)
    enclosing: list[tuple[int, str, int]] = []  # level, title, offset
    for element in document.elements:
        if element.kind is not ElementKind.HEADING:
            continue
        while enclosing and enclosing[-1][0] >= element.level:
            enclosing.pop()
        enclosing.append((element.level, _title(document.text, element), element.start))
        yield Section(
            start=element.start,
            body=element.end,
            level=element.level,
            path=tuple(title for _, title, _ in enclosing),
            path_starts=tuple(offset for _, _, offset in enclosing),
        )


def _title(text: str, element: Element) -> str:
    title = element.title or text[element.start : element.end].strip("#= \t\n")
    return " ".join(title.split())

"""Reads reStructuredText without changing it: titles by their adornment, literal blocks and tables as such.

Levels of titles follow the order in which their adornments first appear, as the format has it. Directives are
not run and nothing is included; docutils is not needed for what a search wants to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ragstack.loading.encoding import decode
from ragstack.loading.limits import Limits
from ragstack.loading.readers.base import OWN_CODE_BYTES, Reader
from ragstack.loading.readers.lined import line_starts, trimmed, with_paragraphs
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, Element, ElementKind

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*")
_GRID = re.compile(r"\+[-=+]{3,}\+\s*|={2,}(?:\s+={2,})+\s*")
_CODE = re.compile(r"\.\.\s+(?:code|code-block|sourcecode|literalinclude|math|parsed-literal|highlight)::.*")
_FIELD = re.compile(r":(\w[\w -]{0,40}):\s+(\S.*)")
_KNOWN_FIELDS = {
    "author": "author", "authors": "author", "date": "date", "version": "version", "language": "language",
    "organization": "organization", "copyright": "copyright", "keywords": "keywords",
}  # fmt: skip
_MAX_TITLE = 200
_MAX_VALUE = 500
_MAX_LEVEL = 6


def extract(data: bytes, _name: str, _limits: Limits) -> Document:
    """The document of a reStructuredText file."""
    refuse_other_formats(data)
    return parse(decode(data))


def parse(text: str) -> Document:
    """The document of clean reStructuredText."""
    blocks = _Blocks(text)
    elements = tuple(with_paragraphs(text, blocks.found()))
    return Document(
        text=text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=next((element.title for element in elements if element.level == 1), None),
        elements=elements,
        lines_are_original=True,
        metadata=_fields(blocks.lines),
    )


@dataclass(slots=True)
class _Blocks:
    """Finds titles, literal blocks and tables, going down the lines once."""

    text: str
    lines: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    levels: dict[str, int] = field(default_factory=dict)
    no_table_before: int = 0

    def __post_init__(self) -> None:
        self.lines = self.text.split("\n")
        self.starts = line_starts(self.text)

    def found(self) -> Iterator[Element]:
        """The elements in order."""
        number = 0
        while number < len(self.lines):
            after = self._title(number) or self._table(number) or self._literal(number)
            if after is None:
                number += 1
                continue
            kind, first, last, level, title = after
            start, end = trimmed(
                self.text, self.starts[first], self.starts[last] - 1, keep_indent=kind is ElementKind.CODE
            )
            if start < end:
                yield Element(kind, start, end, level, title)
            number = last

    def _title(self, number: int) -> tuple[ElementKind, int, int, int, str] | None:
        """A title with its adornment below it, or above and below it, that begins on this line."""
        over = bool(_ADORNMENT.fullmatch(self.lines[number]))
        text = number + over
        if text + 1 >= len(self.lines):
            return None
        title, under = self.lines[text].strip(), self.lines[text + 1].rstrip()
        is_title = title and len(title) <= _MAX_TITLE and not _ADORNMENT.fullmatch(title)
        if not is_title or not _ADORNMENT.fullmatch(under) or len(under) < min(len(title), 4):
            return None
        if over and self.lines[number].rstrip()[0] != under[0]:
            return None
        if not over and self.lines[text][:1].isspace():
            return None
        level = self.levels.setdefault(under[0] + "^" * over, min(len(self.levels) + 1, _MAX_LEVEL))
        return ElementKind.HEADING, number, text + 2, level, title

    def _table(self, number: int) -> tuple[ElementKind, int, int, int, str] | None:
        if not _GRID.fullmatch(self.lines[number].strip()):
            return None
        last = number + 1
        if self.lines[number].lstrip().startswith("+"):
            while last < len(self.lines) and self.lines[last].strip()[:1] in ("+", "|"):
                last += 1
        else:
            last = self._end_of_simple_table(number)
        return (ElementKind.TABLE, number, last, 0, "") if last - number > 2 else None

    def _end_of_simple_table(self, number: int) -> int:
        """Behind the last rule of a table that is ruled by equals signs: one followed by a blank line."""
        if number < self.no_table_before:
            return number
        for last in range(number + 1, len(self.lines)):
            is_rule = _GRID.fullmatch(self.lines[last].strip())
            if is_rule and (last + 1 == len(self.lines) or not self.lines[last + 1].strip()):
                return last + 1
            if not self.lines[last].strip() and not self.lines[last - 1].strip():
                break
        else:
            last = len(self.lines)
        self.no_table_before = last  # so that rules without an end are not followed again and again
        return number

    def _literal(self, number: int) -> tuple[ElementKind, int, int, int, str] | None:
        """The indented block after a paragraph that ends in `::`, or after a directive for code."""
        line = self.lines[number]
        is_directive = bool(_CODE.fullmatch(line.strip()))
        is_literal = line.rstrip().endswith("::") and not line.lstrip().startswith("..")
        if not (is_directive or is_literal):
            return None
        indent = len(line) - len(line.lstrip())
        last = number + 1
        for place in range(number + 1, len(self.lines)):
            below = self.lines[place]
            if below.strip():
                if len(below) - len(below.lstrip()) <= indent:
                    break
                last = place + 1
        first = number if is_directive else number + 1
        return (ElementKind.CODE, first, last, 0, "") if last > number + 1 else None


def _fields(lines: list[str]) -> dict[str, str]:
    """The fields of the list that may stand before the text or below its title (`:Author: Ada`)."""
    metadata: dict[str, str] = {}
    for line in lines[:40]:
        match = _FIELD.fullmatch(line.rstrip())
        name = _KNOWN_FIELDS.get(match[1].lower()) if match else None
        if match and name:
            metadata.setdefault(name, match[2].strip()[:_MAX_VALUE])
    return metadata


READER = Reader(
    name="restructured",
    version=1,
    suffixes=(".rst", ".rest"),
    media_type="text/x-rst",
    extract=extract,
    parse=parse,
    unguarded_bytes=OWN_CODE_BYTES,
)

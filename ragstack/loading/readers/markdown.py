"""Reads Markdown without changing it: the text stays the source, and its blocks become elements over it.

Front matter stays in the text as one code element, so that it can be found but is not read as prose, and its
flat keys become metadata. Headings within quotations and list items are no headings of the document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING

from ragstack.loading.encoding import decode
from ragstack.loading.limits import Limits
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.front_matter import FrontMatter, read_front_matter
from ragstack.loading.readers.text import unwrapped
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, Element, ElementKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from markdown_it.token import Token

# A paragraph that happens to stand above a line of dashes is a heading to Markdown, but to nobody else.
_MAX_TITLE = 200

# markdown-it-py is quadratic in what nobody writes (wide tables, thousands of headings on end); the worst of
# 22 such files took 1.6 s at this size and 7.9 s at four times it. Most notes are smaller and need no child.
_UNGUARDED_BYTES = 65_536

_KINDS = {
    "paragraph_open": ElementKind.PARAGRAPH,
    "heading_open": ElementKind.HEADING,
    "html_block": ElementKind.PARAGRAPH,
    "fence": ElementKind.CODE,
    "code_block": ElementKind.CODE,
    "table_open": ElementKind.TABLE,
}
_HTML_HEADING = re.compile(r"\s*<h([1-6])\b[^<>]*>(.*)</h\1>\s*", re.DOTALL | re.IGNORECASE)
_HEADING_ATTRIBUTES = re.compile(r"\s*\{[#.][^{}]*\}$")


def extract(data: bytes, _name: str, _limits: Limits) -> Document:
    """The document of a Markdown file."""
    refuse_other_formats(data)
    return parse(decode(data))


def parse(text: str) -> Document:
    """The document of clean Markdown text (see `encoding.clean`)."""
    front = read_front_matter(text)
    elements = _elements(text, front)
    metadata = dict(front.metadata)
    title = metadata.pop("title", None) or _first_title(elements)
    return Document(
        text=text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=title,
        elements=tuple(elements),
        lines_are_original=True,
        metadata=metadata,
    )


def _first_title(elements: list[Element]) -> str | None:
    return next((element.title for element in elements if element.level == 1 and element.title), None)


def _elements(text: str, front: FrontMatter) -> list[Element]:
    blocks = _Blocks(text, front.end)
    elements = blocks.read()
    if front.end:
        end = len(text[: front.end].rstrip())
        elements.insert(0, Element(ElementKind.CODE, 0, end))
    return elements


@dataclass(slots=True)
class _Blocks:
    """Turns the parser's tokens, which know their lines, into elements, which know their offsets."""

    text: str
    start: int
    line_starts: list[int] = field(default_factory=list)
    elements: list[Element] = field(default_factory=list)
    item_begins: bool = False
    depth: int = 0

    def read(self) -> list[Element]:
        body = self.text[self.start :]
        lengths = (len(line) + 1 for line in body.split("\n"))
        self.line_starts = list(accumulate(lengths, initial=self.start))
        tokens, title_of = _parse(body)
        for token, following in zip_longest(tokens, tokens[1:]):
            self._follow(token)
            kind = _KINDS.get(token.type)
            if kind is not None and token.map is not None:
                self._add(kind, token, following, title_of)
        return self.elements

    def _follow(self, token: Token) -> None:
        """Keep track of lists and quotations that are open."""
        if token.type in ("list_item_open", "list_item_close", "blockquote_open", "blockquote_close"):
            self.depth += token.nesting
            self.item_begins = token.type == "list_item_open"

    def _add(
        self, kind: ElementKind, token: Token, following: Token | None, title_of: Callable[[str], str]
    ) -> None:
        start, end = self._span(token, keep_indent=kind is ElementKind.CODE)
        if start >= end:
            return
        level, markup = self._heading(token, following, self.text[start:end])
        title = _title(title_of(markup)) if level else ""
        if title:
            self.elements.append(Element(ElementKind.HEADING, start, end, level, title))
        elif kind in (ElementKind.CODE, ElementKind.TABLE):
            self.elements.append(Element(kind, start, end))
        elif self.item_begins:
            self.elements.append(Element(ElementKind.LIST_ITEM, start, end))
        else:
            spans = unwrapped(self.text, start, end)
            self.elements.extend(Element(ElementKind.PARAGRAPH, first, last) for first, last in spans)
        self.item_begins = False

    def _span(self, token: Token, *, keep_indent: bool) -> tuple[int, int]:
        """The lines of a block, without the blank ones around them, from where the last element ended."""
        first, last = token.map or (0, 0)
        start = self.line_starts[first]
        if self.elements:
            start = max(start, self.elements[-1].end)
        lines = self.text[start : self.line_starts[last] - 1]
        end = start + len(lines.rstrip())
        if not keep_indent:
            start += len(lines) - len(lines.lstrip())
        return start, end

    def _heading(self, token: Token, following: Token | None, source: str) -> tuple[int, str]:
        """Level and marked-up title of a block, or level 0 when it is no heading of the document."""
        if self.depth or len(source) > _MAX_TITLE:
            return 0, ""
        if token.type == "html_block":
            match = _HTML_HEADING.fullmatch(source)
            return (int(match[1]), match[2]) if match else (0, "")
        if token.type == "heading_open" and following is not None:
            return int(token.tag[1]), following.content
        return 0, ""


def _parse(source: str) -> tuple[list[Token], Callable[[str], str]]:
    """The block tokens of the source, and a function that takes the markup from a heading of it."""
    from markdown_it import MarkdownIt

    environment: dict[str, object] = {}
    blocks = MarkdownIt("commonmark").enable("table")
    blocks.core.ruler.disable("inline")
    inline = MarkdownIt("commonmark")

    def title_of(markup: str) -> str:
        pieces = inline.parseInline(markup, environment)[0].children or []
        return "".join(
            " " if piece.type in ("softbreak", "hardbreak") else _visible(piece) for piece in pieces
        )

    return blocks.parse(source, environment), title_of


def _visible(piece: Token) -> str:
    return piece.content if piece.type in ("text", "code_inline", "image") else ""


def _title(text: str) -> str:
    """A title on one line, without the attributes that some dialects put behind it."""
    return _HEADING_ATTRIBUTES.sub("", " ".join(text.split()))


READER = Reader(
    name="markdown",
    version=1,
    suffixes=(".md", ".markdown"),
    media_type="text/markdown",
    extract=extract,
    parse=parse,
    unguarded_bytes=_UNGUARDED_BYTES,
)

"""Reads HTML pages: the main text in reading order, with headings, lists, code and tables as elements.

Scripts, styles, navigation and form controls are left out, page-wide asides and footers too, and everything
outside of `<main>` or `<article>` when that holds most of the text. Nothing is fetched, nothing is run, and
the tree is walked with a stack of its own, since pages nest deeper than Python calls may.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from ragstack.loading.encoding import clean, decode
from ragstack.loading.limits import Limits
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Block, assemble
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, ElementKind

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_LEFT_OUT = frozenset(
    "script style noscript template nav svg iframe object embed audio video canvas dialog menu datalist "
    "input button select textarea progress meter annotation annotation-xml rp head".split()
)
# What the page itself marks as not for reading, and the three inventions that many sites share: edit links,
# heading anchors, line numbers beside code.
_NOT_FOR_READING = (
    "[hidden], [aria-hidden=true], [role=navigation], [role=search], [role=menu], [role=menubar], "
    ".mw-editsection, .noprint, a.headerlink, .linenos, .linenodiv, .gutter"
)
_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main ol p pre search section summary table "
    "tbody td tfoot th thead tr ul".split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CELLS = ("td", "th")

_LISTS = ("ul", "ol")
_REGIONS = ("main", "article")

# A table around any of these was made to lay out a page, not to say something in rows.
_ONLY_IN_LAYOUT = ", ".join(f"table {tag}" for tag in ("table", "pre", *_HEADINGS))
_MAX_CELL_DEPTH = 30

_BREAK_HINTS = {0x00AD: None, 0x200B: None, 0x2060: None, 0xFEFF: None}

_MOST_OF_THE_TEXT = 0.5
_MAX_METADATA = 500
_METADATA_NAMES = {
    "description": "description", "og:description": "description", "twitter:description": "description",
    "author": "author", "article:author": "author", "dc.creator": "author", "dcterms.creator": "author",
    "date": "date", "article:published_time": "date", "dc.date": "date", "dcterms.date": "date",
    "dcterms.created": "date", "keywords": "keywords",
}  # fmt: skip

_DECLARATION_BYTES = 4096
_DECLARED_ENCODING = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_:.-]{2,40})""")
_XML_START = re.compile(r"\s*(?:<\?xml\b|<!DOCTYPE\s+html\s+PUBLIC\s+\"-//W3C//DTD XHTML)", re.IGNORECASE)
# HTML ignores the slash that ends such an element in XHTML, and takes the rest of the page for its content.
_SELF_CLOSED = re.compile(
    r"<(script|style|title|textarea|iframe|noscript|template|select|a|p|div|span|td|th|li|i|b|em|pre)"
    r"(\s[^<>]*)?/>",
    re.IGNORECASE,
)


def extract(data: bytes, name: str, _limits: Limits) -> Document:
    """The document of an HTML page."""
    refuse_other_formats(data, "HTML")
    declared = _DECLARED_ENCODING.search(data, 0, _DECLARATION_BYTES)
    source = decode(data, declared=declared[1].decode() if declared else None)
    if name.lower().endswith(".xhtml") or _XML_START.match(source):
        source = _SELF_CLOSED.sub(r"<\1\2></\1>", source)
    return parse(source)


def parse(source: str) -> Document:
    """The document of the source of a page."""
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(source)
    text, elements = assemble(_main_blocks(_Walker(page).blocks_of_page()))
    first_heading = next((element.title for element in elements if element.level == 1), None)
    return Document(
        text=text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=_title(page) or first_heading,
        elements=elements,
        metadata=_metadata(page),
    )


def blocks_of(source: str) -> list[Block]:
    """All blocks of a piece of HTML that a library made of another format."""
    from selectolax.lexbor import LexborHTMLParser

    return _Walker(LexborHTMLParser(source)).blocks_of_page()


def _main_blocks(blocks: list[Block]) -> list[Block]:
    """What lies in `<main>`, else in `<article>`, if that is most of the page; headings of level 1 stay."""
    total = sum(len(block.text) for block in blocks)
    for region in ("main", "article"):
        inside = [block for block in blocks if block.region == region or block.level == 1]
        if sum(len(block.text) for block in inside if block.region == region) > total * _MOST_OF_THE_TEXT:
            return inside
    return blocks


def _title(page: LexborHTMLParser) -> str | None:
    node = page.css_first("head title")
    return (_one_line(node.text()) or None) if node is not None else None


def _metadata(page: LexborHTMLParser) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for node in page.css("meta[content]"):
        attributes = node.attributes
        name = (attributes.get("name") or attributes.get("property") or "").lower()
        value = _one_line(attributes.get("content") or "")[:_MAX_METADATA]
        if name in _METADATA_NAMES and value:
            metadata.setdefault(_METADATA_NAMES[name], value)
    language = page.root.attributes.get("lang") if page.root is not None else None
    if language:
        metadata["language"] = _one_line(language)[:_MAX_METADATA]
    return metadata


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


@dataclass(slots=True)
class _List:
    """A list that is open, and the number of its next item (None: it has bullets)."""

    number: int | None

    def marker(self) -> str:
        if self.number is None:
            return "- "
        self.number += 1
        return f"{self.number - 1}. "


@dataclass(slots=True)
class _Code:
    """Preformatted text that is open, taken as it is; `owner` is the element that opened it."""

    owner: int
    pieces: list[str] = field(default_factory=list)

    def end_line(self) -> None:
        if self.pieces and not self.pieces[-1].endswith("\n"):
            self.pieces.append("\n")

    def block(self) -> Block:
        return Block(ElementKind.CODE, _visible("".join(self.pieces)).strip("\n"))


@dataclass(slots=True)
class _Table:
    """The rows of a table that is open, and the cells of its open row; `owner` is its element."""

    owner: int
    rows: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    columns: int = 0

    def end_row(self) -> None:
        row = " | ".join(self.cells).strip()
        if row.strip(" |"):
            self.rows.append(row)
            self.columns = max(self.columns, len(self.cells))
        self.cells = []

    def blocks(self) -> list[Block]:
        """One table; or paragraphs, when it has a single column and so was no table."""
        if self.columns > 1:
            return [Block(ElementKind.TABLE, "\n".join(self.rows))]
        return [Block(ElementKind.PARAGRAPH, row) for row in self.rows]


class _Walker:
    """One pass over the tree of a page: gathers inline text, and ends a block at every block's border."""

    def __init__(self, page: LexborHTMLParser) -> None:
        self.body = page.body
        self.left_out = {node.mem_id for node in page.css(_NOT_FOR_READING)}
        self.layout_tables = _layout_tables(page)
        self.blocks: list[Block] = []
        self.lines: list[list[str]] = [[]]
        self.lists: list[_List] = []
        self.marker = ""
        self.code: _Code | None = None
        self.table: _Table | None = None
        self.regions: list[tuple[int, str]] = []

    def blocks_of_page(self) -> list[Block]:
        """The blocks of the page in reading order."""
        parents: list[LexborNode] = []
        node = self.body
        while node is not None:
            entered = self._enter(node)
            if entered and node.child is not None:
                parents.append(node)
                node = node.child
                continue
            if entered:
                self._leave(node)
            while node.next is None and parents:
                node = parents.pop()
                self._leave(node)
            node = node.next if parents else None
        self._end_block()
        return self.blocks

    def _enter(self, node: LexborNode) -> bool:
        """Take in a node; false when nothing in it is for reading."""
        tag = node.tag or ""
        if tag == "-text":
            self._add_text(node.text_content or "")
        elif tag == "br":
            self._add_line_end()
        elif tag in _LEFT_OUT or node.mem_id in self.left_out or self._is_page_margin(tag):
            return False
        elif tag in _BLOCKS:
            self._begin_block(node, tag)
        return True

    def _is_page_margin(self, tag: str) -> bool:
        return tag in ("aside", "footer") and not self.regions

    def _add_text(self, text: str) -> None:
        if self.code is not None:
            self.code.pieces.append(text)
        else:
            self.lines[-1].append(text)

    def _add_line_end(self) -> None:
        if self.code is not None:
            self.code.pieces.append("\n")
        else:
            self.lines.append([])

    def _begin_block(self, node: LexborNode, tag: str) -> None:
        self._border()
        if tag in _REGIONS or node.attributes.get("role") == "main":
            self.regions.append((node.mem_id, tag if tag in _REGIONS else "main"))
        if self.code is None and self.table is None:
            self._begin_structure(node, tag)

    def _begin_structure(self, node: LexborNode, tag: str) -> None:
        if tag == "pre":
            self.code = _Code(node.mem_id)
        elif tag == "table" and node.mem_id not in self.layout_tables:
            self.table = _Table(node.mem_id)
        elif tag in _LISTS:
            self.lists.append(_List(_first_number(node) if tag == "ol" else None))
        elif tag == "li":
            items = self.lists[-1] if self.lists else _List(None)
            self.marker = "  " * (len(self.lists) - 1) + items.marker()

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag not in _BLOCKS:
            return
        if self.code is not None:
            self._leave_code(self.code, node.mem_id)
        elif self.table is not None:
            self._leave_table(self.table, node.mem_id, tag)
        else:
            self._end_block(_HEADINGS.get(tag, 0))
            self._leave_structure(tag)
        if self.regions and self.regions[-1][0] == node.mem_id:
            self.regions.pop()

    def _leave_structure(self, tag: str) -> None:
        if tag == "li":
            self.marker = ""
        elif tag in _LISTS and self.lists:
            self.lists.pop()

    def _leave_code(self, code: _Code, owner: int) -> None:
        code.end_line()
        if owner == code.owner:
            self.code = None
            self._emit(code.block())

    def _leave_table(self, table: _Table, owner: int, tag: str) -> None:
        if tag in _CELLS:
            table.cells.append(" ".join(self._take_lines()))
        elif tag == "tr":
            table.end_row()
        elif tag == "caption":
            self._emit(Block(ElementKind.PARAGRAPH, " ".join(self._take_lines())))
        elif owner == table.owner:
            table.end_row()
            self.table = None
            for block in table.blocks():
                self._emit(block)
        else:
            self._border()

    def _border(self) -> None:
        """What stands before and after the border of a block does not touch."""
        if self.code is not None:
            self.code.end_line()
        elif self.table is not None:
            self.lines[-1].append(" ")
        else:
            self._end_block()

    def _end_block(self, level: int = 0) -> None:
        """Make blocks of the lines so far: a heading if `level` says so, else a list item or paragraphs."""
        lines = self._take_lines()
        if not any(lines):
            return
        if level:
            self.marker = ""
            self._emit(Block(ElementKind.HEADING, " ".join(lines).strip(" \u00b6"), level))
            return
        for is_blank, group in groupby(lines, key=lambda line: not line):
            if is_blank:
                continue
            kind = ElementKind.LIST_ITEM if self.marker else ElementKind.PARAGRAPH
            self._emit(Block(kind, self.marker + "\n".join(group)))
            self.marker = ""

    def _take_lines(self) -> list[str]:
        lines = [" ".join(_visible("".join(pieces)).split()) for pieces in self.lines]
        self.lines = [[]]
        return lines

    def _emit(self, block: Block) -> None:
        names = {name for _, name in self.regions}
        region = next((name for name in _REGIONS if name in names), "")
        self.blocks.append(replace(block, region=region))


def _layout_tables(page: LexborHTMLParser) -> set[int]:
    """The tables that hold what only a table made for layout holds."""
    tables = {node.mem_id for node in page.css("table[role=presentation]")}
    for node in page.css(_ONLY_IN_LAYOUT):
        ancestor = node.parent
        for _ in range(_MAX_CELL_DEPTH):
            if ancestor is None or ancestor.tag == "table":
                break
            ancestor = ancestor.parent
        if ancestor is not None:
            tables.add(ancestor.mem_id)
    return tables


def _first_number(node: LexborNode) -> int:
    start = node.attributes.get("start") or "1"
    return int(start) if re.fullmatch(r"-?\d{1,9}", start, re.ASCII) else 1


def _visible(text: str) -> str:
    """Clean text without the characters that only say where a word may be broken."""
    return clean(text).translate(_BREAK_HINTS)


READER = Reader(
    name="html",
    version=1,
    suffixes=(".html", ".htm", ".xhtml"),
    media_type="text/html",
    extract=extract,
    parse=parse,
)

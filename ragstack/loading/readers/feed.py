"""Reads XML: of feeds (RSS, Atom) the entries with their titles, authors, dates, texts; other XML as it is.

A feed is told by its outermost element. What its entries link to is not fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ragstack.loading.encoding import decode
from ragstack.loading.limits import Limits, too_many
from ragstack.loading.readers import html
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Block, Composition
from ragstack.loading.readers.xml_tree import local_name, one_line, parse_xml
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, Element, ElementKind

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Node

_FEED = re.compile(rb"<(?:rss|feed|(?:\w+:)?RDF)[\s>]")
_HEAD_BYTES = 4096
_DECLARED_ENCODING = re.compile(rb"""encoding\s*=\s*["']([A-Za-z0-9_:.-]{2,40})["']""")
_ENTRIES = ("item", "entry")
_TEXTS = ("encoded", "content", "description", "summary")
_LEADING = {
    "creator": "Author",
    "author": "Author",
    "pubDate": "Date",
    "published": "Date",
    "updated": "Date",
}
_LINE = re.compile(r"[^\n]*\S[^\n]*")


def extract(data: bytes, _name: str, limits: Limits) -> Document:
    """The document of an XML file."""
    refuse_other_formats(data, "XML")
    if _FEED.search(data, 0, _HEAD_BYTES):
        return _feed(parse_xml(data, "feed"), limits)
    declared = _DECLARED_ENCODING.search(data, 0, _HEAD_BYTES)
    return parse(decode(data, declared=declared[1].decode() if declared else None))


def parse(text: str) -> Document:
    """The document of clean XML that is no feed: its lines, as code."""
    return Document(
        text=text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        elements=tuple(Element(ElementKind.CODE, *match.span()) for match in _LINE.finditer(text)),
        lines_are_original=True,
    )


def _feed(root: Node, limits: Limits) -> Document:
    entries = [node for node in root.iter() if local_name(node) in _ENTRIES]
    if len(entries) > limits.pages:
        raise too_many(len(entries), "entries", limits)
    channel = next((node for node in root.iter() if local_name(node) in ("channel", "feed")), root)
    title = _value(channel, "title")
    composition = Composition()
    composition.add_blocks([Block(ElementKind.HEADING, title, 1)])
    for number, entry in enumerate(entries, start=1):
        composition.mark("item", str(number))
        composition.add_blocks(_entry_blocks(entry))
    return Document(
        text=composition.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=title or None,
        elements=tuple(composition.elements),
        landmarks=tuple(composition.landmarks),
    )


def _entry_blocks(entry: Node) -> Iterator[Block]:
    yield Block(ElementKind.HEADING, _value(entry, "title"), 2)
    told: set[str] = set()
    for node in entry:
        label = _LEADING.get(local_name(node), "")
        value = one_line(" ".join(node.itertext())) if label else ""
        if value and label not in told:
            told.add(label)
            yield Block(ElementKind.PARAGRAPH, f"{label}: {value}")
    for name in _TEXTS:
        text = next((each for each in entry if local_name(each) == name), None)
        content = "".join(text.itertext()) if text is not None else ""
        if content.strip():
            for block in html.blocks_of(content):
                yield Block(block.kind, block.text, block.level and min(block.level + 2, 6))
            return


def _value(node: Node, name: str) -> str:
    """The text of a child of this name, on one line."""
    child = next((each for each in node if local_name(each) == name), None)
    return one_line("".join(child.itertext())) if child is not None else ""


READER = Reader(
    name="feed",
    version=1,
    suffixes=(".xml", ".rss", ".atom"),
    media_type="application/xml",
    extract=extract,
    parse=parse,
)

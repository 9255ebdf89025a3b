"""Reads OpenDocument texts and presentations (ODT, ODP): headings, lists, tables, notes, slides."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragstack.errors import LoadingError
from ragstack.loading.encoding import clean
from ragstack.loading.limits import Limits
from ragstack.loading.readers.archive import member, open_archive, password_protected
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Block, Composition
from ragstack.loading.readers.xml_tree import attribute, common_metadata, local_name, parse_xml, without_title
from ragstack.records import Document, ElementKind

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Node

_EXPECTED = "an OpenDocument text"
_LEFT_OUT = frozenset({"tracked-changes", "annotation-end", "bookmark", "sequence-decls", "forms"})
_MAX_SPACES = 100
_MAX_LEVEL = 6


def extract(data: bytes, _name: str, limits: Limits) -> Document:
    """The document of an ODT or ODP file."""
    with open_archive(data, limits, _EXPECTED) as archive:
        content = member(archive, "content.xml")
        if content is None:
            raise LoadingError(f"a ZIP archive, but not {_EXPECTED}")
        if b"encryption-data" in (member(archive, "META-INF/manifest.xml") or b""):
            raise password_protected()
        metadata = _metadata(archive)
        root = parse_xml(content, "content")
    walker = _Walker()
    walker.walk(root)
    composition = walker.composition
    first_heading = next((each.title for each in composition.elements if each.level == 1), None)
    return Document(
        text=composition.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=metadata.get("title") or first_heading,
        elements=tuple(composition.elements),
        landmarks=tuple(composition.landmarks),
        metadata=without_title(metadata),
    )


def _metadata(archive: zipfile.ZipFile) -> dict[str, str]:
    meta = member(archive, "meta.xml")
    return common_metadata(parse_xml(meta, "list of properties")) if meta else {}


@dataclass(slots=True)
class _Walker:
    """One pass over the content: blocks in reading order, slides as landmarks."""

    composition: Composition = field(default_factory=Composition)
    blocks: list[Block] = field(default_factory=list)
    slides: int = 0

    def walk(self, root: Node) -> None:
        for node, depth in _structure(root):
            name = local_name(node)
            if name == "page":
                self._flush()
                self.slides += 1
                self.composition.mark("slide", str(self.slides))
            elif name == "h":
                self.blocks.append(Block(ElementKind.HEADING, " ".join(_text(node).split()), _level(node)))
            elif name == "table":
                self.blocks.append(Block(ElementKind.TABLE, "\n".join(_rows(node))))
            elif depth:
                self.blocks.append(Block(ElementKind.LIST_ITEM, "  " * (depth - 1) + "- " + _text(node)))
            else:
                self.blocks.append(Block(ElementKind.PARAGRAPH, _text(node)))
        self._flush()

    def _flush(self) -> None:
        blocks = [block for block in self.blocks if block.text.strip(" -")]
        self.composition.add_blocks(blocks)
        self.blocks = []


def _structure(root: Node) -> Iterator[tuple[Node, int]]:
    """The slides, headings, paragraphs and tables in order, with how many lists each lies in."""
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        name = local_name(node)
        if name in _LEFT_OUT:
            continue
        if name in ("h", "p", "table", "page"):
            yield node, depth
        if name not in ("h", "table"):
            inner = depth + (name == "list")
            children = _boxes(node) if name == "p" else list(node)
            waiting.extend((child, inner) for child in reversed(children))


def _boxes(paragraph: Node) -> list[Node]:
    """The text boxes that are anchored in a paragraph; their text comes after it."""
    return [node for node in paragraph.iter() if local_name(node) == "text-box"]


def _text(node: Node) -> str:
    """The text of a paragraph with its tabs, line ends and notes, without its text boxes."""
    pieces: list[str] = []
    waiting: list[Node | str] = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            pieces.append(part)
            continue
        name = local_name(part)
        if name in ("text-box", "note-citation", *_LEFT_OUT):
            continue
        pieces.append(_spacing(part, name))
        if name in ("note", "annotation"):
            waiting.append(")")
        for child in reversed(part):
            waiting.extend((child.tail or "", child))
        waiting.append(part.text or "")
    return clean("".join(pieces)).strip()


def _spacing(node: Node, name: str) -> str:
    """What stands where a node begins."""
    if name == "s":
        count = attribute(node, "c") or "1"
        return " " * (min(int(count), _MAX_SPACES) if count.isdecimal() else 1)
    return {"tab": "\t", "line-break": "\n", "note": " (", "annotation": " ("}.get(name, "")


def _rows(table: Node) -> Iterator[str]:
    for row in (node for node in table.iter() if local_name(node) == "table-row"):
        cells = (" ".join(_text(cell).split()) for cell in row if local_name(cell) == "table-cell")
        line = " | ".join(cells)
        if line.strip(" |"):
            yield line


def _level(node: Node) -> int:
    level = attribute(node, "outline-level") or "1"
    return min(max(int(level), 1), _MAX_LEVEL) if level.isdecimal() else 1


READER = Reader(
    name="opendocument",
    version=1,
    suffixes=(".odt", ".odp"),
    media_type="application/vnd.oasis.opendocument.text",
    extract=extract,
)

"""Joins blocks, which readers of laid-out formats produce one by one, into a text with elements over it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ragstack.records import Element, ElementKind


@dataclass(frozen=True, slots=True)
class Block:
    """One structural unit before it has a place in the text; `region` is the part of the page around it."""

    kind: ElementKind
    text: str
    level: int = 0
    region: str = ""


def assemble(blocks: Iterable[Block]) -> tuple[str, tuple[Element, ...]]:
    """The blocks as one text, a blank line between two (list items: a line end), and their elements.

    Blank blocks are left out; the text of a heading is its title.
    """
    pieces: list[str] = []
    elements: list[Element] = []
    length = 0
    for block in blocks:
        text = block.text.rstrip()
        if not text.strip():
            continue
        if elements:
            both_items = elements[-1].kind is block.kind is ElementKind.LIST_ITEM
            pieces.append("\n" if both_items else "\n\n")
            length += len(pieces[-1])
        title = text.strip() if block.kind is ElementKind.HEADING else ""
        elements.append(Element(block.kind, length, length + len(text), block.level, title))
        pieces.append(text)
        length += len(text)
    return "".join(pieces), tuple(elements)

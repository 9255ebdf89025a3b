"""Joins blocks, which readers of laid-out formats produce one by one, into a text with elements over it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ragstack.records import Document, Element, ElementKind, Landmark


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


@dataclass(slots=True)
class Composition:
    """A text that grows part by part, each with its elements, and with landmarks where parts begin."""

    pieces: list[str] = field(default_factory=list)
    elements: list[Element] = field(default_factory=list)
    landmarks: list[Landmark] = field(default_factory=list)
    length: int = 0
    _next: tuple[str, str] | None = None

    @property
    def text(self) -> str:
        """Everything so far."""
        return "".join(self.pieces)

    def mark(self, kind: str, label: str) -> None:
        """What is added next lies on this landmark; of two in a row the later one holds."""
        self._next = kind, label

    def add(self, text: str, elements: Sequence[Element], landmarks: Sequence[Landmark] = ()) -> None:
        """Add a part, a blank line after the one before; a blank part is left out."""
        text = text.rstrip()
        if not text:
            return
        if self.pieces:
            self._append("\n\n")
        start = self.length
        if self._next is not None:
            self._place(Landmark(start, *self._next))
            self._next = None
        for landmark in landmarks:
            self._place(Landmark(start + landmark.start, landmark.kind, landmark.label))
        self.elements.extend(
            Element(each.kind, start + each.start, start + each.end, each.level, each.title)
            for each in elements
        )
        self._append(text)

    def add_document(self, document: Document) -> None:
        """Add the text of a document with its elements and landmarks."""
        self.add(document.text, document.elements, document.landmarks)

    def add_blocks(self, blocks: Iterable[Block]) -> None:
        """Add blocks as one part."""
        self.add(*assemble(blocks))

    def add_items(self, items: Iterable[tuple[Block, str, str]]) -> None:
        """Add blocks of one kind that stand on lines of their own, each with its landmark."""
        for block, kind, label in items:
            text = block.text.rstrip()
            if not text.strip():
                continue
            if self.pieces:
                follows = self.elements and self.elements[-1].kind is block.kind
                self._append("\n" if follows else "\n\n")
            self._place(Landmark(self.length, kind, label))
            self.elements.append(Element(block.kind, self.length, self.length + len(text), block.level))
            self._append(text)

    def _place(self, landmark: Landmark) -> None:
        if self.landmarks and self.landmarks[-1].start == landmark.start:
            self.landmarks.pop()
        self.landmarks.append(landmark)

    def _append(self, text: str) -> None:
        self.pieces.append(text)
        self.length += len(text)
